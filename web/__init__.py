"""The Flask portal and its API: one blueprint per noun."""

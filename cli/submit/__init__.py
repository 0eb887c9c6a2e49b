"""The `overread submit` command."""

"""Which images are learned from, how often, and how they are changed."""

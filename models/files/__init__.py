"""The file store, and which of its files may be deleted."""

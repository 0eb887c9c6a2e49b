"""The audit log: append-only rows, each with a digest over all earlier ones."""

"""The `overread` command: one file per group of commands."""

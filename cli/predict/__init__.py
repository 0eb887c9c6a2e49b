"""The `overread predict` command."""

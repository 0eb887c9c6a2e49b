"""Jobs and uploads."""

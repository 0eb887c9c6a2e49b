"""Database upgrades, backup of rows, heartbeats and figures for monitoring."""

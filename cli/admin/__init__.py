"""Commands that work on the database and data folder: audit, backup, restore."""

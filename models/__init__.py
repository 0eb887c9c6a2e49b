"""The database: tables, sessions, named queries, settings, and the file store beside them."""

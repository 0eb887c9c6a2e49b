"""Labelled data sets: import them into the database and the file store."""

"""Queries on jobs, uploads and images, and the claims of workers."""

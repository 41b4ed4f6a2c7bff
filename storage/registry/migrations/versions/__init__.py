"""Versions of the registry, oldest first; each is tested on SQLite and PostgreSQL."""

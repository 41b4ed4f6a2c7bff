"""The registry: devices, cases, commands, users, audit, and what is stored of each stream.

SQLite by default, PostgreSQL by URL. One request or one received event is one transaction.
"""

from storage.registry.session import Registry, migrate, open_registry

__all__ = ["Registry", "migrate", "open_registry"]

"""Alembic's entry: runs inside the connection that `storage.registry.migrate` hands over."""

from alembic import context

from storage.registry.models import Row

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Row.metadata,
    render_as_batch=True,  # SQLite cannot alter most things in place.
)
with context.begin_transaction():
    context.run_migrations()

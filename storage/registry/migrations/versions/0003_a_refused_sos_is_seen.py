"""The quarantine says what was refused, and who has seen a refused SOS."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_OPEN = sa.text("kind = 'sos' AND acknowledged_ms IS NULL")


def upgrade() -> None:
    """Bring the registry to this version; what was kept before alerts nobody."""
    op.add_column("quarantine", sa.Column("code", sa.String(length=20), nullable=True))
    op.add_column("quarantine", sa.Column("kind", sa.String(length=20), nullable=True))
    op.add_column("quarantine", sa.Column("acknowledged_by", sa.String(length=40), nullable=True))
    op.add_column("quarantine", sa.Column("acknowledged_ms", sa.BigInteger(), nullable=True))
    op.create_index(
        "quarantine_sos_open", "quarantine", ["id"], sqlite_where=_OPEN, postgresql_where=_OPEN
    )

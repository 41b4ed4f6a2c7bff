"""A case keeps up to which press somebody has acknowledged it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Bring the registry to this version; what was taken before counts as acknowledged."""
    op.add_column(
        "case",
        sa.Column("acknowledged_presses", sa.BigInteger(), server_default="0", nullable=False),
    )
    case = sa.table(
        "case", sa.column("status"), sa.column("presses"), sa.column("acknowledged_presses")
    )
    op.execute(
        case.update()
        .where(case.c.status != "reported")
        .values(acknowledged_presses=case.c.presses)
    )

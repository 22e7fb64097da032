"""Records on their way into a log: CIDs, positions, batches."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workflows", sa.Column("cid", sa.String(length=128), nullable=True))
    op.add_column("workflows", sa.Column("log", sa.String(length=200), nullable=True))
    op.add_column("workflows", sa.Column("position", sa.BigInteger(), nullable=True))
    op.create_index("uq_workflows_log_position", "workflows", ["log", "position"], unique=True)
    op.create_table(
        "batches",
        sa.Column("log", sa.String(length=200), nullable=False),
        sa.Column("old_size", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("tx_hash", sa.String(length=66), nullable=True),
        sa.Column("block", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("log", "old_size", name=op.f("pk_batches")),
    )

"""The journal's first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agent_runs",
        sa.Column("run", sa.String(length=300), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.Column("output", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run", "agent", name=op.f("pk_agent_runs")),
    )
    op.create_table(
        "approvals",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("plan_digest", sa.String(length=64), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("approver", sa.String(length=200), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
    )
    op.create_index(op.f("ix_approvals_plan_digest"), "approvals", ["plan_digest"], unique=False)
    op.create_table(
        "budgets",
        sa.Column("budget", sa.String(length=300), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("budget", name=op.f("pk_budgets")),
    )
    op.create_table(
        "chains",
        sa.Column("chain", sa.String(length=41), nullable=False),
        sa.Column("genesis", sa.String(length=66), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_chains")),
    )
    op.create_table(
        "journal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("secret_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("copy_token", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
    )
    op.create_table(
        "lanes",
        sa.Column("chain", sa.String(length=41), nullable=False),
        sa.Column("sender", sa.String(length=42), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("first_nonce", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=True),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "sender", name=op.f("pk_lanes")),
    )
    op.create_table(
        "prepared",
        sa.Column("run", sa.String(length=300), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.Column("plan_digest", sa.String(length=64), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("run", "agent", name=op.f("pk_prepared")),
    )
    op.create_table(
        "runs",
        sa.Column("run", sa.String(length=300), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("plan_digest", sa.String(length=64), nullable=True),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_runs")),
    )
    op.create_table(
        "scopes",
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("payroll_id", sa.String(length=64), nullable=False),
        sa.Column("chain", sa.String(length=41), nullable=False),
        sa.Column("payer", sa.String(length=42), nullable=False),
        sa.Column("contract", sa.String(length=42), nullable=False),
        sa.Column("token", sa.String(length=42), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_scopes")),
    )
    op.create_index(op.f("ix_scopes_payroll_id"), "scopes", ["payroll_id"], unique=False)
    op.create_table(
        "screenings",
        sa.Column("run", sa.String(length=300), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("published", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run", "sha256", name=op.f("pk_screenings")),
    )
    op.create_table(
        "transactions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("chain", sa.String(length=41), nullable=False),
        sa.Column("sender", sa.String(length=42), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("recipient", sa.String(length=42), nullable=False),
        sa.Column("value", sa.String(length=78), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("gas_limit", sa.BigInteger(), nullable=False),
        sa.Column("run", sa.String(length=300), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("tx_hash", sa.String(length=66), nullable=True),
        sa.Column("block_number", sa.BigInteger(), nullable=True),
        sa.Column("block_hash", sa.String(length=66), nullable=True),
        sa.Column("succeeded", sa.Boolean(), nullable=True),
        sa.Column("fee", sa.String(length=78), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transactions")),
    )
    op.create_index(
        op.f("ix_transactions_chain_sender_state"),
        "transactions",
        ["chain", "sender", "state"],
        unique=False,
    )
    op.create_index(
        op.f("ix_transactions_run_agent"), "transactions", ["run", "agent"], unique=False
    )
    op.create_index(
        "uq_transactions_chain_sender_nonce",
        "transactions",
        ["chain", "sender", "nonce"],
        unique=True,
        sqlite_where=sa.text("kind <> 'cancel'"),
        postgresql_where=sa.text("kind <> 'cancel'"),
    )
    op.create_table(
        "workflows",
        sa.Column("workflow_id", sa.String(length=64), nullable=False),
        sa.Column("run", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("core_digest", sa.String(length=64), nullable=False),
        sa.Column("artifact", sa.Text(), nullable=False),
        sa.Column("supersedes", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("workflow_id", name=op.f("pk_workflows")),
    )
    op.create_index(op.f("ix_workflows_run"), "workflows", ["run"], unique=False)
    op.create_table(
        "attempts",
        sa.Column("tx_hash", sa.String(length=66), nullable=False),
        sa.Column("transaction_id", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("max_fee_per_gas", sa.String(length=78), nullable=False),
        sa.Column("max_priority_fee_per_gas", sa.String(length=78), nullable=False),
        sa.Column("quoted_at_block", sa.BigInteger(), nullable=False),
        sa.Column("broadcast", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["transactions.id"], name=op.f("fk_attempts_transaction_id")
        ),
        sa.PrimaryKeyConstraint("tx_hash", name=op.f("pk_attempts")),
    )
    op.create_index(
        op.f("ix_attempts_transaction_id"), "attempts", ["transaction_id"], unique=False
    )
    op.create_table(
        "keys",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["scope"], ["scopes.scope"], name=op.f("fk_keys_scope")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_keys")),
        sa.UniqueConstraint("scope", "position", name=op.f("uq_keys_scope_position")),
    )
    op.create_table(
        "reservations",
        sa.Column("budget", sa.String(length=300), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("send", sa.Integer(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("released", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["budget"], ["budgets.budget"], name=op.f("fk_reservations_budget")
        ),
        sa.PrimaryKeyConstraint("budget", "key", "revision", "send", name=op.f("pk_reservations")),
    )
    op.create_index(
        op.f("ix_reservations_key_revision"), "reservations", ["key", "revision"], unique=False
    )
    op.create_table(
        "transaction_items",
        sa.Column("transaction_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["transactions.id"],
            name=op.f("fk_transaction_items_transaction_id"),
        ),
        sa.PrimaryKeyConstraint("transaction_id", "key", name=op.f("pk_transaction_items")),
    )
    op.create_index(
        op.f("ix_transaction_items_key_revision"),
        "transaction_items",
        ["key", "revision"],
        unique=False,
    )
    op.create_index(
        "uq_transaction_items_live_key",
        "transaction_items",
        ["key"],
        unique=True,
        sqlite_where=sa.text("live"),
        postgresql_where=sa.text("live"),
    )
    op.create_table(
        "items",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("amount", sa.String(length=78), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("resends", sa.Integer(), nullable=False),
        sa.Column("tx_hash", sa.String(length=66), nullable=True),
        sa.Column("log", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["key"], ["keys.key"], name=op.f("fk_items_key")),
        sa.PrimaryKeyConstraint("key", "revision", name=op.f("pk_items")),
    )

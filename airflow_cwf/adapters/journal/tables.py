"""The journal's tables (SQLAlchemy Core). `migrations/` makes them; a test compares the two.

Money and nonces above 63 bits are decimal strings; budgets count 10^-6 of a token, so that
databases can add and compare them. Keys are HMACs in hex: no table holds a name.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

HEX = String(64)
ADDRESS = String(42)
CAIP2 = String(41)
UNITS = String(78)

journal = Table(
    "journal",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("secret_fingerprint", HEX, nullable=False),
    Column("copy_token", HEX),
    Column("created_at", Float, nullable=False),
)

chains = Table(
    "chains",
    metadata,
    Column("chain", CAIP2, primary_key=True),
    Column("genesis", String(66), nullable=False),
)

lanes = Table(
    "lanes",
    metadata,
    Column("chain", CAIP2, primary_key=True),
    Column("sender", ADDRESS, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("first_nonce", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("owner", String(128)),
    Column("lease_until", Float, nullable=False),
)

scopes = Table(
    "scopes",
    metadata,
    Column("scope", HEX, primary_key=True),
    Column("payroll_id", String(64), nullable=False, index=True),
    Column("chain", CAIP2, nullable=False),
    Column("payer", ADDRESS, nullable=False),
    Column("contract", ADDRESS, nullable=False),
    Column("token", ADDRESS, nullable=False),
    Column("part", Integer, nullable=False),
    Column("digest", HEX, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("key", HEX, primary_key=True),
    Column("scope", HEX, ForeignKey("scopes.scope"), nullable=False),
    Column("position", BigInteger, nullable=False),
    UniqueConstraint("scope", "position"),
)

items = Table(
    "items",
    metadata,
    Column("key", HEX, ForeignKey("keys.key"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("digest", HEX, nullable=False),
    Column("amount", UNITS, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("salt", String(32), nullable=False),
    Column("resends", Integer, nullable=False),
    Column("tx_hash", String(66)),
    Column("log", Integer),
)

budgets = Table(
    "budgets",
    metadata,
    Column("budget", String(300), primary_key=True),
    Column("used", BigInteger, nullable=False),
)

reservations = Table(
    "reservations",
    metadata,
    Column("budget", String(300), ForeignKey("budgets.budget"), primary_key=True),
    Column("key", HEX, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("send", Integer, primary_key=True),
    Column("units", BigInteger, nullable=False),
    Column("released", Boolean, nullable=False),
    Index(None, "key", "revision"),
)

transactions = Table(
    "transactions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("chain", CAIP2, nullable=False),
    Column("sender", ADDRESS, nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("recipient", ADDRESS, nullable=False),
    Column("value", UNITS, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("gas_limit", BigInteger, nullable=False),
    Column("run", String(300), nullable=False),
    Column("agent", String(200), nullable=False),
    Column("scope", HEX),
    Column("epoch", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("tx_hash", String(66)),
    Column("block_number", BigInteger),
    Column("block_hash", String(66)),
    Column("succeeded", Boolean),
    Column("fee", UNITS),
    Index(None, "chain", "sender", "state"),
    Index(None, "run", "agent"),
    # A cancel is a transaction of its own at the nonce of another; nothing else shares a nonce.
    Index(
        "uq_transactions_chain_sender_nonce",
        "chain",
        "sender",
        "nonce",
        unique=True,
        sqlite_where=text("kind <> 'cancel'"),
        postgresql_where=text("kind <> 'cancel'"),
    ),
)

transaction_items = Table(
    "transaction_items",
    metadata,
    Column("transaction_id", Integer, ForeignKey("transactions.id"), primary_key=True),
    Column("key", HEX, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("digest", HEX, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("outcome", String(16)),
    Index(None, "key", "revision"),
    # Promise 1 in the database's own words: a key is in at most one live transaction.
    Index(
        "uq_transaction_items_live_key",
        "key",
        unique=True,
        sqlite_where=text("live"),
        postgresql_where=text("live"),
    ),
)

attempts = Table(
    "attempts",
    metadata,
    Column("tx_hash", String(66), primary_key=True),
    Column("transaction_id", Integer, ForeignKey("transactions.id"), nullable=False, index=True),
    Column("raw", LargeBinary, nullable=False),
    Column("max_fee_per_gas", UNITS, nullable=False),
    Column("max_priority_fee_per_gas", UNITS, nullable=False),
    Column("quoted_at_block", BigInteger, nullable=False),
    Column("broadcast", Boolean, nullable=False),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("plan_digest", HEX, nullable=False, index=True),
    Column("approved", Boolean, nullable=False),
    Column("approver", String(200), nullable=False),
    Column("at", Float, nullable=False),
)

prepared = Table(
    "prepared",
    metadata,
    Column("run", String(300), primary_key=True),
    Column("agent", String(200), primary_key=True),
    Column("plan_digest", HEX, nullable=False),
    Column("ready", Boolean, nullable=False),
    Column("reason", Text),
    Column("at", Float, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("run", String(300), primary_key=True),
    Column("task", Text, nullable=False),
    Column("plan_digest", HEX),
    Column("started_at", Float, nullable=False),
)

screenings = Table(
    "screenings",
    metadata,
    Column("run", String(300), primary_key=True),
    Column("sha256", HEX, primary_key=True),
    Column("source", Text, nullable=False),
    Column("published", BigInteger, nullable=False),
)

agent_runs = Table(
    "agent_runs",
    metadata,
    Column("run", String(300), primary_key=True),
    Column("agent", String(200), primary_key=True),
    Column("spec", Text, nullable=False),
    Column("salt", String(32), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("output", Text),
)

workflows = Table(
    "workflows",
    metadata,
    Column("workflow_id", HEX, primary_key=True),
    Column("run", String(300), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("core_digest", HEX, nullable=False),
    Column("artifact", Text, nullable=False),
    Column("supersedes", HEX),
    Column("created_at", Float, nullable=False),
    Column("cid", String(128)),
    Column("log", String(200)),
    Column("position", BigInteger),
    Index("uq_workflows_log_position", "log", "position", unique=True),
)

batches = Table(
    "batches",
    metadata,
    Column("log", String(200), primary_key=True),
    Column("old_size", BigInteger, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("tx_hash", String(66)),
    Column("block", BigInteger),
)

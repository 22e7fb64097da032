"""What the journal's books hold and hand out, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_cwf.core.states import ItemState, LaneState, TransactionState
from airflow_cwf.core.transactions import Call, FeeQuote, SignedTransaction


@dataclass(frozen=True, slots=True)
class ItemRow:
    """The current revision of one key."""

    key: str
    revision: int
    scope: str
    index: int
    digest: str
    amount: int
    state: ItemState
    reason: str | None
    salt: str
    resends: int
    """Re-sends after a failure at finality, for this revision."""
    signed: bool
    """Whether any transaction ever held this revision."""
    tx_hash: str | None
    """The transaction that settled or failed it."""
    log: int | None


@dataclass(frozen=True, slots=True)
class Lane:
    """One account on one chain."""

    chain: str
    sender: str
    state: LaneState
    reason: str | None
    first_nonce: int
    """The nonce from which the journal explains everything."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to sign on a lane. Each write names the epoch; a newer one fences it off."""

    chain: str
    sender: str
    epoch: int
    owner: str


@dataclass(frozen=True, slots=True)
class TransactionItem:
    """An item inside a transaction."""

    key: str
    revision: int
    index: int
    digest: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed version of a transaction."""

    signed: SignedTransaction
    fees: FeeQuote
    broadcast: bool


@dataclass(frozen=True, slots=True)
class NewTransaction:
    """What is about to be recorded: a call at a nonce, and the items it carries."""

    nonce: int
    call: Call
    kind: str
    """`batch` here; `noop`, `cancel` and `call` are the other kinds."""
    run: str
    agent: str
    scope: str | None
    items: tuple[TransactionItem, ...]


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where a transaction stands."""

    tx_hash: str
    block: int
    succeeded: bool | None
    """Known once it is final."""


@dataclass(frozen=True, slots=True)
class RecordedTransaction:
    """A transaction for which at least one signature exists."""

    id: int
    chain: str
    sender: str
    nonce: int
    kind: str
    call: Call
    run: str
    agent: str
    scope: str | None
    state: TransactionState
    items: tuple[TransactionItem, ...]
    attempts: tuple[Attempt, ...]
    included: Inclusion | None = None
    """The block it stands in, as last seen; final once its state is."""


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What a final transaction did to one item."""

    key: str
    revision: int
    state: ItemState
    reason: str | None = None
    log: int | None = None
    counts_as_resend: bool = False
    """Whether going back to RESERVED uses up one of the item's re-sends."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One agent's answer to: could you commit now?"""

    agent: str
    plan_digest: str
    ready: bool
    reason: str | None
    at: float


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's answer about a plan."""

    plan_digest: str
    approved: bool
    approver: str
    at: float


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of a workflow: a DAG run, or one call of the library."""

    run: str
    task: Any
    """The label or mapping the run was given."""
    plan_digest: str | None
    started_at: float


@dataclass(frozen=True, slots=True)
class Screening:
    """A sanctions list that a run screened against."""

    source: str
    published: int
    sha256: str


@dataclass(frozen=True, slots=True)
class AgentRun:
    """One agent in one run."""

    run: str
    agent: str
    spec: Mapping[str, Any]
    salt: str
    started_at: float
    ended_at: float | None
    output: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class SpentFees:
    """What an agent's transactions cost in one run, and which of them are known by hash."""

    fee: int
    """Wei, exact, of all final transactions, reverted ones too."""
    hashes: tuple[str, ...]
    """Of successful final transactions, by nonce."""
    transactions: int
    """Final ones."""


@dataclass(frozen=True, slots=True)
class WorkflowRow:
    """One stored metadata."""

    workflow_id: str
    run: str
    state: str
    core_digest: str
    artifact: str
    supersedes: str | None
    created_at: float

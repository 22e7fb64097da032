"""The journal's role: what was loaded, decided, signed and seen, each written before it acts.

Three books over one database, so that a caller asks only for what it needs. All calls are
synchronous; when a writing call returns, its commit is durable. Rows (`core.journal_rows`) are
frozen values.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from airflow_cwf.core.anchor_log import AnchorBook
from airflow_cwf.core.intents import Plan, PlanItem, Scope
from airflow_cwf.core.journal_rows import (
    AgentRun,
    Approval,
    ItemOutcome,
    ItemRow,
    Lane,
    Lease,
    NewTransaction,
    Prepared,
    RecordedTransaction,
    RunRow,
    Screening,
    SpentFees,
    WorkflowRow,
)
from airflow_cwf.core.transactions import FeeQuote, SignedTransaction, TransactionReceipt


class PaymentBook(Protocol):
    """Manifests, items, budgets."""

    def scopes(self, payroll_id: str) -> list[Scope]:
        """Return a payroll's scopes, by chain and part."""

    def places(self, keys: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Return `(scope, index)` for those of `keys` that a manifest holds."""

    def freeze(self, scopes: Sequence[Scope], items: Sequence[PlanItem]) -> None:
        """Store new scopes with their manifests and items, in one commit.

        Raises:
            JournalError: a key or scope exists already (another loader was faster).
        """

    def correct(self, corrected: Sequence[PlanItem], revised: Sequence[PlanItem]) -> None:
        """Change never-signed items, and add the next revision of failed ones, in one commit.

        What they had reserved is given back: the new payment reserves its own amount.

        Raises:
            JournalError: one was signed, sent or settled meanwhile; nothing was changed.
        """

    def items(self, scope: str) -> list[ItemRow]:
        """Return the current revision of each of a scope's items, by index."""

    def reserve(
        self, items: Sequence[PlanItem], *, budget: str, cap: int | None, decimals: int
    ) -> list[PlanItem]:
        """Reserve the spend of `items` and return those for which `cap` left no room.

        Args:
            items: payable items of one scope.
            budget: name of the budget, e.g. `run/<run>/USDC`.
            cap: in 10^-6 of the token, or None.
            decimals: of the token.

        Reserving the same send of the same item twice counts once; a re-send reserves anew.

        Raises:
            JournalError: an item is not what the journal holds at its place, or is past
                reserving (another worker was faster, or the plan was changed).
        """

    def refuse(self, items: Sequence[PlanItem], reason: str) -> None:
        """Mark items as refused, except those that are in a transaction or at their end."""


class LaneBook(Protocol):
    """Accounts, leases, transactions, attempts."""

    def pin_genesis(self, chain: str, genesis: str) -> None:
        """Remember a chain's genesis hash at first use.

        Raises:
            WrongChainError: the journal knows another genesis for this chain id.
        """

    def lane(self, chain: str, sender: str) -> Lane | None:
        """Return a lane, or None if the journal has never heard of it."""

    def adopt(self, chain: str, sender: str, *, first_nonce: int) -> None:
        """Open a lane whose account has never signed on the chain."""

    def stop(self, chain: str, sender: str, reason: str) -> None:
        """Stop a lane until a person has looked."""

    def acquire(self, chain: str, sender: str, *, owner: str, ttl_s: float) -> Lease:
        """Take the lane's lease for `ttl_s` seconds of database time.

        Raises:
            LaneBusyError: another owner holds it.
        """

    def renew(self, lease: Lease, *, ttl_s: float) -> None:
        """Prolong a lease.

        Raises:
            StaleLeaseError: it has passed to another owner.
        """

    def release(self, lease: Lease) -> None:
        """Give the lease up, if it is still ours."""

    def next_nonce(self, chain: str, sender: str) -> int:
        """Return the lowest nonce for which no signature is recorded."""

    def record(
        self, lease: Lease, transaction: NewTransaction, signed: SignedTransaction, fees: FeeQuote
    ) -> RecordedTransaction:
        """Store transaction, attempt and the items' new state in one durable commit.

        Only after it returns may the bytes be shown to anybody.

        Raises:
            StaleLeaseError: the lane belongs to another worker now.
            LaneStoppedError: the lane was stopped meanwhile.
            JournalError: an item is in a live transaction, is not the payment that the journal
                holds at its place, or the nonce is taken.
        """

    def unfinal(self, chain: str, sender: str) -> list[RecordedTransaction]:
        """Return the lane's transactions that are neither final nor dead, by nonce."""

    def of_intent(self, chain: str, intent: str) -> list[RecordedTransaction]:
        """Return all transactions recorded for an intent (a scope or a call's), by nonce."""

    def mark_broadcast(self, tx_hash: str) -> None:
        """Note that a node has had these bytes."""

    def mark_included(self, transaction: int, receipt: TransactionReceipt | None) -> None:
        """Note the block a transaction stands in, or (None) that it stands in none any more."""

    def finalise(
        self,
        lease: Lease,
        transaction: int,
        receipt: TransactionReceipt,
        outcomes: Sequence[ItemOutcome],
    ) -> None:
        """Store a final receipt and its items' outcomes in one commit; frees failed spends.

        Storing the same receipt again changes nothing.

        Raises:
            StaleLeaseError: the lane belongs to another worker now.
            JournalError: the receipt is of another transaction, or the outcomes are not one for
                each of its items.
        """


class RunBook(Protocol):
    """Runs, approvals, preparations, outputs, workflows."""

    def start_run(self, run: str, *, task: object, plan_digest: str | None, now: float) -> RunRow:
        """Begin or resume a run; a plan, once known, replaces the one it began with."""

    def run(self, run: str) -> RunRow | None:
        """Return a run, or None if it never began."""

    def save_screening(self, run: str, screening: Screening) -> None:
        """Note the list that a run screened against; the same one counts once."""

    def screenings(self, run: str) -> list[Screening]:
        """Return a run's lists, by digest."""

    def start_agent(self, run: str, agent: str, *, spec: Mapping[str, Any], now: float) -> AgentRun:
        """Begin or resume an agent's part of a run; the first start and the salt are kept."""

    def finish_agent(
        self, run: str, agent: str, *, output: Mapping[str, Any], now: float
    ) -> AgentRun:
        """Store an agent's output; the end time of an unchanged output is kept."""

    def agents(self, run: str) -> dict[str, AgentRun]:
        """Return the agents that have started in a run, by name."""

    def spent(self, run: str, agent: str) -> SpentFees:
        """Return an agent's fees and transactions of one run."""

    def save_prepared(self, run: str, prepared: Prepared) -> None:
        """Store an agent's preparation, replacing an older one."""

    def prepared(self, run: str) -> dict[str, Prepared]:
        """Return a run's preparations by agent name."""

    def save_approval(self, approval: Approval) -> None:
        """Append an approval or rejection."""

    def approval(self, plan_digest: str) -> Approval | None:
        """Return the latest answer about a plan."""

    def save_workflow(self, workflow: WorkflowRow) -> None:
        """Store a workflow; storing the same one again changes nothing."""

    def workflow(self, run: str) -> WorkflowRow | None:
        """Return a run's latest workflow."""


class Journal(Protocol):
    """The three books, and the secret that names keys."""

    @property
    def payments(self) -> PaymentBook:
        """Manifests, items, budgets."""

    @property
    def lanes(self) -> LaneBook:
        """Accounts, leases, transactions, attempts."""

    @property
    def runs(self) -> RunBook:
        """Runs, approvals, preparations, outputs, workflows."""

    @property
    def anchors(self) -> AnchorBook:
        """Records on their way into a log."""

    @property
    def secret(self) -> bytes:
        """The HMAC secret that lies outside the database."""


def plan_artifact(plan: Plan | str) -> str:
    """Return the relative path of a plan's file in the artifacts store."""
    digest = plan if isinstance(plan, str) else plan.digest
    return f"plans/{digest}.json"

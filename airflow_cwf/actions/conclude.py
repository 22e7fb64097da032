"""Conclude: say what one agent did in one run, from what the journal holds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_cwf.actions.read_plan import plan_of_task
from airflow_cwf.core.agents import Agent, AgentContext
from airflow_cwf.core.chains import Chain
from airflow_cwf.core.evidence.metadata import AgentEvidence
from airflow_cwf.core.evidence.outputs import make_output, round_fee
from airflow_cwf.core.evidence.receipts import in_order, make_receipt, receipts_root
from airflow_cwf.core.intents import Plan, PlanItem, Scope, asset_id
from airflow_cwf.core.journal_rows import AgentRun, ItemRow
from airflow_cwf.core.payments import payment_key
from airflow_cwf.core.runtime import Runtime
from airflow_cwf.core.states import (
    BUSINESS_REASONS,
    RECEIPT_STATUS,
    ItemState,
    Reason,
    ReceiptStatus,
)

OPEN_REASONS: Mapping[ItemState, Reason] = {
    ItemState.LOADED: Reason.NOT_SENT,
    ItemState.RESERVED: Reason.NOT_SENT,
    ItemState.SENT: Reason.NOT_FINAL,
}


DID_NOT_REPORT = "did not report"


@dataclass(frozen=True, slots=True)
class Ending:
    """How an agent's part ended, apart from what the journal knows anyway."""

    trouble: str | None = None
    """What it raised, as a code without names or addresses."""
    tx_hash: str | None = None
    """A transaction that the agent itself reports."""
    fee: int = 0
    """What it reports to have paid, 10^-9 of the native coin."""
    time_us: int | None = None
    """What it reports to have taken; None: first journalled start to end."""
    further: Mapping[str, Any] = field(default_factory=dict)
    """Members of its own for the output; no floats."""


def receipts_of(plan: Plan, chain: Chain, runtime: Runtime) -> list[dict[str, object]]:
    """Return the receipts of a plan's items on one chain, as the journal stands now."""
    receipts = []
    for scope in plan.scopes_on(chain.caip2):
        rows = {row.key: row for row in runtime.journal.payments.items(scope.id)}
        receipts += [_receipt(item, rows[item.key], scope) for item in plan.items_of(scope.id)]
    return receipts


def _receipt(item: PlanItem, row: ItemRow, scope: Scope) -> dict[str, object]:
    status = RECEIPT_STATUS[row.state]
    reason = None if status is ReceiptStatus.SETTLED else row.reason or OPEN_REASONS.get(row.state)
    tx_hash, log = row.tx_hash, row.log
    if (row.revision, row.digest) != (item.revision, item.digest):
        # The row speaks of a later plan's payment under this key; this plan's never moves.
        status, reason, tx_hash, log = ReceiptStatus.FAILED, Reason.REPLACED, None, None
    return make_receipt(
        salt=f"0x{row.salt}",
        key=payment_key(scope.payroll_id, item.reference),
        scope=f"0x{scope.id}",
        item=item.index,
        chain=scope.chain,
        asset=asset_id(scope.chain, scope.token),
        payer=f"{scope.chain}:{scope.payer}",
        payee=f"{scope.chain}:{item.payee}",
        amount=str(item.amount),
        status=status,
        reason=reason,
        tx_hash=tx_hash,
        log=log,
    )


def count(receipts: Sequence[Mapping[str, object]]) -> dict[str, Any]:
    """Return numbers by status, and reasons with theirs; no personal data."""
    statuses = Counter(str(receipt["status"]) for receipt in receipts)
    reasons = Counter(
        str(receipt["reason"]) for receipt in receipts if receipt["status"] != ReceiptStatus.SETTLED
    )
    return {
        "items": len(receipts),
        **{status.value: statuses.get(status, 0) for status in ReceiptStatus},
        "reasons": dict(sorted(reasons.items())),
    }


def technical_failures(counts: Mapping[str, Any]) -> int:
    """Return how many failed items are neither the payee's nor the policy's business."""
    business = sum(counts["reasons"].get(reason, 0) for reason in BUSINESS_REASONS)
    return int(counts["failed"]) - int(business)


def conclude(agent: Agent, *, context: AgentContext, ending: Ending | None = None) -> AgentEvidence:
    """Build and store an agent's output of this run, from what the journal holds now.

    Concluding again without a change returns the stored output, with its time; so a cleared
    task that finds everything settled leaves the workflow as it was.

    Args:
        agent: whose part it is.
        context: the run.
        ending: how it ended just now; None: as stored, or `did not report`.

    Raises:
        VerificationError: a further member that the agent returned has no place in evidence.
    """
    runs = context.runtime.journal.runs
    now = context.runtime.clock.now()
    part = runs.start_agent(context.run, agent.agent_name, spec=agent.spec(), now=now)
    stored = part.output or {}
    if ending is None:
        ending = Ending(**stored["ending"]) if stored else Ending(trouble=DID_NOT_REPORT)
    receipts = _receipts(agent, context)
    output = _output(agent, part, ending=ending, receipts=receipts, now=now, context=context)
    root = receipts_root(in_order(receipts)).hex()
    if stored and _same(stored, output, root):
        return AgentEvidence(stored["output"], receipts)
    runs.finish_agent(
        context.run,
        agent.agent_name,
        output={"output": output, "receipts": root, "ending": asdict(ending)},
        now=now,
    )
    return AgentEvidence(output, receipts)


def _receipts(agent: Agent, context: AgentContext) -> list[dict[str, object]]:
    run = context.runtime.journal.runs.run(context.run)
    chain = context.runtime.chains.get(agent.chain or "")
    if not agent.pays or run is None or run.plan_digest is None or chain is None:
        return []
    plan = plan_of_task({"plan_digest": run.plan_digest}, context)
    return receipts_of(plan, chain, context.runtime)


def _output(
    agent: Agent,
    part: AgentRun,
    *,
    ending: Ending,
    receipts: Sequence[dict[str, object]],
    now: float,
    context: AgentContext,
) -> dict[str, object]:
    spent = context.runtime.journal.runs.spent(context.run, agent.agent_name)
    known = context.runtime.chains.get(agent.chain or "")
    chain = None if known is None else known.caip2
    hashes = spent.hashes or ((ending.tx_hash,) if ending.tx_hash else ())
    counts = count(receipts)
    further = dict(ending.further)
    if agent.pays:
        here = set(spent.hashes)
        counts["settled_earlier"] = sum(
            r["status"] == ReceiptStatus.SETTLED and r["tx_hash"] not in here for r in receipts
        )
        further |= {"counts": counts, "transactions": spent.transactions}
    return make_output(
        salt=f"0x{part.salt}",
        agent_name=agent.agent_name,
        agent_id=_agent_id(agent, chain, context),
        chain=chain if agent.pays or hashes else None,
        tx_hash=hashes[0] if hashes else None,
        tx_hashes=hashes,
        fee=round_fee(spent.fee) + ending.fee,
        time_us=_time_us(part, ending, now),
        error=ending.trouble or _error(counts),
        further=further,
    )


def _time_us(part: AgentRun, ending: Ending, now: float) -> int:
    if ending.trouble == DID_NOT_REPORT:
        return 0
    if ending.time_us is not None:
        return ending.time_us
    return max(0, round((now - part.started_at) * 1_000_000))


def _agent_id(agent: Agent, chain: str | None, context: AgentContext) -> str:
    """Return the id given, else the signer's account on the chain (CAIP-10), else the name.

    The account, not the bare address: agents of one key on several chains stay distinct.
    """
    if agent.agent_id is not None:
        return agent.agent_id
    if agent.pays and chain is not None:
        return f"{chain}:{context.runtime.signer.address}"
    return agent.agent_name


def _same(stored: Mapping[str, Any], output: Mapping[str, object], root: str) -> bool:
    def timeless(values: Mapping[str, object]) -> dict[str, object]:
        return {name: value for name, value in values.items() if name != "time_us"}

    return stored["receipts"] == root and timeless(stored["output"]) == timeless(output)


def _error(counts: Mapping[str, Any]) -> str | None:
    open_or_failed = counts["failed"] + counts["unresolved"]
    if not open_or_failed:
        return None
    reasons = ", ".join(f"{reason}: {number}" for reason, number in counts["reasons"].items())
    return f"{open_or_failed} of {counts['items']} items not settled ({reasons})"

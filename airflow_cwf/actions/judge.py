"""Judge a final batch: what did it do to each of its items?"""

from collections.abc import Mapping, Sequence

from airflow_cwf.actions.lease import OpenLane
from airflow_cwf.core.batch_outcomes import BatchOutcome, UnclearOutcomeError, decode_outcome
from airflow_cwf.core.batches import BatchItem, PayCall, decode_pay
from airflow_cwf.core.erc20 import (
    PAYER_REFUSED,
    Refusal,
    classify_refusal,
    encode_transfer_from,
)
from airflow_cwf.core.journal_rows import ItemOutcome, ItemRow, RecordedTransaction, TransactionItem
from airflow_cwf.core.states import ItemState, Reason
from airflow_cwf.core.transactions import TransactionReceipt


async def judge_batch(
    lane: OpenLane, transaction: RecordedTransaction, receipt: TransactionReceipt
) -> list[ItemOutcome]:
    """Return each item's outcome, from the receipt of a block that is final.

    A batch that reverted whole paid nobody; one whose logs do not account for every item says
    nothing about any of them.
    """
    if not transaction.items:
        return []
    rows = {row.key: row for row in lane.runtime.journal.payments.items(transaction.scope or "")}
    call = decode_pay(transaction.call.data)
    if not receipt.succeeded:
        blame = await _blame(lane, call)
        return [_unpaid(lane, rows[item.key], blame) for item in transaction.items]
    try:
        outcome = decode_outcome(
            receipt.logs, contract=transaction.call.to, payer=transaction.sender, call=call
        )
    except UnclearOutcomeError:
        return [
            _outcome(item, ItemState.UNCLEAR, Reason.UNCLEAR_OUTCOME) for item in transaction.items
        ]
    refusals = await _refusals(lane, call, outcome)
    return [
        _outcome_of(lane, item, rows[item.key], outcome, refusals) for item in transaction.items
    ]


async def refusal_reasons(
    lane: OpenLane, *, token: str, items: Sequence[BatchItem]
) -> list[str | None]:
    """Return, for each item, why the token would refuse it now (None: it would not).

    The call is the very one that the contract makes: `transferFrom` by `BatchPayment`. A
    transfer of nothing to the payer itself goes first: where that is refused, the payer or the
    token is at fault, and no payee.
    """
    payer = lane.lease.sender
    calls = [(token, encode_transfer_from(payer, payer, 0))]
    calls += [(token, encode_transfer_from(payer, item.payee, item.amount)) for item in items]
    control, *answers = await lane.client.call_each(calls, sender=lane.contract)
    blocked = _refusal(control)
    if blocked is not None:
        return [f"{PAYER_REFUSED}: {blocked}"] * len(items)
    return [_refusal(answer) for answer in answers]


def _refusal(answer: bytes | str) -> str | None:
    if isinstance(answer, str):
        return answer
    if answer in {b"", (1).to_bytes(32)}:  # no data, or true: as the contract reads it
        return None
    return "the token answered false"


async def _blame(lane: OpenLane, call: PayCall) -> Refusal:
    """Return whether a batch reverted whole for the treasury's sake: then no item pays for it."""
    reasons = await refusal_reasons(lane, token=call.token, items=call.items)
    meanings = {classify_refusal(reason) for reason in reasons if reason is not None}
    return Refusal.TREASURY if Refusal.TREASURY in meanings else Refusal.UNKNOWN


async def _refusals(lane: OpenLane, call: PayCall, outcome: BatchOutcome) -> Mapping[int, Refusal]:
    """Return whose fault each failed item is, by asking the token again for its words."""
    failed = [item for item in call.items if item.index in outcome.failed]
    if not failed:
        return {}
    reasons = await refusal_reasons(lane, token=call.token, items=failed)
    return {
        item.index: Refusal.UNKNOWN if reason is None else classify_refusal(reason)
        for item, reason in zip(failed, reasons, strict=True)
    }


def _outcome_of(
    lane: OpenLane,
    item: TransactionItem,
    row: ItemRow,
    outcome: BatchOutcome,
    refusals: Mapping[int, Refusal],
) -> ItemOutcome:
    if item.index in outcome.paid:
        return _outcome(item, ItemState.SETTLED, None, log=outcome.paid[item.index])
    if item.index in outcome.skipped:
        # Its bit was set by a transaction that this journal does not know: paid, perhaps, but
        # not by what is recorded here.
        return _outcome(item, ItemState.CONFLICT, Reason.OTHER_PAYMENT)
    return _unpaid(lane, row, refusals[item.index])


def _unpaid(lane: OpenLane, row: ItemRow, refusal: Refusal) -> ItemOutcome:
    if refusal is Refusal.PAYEE:
        return ItemOutcome(row.key, row.revision, ItemState.FAILED, Reason.BLACKLISTED)
    counts = refusal is Refusal.UNKNOWN  # the treasury's troubles use up no retries
    if counts and row.resends >= lane.max_retries:
        return ItemOutcome(row.key, row.revision, ItemState.FAILED, Reason.REVERTED)
    return ItemOutcome(
        row.key, row.revision, ItemState.RESERVED, Reason.REVERTED, counts_as_resend=counts
    )


def _outcome(
    item: TransactionItem, state: ItemState, reason: Reason | None, *, log: int | None = None
) -> ItemOutcome:
    return ItemOutcome(item.key, item.revision, state, reason, log)

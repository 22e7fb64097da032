"""Simulate a batch before it is signed: find the items that would fail, and whose fault it is."""

from dataclasses import dataclass

from airflow_cwf.actions.judge import refusal_reasons
from airflow_cwf.actions.lease import OpenLane
from airflow_cwf.actions.limit_gas import limit_batch_gas
from airflow_cwf.core.batch_outcomes import decode_pay_result, decode_revert
from airflow_cwf.core.batches import BatchItem, PayCall, encode_pay
from airflow_cwf.core.erc20 import Refusal, classify_refusal
from airflow_cwf.core.errors import CallRevertedError, PreparationError


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a batch would do now."""

    payable: tuple[BatchItem, ...]
    refused: tuple[BatchItem, ...]
    """The token would refuse the payee: not signed."""
    doubtful: tuple[BatchItem, ...]
    """Would fail for a reason nobody knows: sent singly, so that the chain says so."""


async def simulate(lane: OpenLane, call: PayCall) -> Simulation:
    """Run `pay` as an `eth_call` and sort its items.

    One node's word decides only what is *not* signed, never that something was paid.

    Raises:
        PreparationError: the treasury, the allowance or the token as a whole is at fault, or
            the contract would revert: no item's fault, nothing was signed.
    """
    data = encode_pay(call)
    try:
        answer = await lane.client.call(
            lane.contract,
            data,
            sender=lane.lease.sender,
            gas=await limit_batch_gas(lane, call.items, data),
        )
        _, failed, _ = decode_pay_result(answer)
    except CallRevertedError as error:
        if call.atomic:
            return await _sort(lane, call, whole=decode_revert(error.data))
        message = f"BatchPayment would refuse the batch: {decode_revert(error.data)}."
        raise PreparationError(message, chain=lane.chain.caip2) from error
    except ValueError as error:
        message = f"{lane.contract} did not answer as BatchPayment does ({error})."
        raise PreparationError(message, chain=lane.chain.caip2) from error
    if not failed:
        return Simulation(call.items, (), ())
    return await _sort(lane, call, whole=None)


async def _sort(lane: OpenLane, call: PayCall, *, whole: str | None) -> Simulation:
    reasons = await refusal_reasons(lane, token=call.token, items=call.items)
    refused: list[BatchItem] = []
    doubtful: list[BatchItem] = []
    payable: list[BatchItem] = []
    for item, reason in zip(call.items, reasons, strict=True):
        meaning = None if reason is None else classify_refusal(reason)
        if meaning is Refusal.TREASURY:
            message = f"The token refuses every payment: {reason}. No payee is at fault."
            raise PreparationError(message, chain=lane.chain.caip2)
        kind = {None: payable, Refusal.PAYEE: refused, Refusal.UNKNOWN: doubtful}[meaning]
        kind.append(item)
    if not refused and not doubtful:
        # Each would pass alone, all together not: the money does not suffice for them all.
        why = whole or "the treasury or the allowance does not suffice for all of them"
        message = f"The batch of {len(call.items)} would not be paid in full: {why}."
        raise PreparationError(message, chain=lane.chain.caip2)
    return Simulation(tuple(payable), tuple(refused), tuple(doubtful))

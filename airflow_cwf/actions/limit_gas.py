"""Limit a batch's gas: computed from its items, plus what a rollup takes for posting its bytes."""

from typing import Final

from airflow_cwf.actions.lease import OpenLane
from airflow_cwf.core.abi import WORD, address_word, dynamic_bytes, selector, uint_word
from airflow_cwf.core.batches import BatchItem, gas_limit
from airflow_cwf.core.errors import CallRevertedError, PreparationError

NODE_INTERFACE: Final = "0x00000000000000000000000000000000000000c8"
"""https://docs.arbitrum.io/build-decentralized-apps/nodeinterface/reference"""
_L1_COMPONENT: Final = selector("gasEstimateL1Component(address,bool,bytes)")
_ANSWER_BYTES: Final = 3 * WORD
_SAFETY: Final = (5, 4)
"""The base chain's price may rise between the quote and the block."""


async def limit_batch_gas(lane: OpenLane, items: tuple[BatchItem, ...], data: bytes) -> int:
    """Return the gas limit of a `pay` with this calldata on the lane's chain.

    Raises:
        PreparationError: no transaction may have that much gas; nothing was signed.
    """
    posting = await posting_gas(lane, data)
    try:
        return gas_limit(items, calldata=data, posting_gas=posting)
    except ValueError as error:
        message = f"{error} Nothing was signed; wait until posting to the base chain is cheaper."
        raise PreparationError(message, chain=lane.chain.caip2) from error


async def posting_gas(lane: OpenLane, data: bytes) -> int:
    """Return what the lane's rollup takes out of a gas limit for posting `data`; 0 elsewhere."""
    if lane.chain.posting != "arbitrum":
        return 0
    head = address_word(lane.contract) + uint_word(0) + uint_word(3 * WORD)
    try:
        answer = await lane.client.call(
            NODE_INTERFACE, _L1_COMPONENT + head + dynamic_bytes(data), sender=lane.lease.sender
        )
    except CallRevertedError:
        return 0
    if len(answer) != _ANSWER_BYTES:
        return 0
    times, over = _SAFETY
    return int.from_bytes(answer[:WORD]) * times // over

"""Lease a lane: be the only worker that signs for an account on a chain."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from airflow_cwf.core.chains import Chain
from airflow_cwf.core.errors import LaneBusyError, LaneStoppedError
from airflow_cwf.core.journal_rows import Lease
from airflow_cwf.core.ports import ChainClient
from airflow_cwf.core.runtime import Runtime

LEASE_S = 20.0
"""How long a killed worker keeps its lane from the next one."""
PATIENCE_S = 90.0
"""How long a worker waits for a lane that another one holds."""


@dataclass
class OpenLane:
    """A lane this worker may sign on, and what it remembers while it holds it.

    The memory is not trusted with anything but pacing: a new lease starts with none.
    """

    chain: Chain
    client: ChainClient
    runtime: Runtime
    lease: Lease
    contract: str
    max_retries: int
    last_broadcast: dict[str, float] = field(default_factory=dict)
    """Transaction hash to the time a node last had its bytes."""


@asynccontextmanager
async def leased_lane(
    *, chain: Chain, contract: str, runtime: Runtime, max_retries: int
) -> AsyncIterator[OpenLane]:
    """Hold the payer's lane on `chain`; the lease is prolonged until the block is left.

    Raises:
        LaneBusyError: another worker kept it for longer than `PATIENCE_S`.
        LaneStoppedError: the journal does not know the account, or a person has to look first.
    """
    lease = await _acquire(chain, runtime)
    renewing = asyncio.create_task(_renew(lease, runtime))
    try:
        yield OpenLane(
            chain=chain,
            client=runtime.client(chain.name),
            runtime=runtime,
            lease=lease,
            contract=contract,
            max_retries=max_retries,
        )
    finally:
        renewing.cancel()
        # A lost lease shows at the next write, which it fences off; here it changes nothing.
        with suppress(asyncio.CancelledError, LaneBusyError):
            await asyncio.wait({renewing})
        runtime.journal.lanes.release(lease)


async def _acquire(chain: Chain, runtime: Runtime) -> Lease:
    lanes = runtime.journal.lanes
    sender = runtime.signer.address
    if lanes.lane(chain.caip2, sender) is None:
        message = (
            f"The journal has never seen the payer {sender} on {chain.name}, so it cannot tell "
            "whether something of it is in flight. Nothing was signed. If the key has never "
            f"signed there, run `cwf journal adopt --unused --chain {chain.name}`."
        )
        raise LaneStoppedError(message, chain=chain.caip2)
    deadline = runtime.clock.now() + PATIENCE_S
    while True:
        try:
            return lanes.acquire(chain.caip2, sender, owner=runtime.worker, ttl_s=LEASE_S)
        except LaneBusyError:
            if runtime.clock.now() >= deadline:
                raise
        await runtime.clock.sleep(1.0)


async def _renew(lease: Lease, runtime: Runtime) -> None:
    while True:
        await runtime.clock.sleep(LEASE_S / 4)
        runtime.journal.lanes.renew(lease, ttl_s=LEASE_S)

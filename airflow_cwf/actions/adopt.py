"""Adopt an account that has never signed, so that its lane may open."""

from airflow_cwf.actions.check_node import check_node
from airflow_cwf.core.errors import LaneStoppedError
from airflow_cwf.core.journal_rows import Lane
from airflow_cwf.core.runtime import Runtime
from airflow_cwf.core.states import LaneState


async def adopt_unused(chain_name: str, *, runtime: Runtime) -> Lane:
    """Open the payer's lane on a chain where the key has signed nothing yet.

    A nonce of zero, final, latest and pending, is what a node can show; that no signed bytes
    lie anywhere else is the caller's word (the key was made just now, or the chain was).
    Adopting a lane that is open already changes nothing.

    Raises:
        LaneStoppedError: the account has used nonces, so its history has to be rebuilt.
        WrongChainError, SignerError, TransportError: see `actions.check_node`.
    """
    client = runtime.client(chain_name)
    chain = runtime.chains[chain_name]
    sender = runtime.signer.address
    await check_node(chain, client, runtime)
    lanes = runtime.journal.lanes
    known = lanes.lane(chain.caip2, sender)
    if known is not None:
        return known
    used = max([await client.nonce(sender, at) for at in ("latest", "pending")])
    if used:
        message = (
            f"{sender} has used {used} nonces on {chain.name}, so it is not unused: signed bytes "
            "of it may still be about. Use a new key for this journal."
        )
        raise LaneStoppedError(message, chain=chain.caip2)
    lanes.adopt(chain.caip2, sender, first_nonce=0)
    return Lane(chain.caip2, sender, state=LaneState.OPEN, reason=None, first_nonce=0)

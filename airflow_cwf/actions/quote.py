"""Quote fees: read the fee history and apply the run's strategy."""

from airflow_cwf.core.fees import HISTORY_BLOCKS, PERCENTILES, GasStrategy
from airflow_cwf.core.ports import ChainClient
from airflow_cwf.core.transactions import FeeQuote


async def quote(client: ChainClient, strategy: GasStrategy, *, cap: int | None) -> FeeQuote:
    """Return fees for a transaction that is signed now.

    Args:
        client: the chain.
        strategy: how fast and how dear.
        cap: wei per gas that no quote may pass, by policy.

    Raises:
        FeeCapError: even the next block's base fee is above the cap; nothing is signed.
        TransportError: the node did not answer.
    """
    return strategy.quote(await client.fee_history(HISTORY_BLOCKS, PERCENTILES), cap=cap)

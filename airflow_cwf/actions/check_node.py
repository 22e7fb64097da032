"""Check a node: does it serve the chain it is taken for, and may this key sign there?"""

from airflow_cwf.core.chains import Chain
from airflow_cwf.core.development import DEVELOPMENT_ACCOUNTS, is_embedded
from airflow_cwf.core.errors import SignerError, WrongChainError
from airflow_cwf.core.ports import ChainClient
from airflow_cwf.core.runtime import Runtime


async def check_node(chain: Chain, client: ChainClient, runtime: Runtime) -> None:
    """Check that the node serves the chain it is taken for, and that the key may sign there.

    Raises:
        WrongChainError: another chain id or genesis.
        SignerError: a real key against an embedded node, or a published key against a real one.
    """
    served = await client.chain_id()
    if served != chain.eip155_id:
        message = (
            f"The node of {chain.name} serves chain id {served}, not {chain.eip155_id}. Nothing "
            "was signed. Correct the connection."
        )
        raise WrongChainError(message, chain=chain.caip2)
    embedded = is_embedded(await client.client_version())
    genesis = await client.genesis()
    if chain.genesis is not None and genesis != chain.genesis and not embedded:
        message = (
            f"The node of {chain.name} serves another network: its genesis is {genesis[:10]}.., "
            f"not {chain.genesis[:10]}... Nothing was signed. Correct the connection."
        )
        raise WrongChainError(message, chain=chain.caip2)
    runtime.journal.lanes.pin_genesis(chain.caip2, genesis)
    published = runtime.signer.address in DEVELOPMENT_ACCOUNTS
    if embedded and not published:
        message = (
            f"{chain.name} is served by a development node, and {runtime.signer.address} is not "
            "one of its published keys: bytes signed there would be valid on the real chain. "
            "Nothing was signed."
        )
        raise SignerError(message)
    if published and not embedded:
        message = (
            f"{runtime.signer.address} is a published development key, and {chain.name} is served "
            "by a real node: anybody could take what it holds. Nothing was signed."
        )
        raise SignerError(message)

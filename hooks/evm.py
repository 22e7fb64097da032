"""EvmHook: an `evm` connection, as RPC endpoints of one chain."""

import asyncio
from typing import Any

from airflow.sdk import BaseHook, Connection

from airflow_cwf.core.errors import ConfigError, CwfError


class EvmHook(BaseHook):
    """RPC endpoints of one EVM chain.

    Connection type `evm`: `host` is the endpoint's URL; `{password}` in it is replaced by the
    connection's password, so that a provider's token stays out of the host; `extra.urls` lists
    further endpoints for failover; `extra.chain` names the chain for `test_connection`.

    Args:
        evm_conn_id: the connection; by convention `evm_<chain>`.
    """

    conn_name_attr = "evm_conn_id"
    default_conn_name = "evm_default"
    conn_type = "evm"
    hook_name = "EVM chain (JSON-RPC)"

    def __init__(self, evm_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.evm_conn_id = evm_conn_id

    def get_conn(self) -> tuple[str, ...]:
        """Return the endpoints' URLs, the preferred one first.

        Raises:
            ConfigError: the connection names no host.
        """
        return endpoints(self.get_connection(self.evm_conn_id))

    def test_connection(self) -> tuple[bool, str]:
        """Ask the node which chain it serves."""
        connection = self.get_connection(self.evm_conn_id)
        name = connection.extra_dejson.get("chain") or self.evm_conn_id.removeprefix("evm_")
        try:
            return True, asyncio.run(_greet(name, endpoints(connection)))
        except CwfError as error:
            return False, str(error)


def endpoints(connection: Connection) -> tuple[str, ...]:
    """Return the URLs of an `evm` connection.

    Raises:
        ConfigError: it names no host.
    """
    if not connection.host:
        message = f"The connection {connection.conn_id} has no host: put the RPC URL there."
        raise ConfigError(message)
    first = connection.host
    if "://" not in first:
        port = f":{connection.port}" if connection.port else ""
        first = f"{connection.schema or 'https'}://{first}{port}"
    further: list[Any] = connection.extra_dejson.get("urls", [])
    password = connection.password or ""
    return tuple(str(url).replace("{password}", password) for url in [first, *further])


async def _greet(name: str, urls: tuple[str, ...]) -> str:
    from airflow_cwf.wiring import connect_chain, load_chains

    chains = load_chains()
    if name not in chains:
        message = f"Set extra.chain to one of {', '.join(sorted(chains))} to test this connection."
        raise ConfigError(message)
    client = connect_chain(chains[name], urls)
    served, head = await client.chain_id(), await client.block("latest")
    wanted = chains[name].eip155_id
    if served != wanted:
        message = f"The node serves chain id {served}, not {wanted} ({name})."
        raise ConfigError(message)
    return f"{name}, chain id {served}, block {head.number}"

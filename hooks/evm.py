"""EvmHook: an `evm` connection, as RPC endpoints of one chain."""

import asyncio

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from airflow_cwf.core.errors import ConfigError, CwfError
from airflow_cwf.hooks.extras import read_extra

PLACEHOLDER = "{password}"


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
            ConfigError: the connection is incomplete or malformed.
        """
        return endpoints(self.get_connection(self.evm_conn_id))

    def test_connection(self) -> tuple[bool, str]:
        """Ask the node which chain it serves."""
        try:
            connection = self.get_connection(self.evm_conn_id)
            name = read_extra(connection).get("chain") or self.evm_conn_id.removeprefix("evm_")
            return True, asyncio.run(_greet(str(name), endpoints(connection)))
        except (CwfError, AirflowNotFoundException) as error:
            return False, str(error)


def endpoints(connection: Connection) -> tuple[str, ...]:
    """Return the URLs of an `evm` connection; its password is masked in logs from here on.

    Raises:
        ConfigError: it names no host, a URL is not HTTP, or the token for it is missing. URLs
            may hold tokens and are not repeated.
    """
    if not connection.host:
        message = f"The connection {connection.conn_id} has no host: put the RPC URL there."
        raise ConfigError(message)
    first = connection.host
    if "://" not in first:
        port = f":{connection.port}" if connection.port else ""
        first = f"{connection.schema or 'https'}://{first}{port}"
    urls = [first, *_further(connection)]
    if not all(url.startswith(("http://", "https://")) for url in urls):
        message = f"The connection {connection.conn_id} holds a URL that is not http(s)://..."
        raise ConfigError(message)
    if any(PLACEHOLDER in url for url in urls):
        if not connection.password:
            message = (
                f"A URL of the connection {connection.conn_id} has a place for the password, and "
                "the connection has no password: put the provider's token there."
            )
            raise ConfigError(message)
        mask_secret(connection.password)
    return tuple(url.replace(PLACEHOLDER, connection.password or "") for url in urls)


def _further(connection: Connection) -> list[str]:
    further = read_extra(connection).get("urls") or []
    if not (isinstance(further, list) and all(isinstance(url, str) for url in further)):
        message = f"`urls` in the extra of the connection {connection.conn_id} is a list of URLs."
        raise ConfigError(message)
    return further


async def _greet(name: str, urls: tuple[str, ...]) -> str:
    from airflow_cwf.core.settings import Settings
    from airflow_cwf.hooks.chains import read_chains
    from airflow_cwf.wiring import runtime

    chains = read_chains()
    if name not in chains:
        message = f"Set extra.chain to one of {', '.join(sorted(chains))} to test this connection."
        raise ConfigError(message)
    # Only the chain's client is made of these settings; the rest stays untouched.
    settings = Settings(
        home="", artifacts="", journal_url="", chains=chains, endpoints={name: urls}
    )
    async with runtime(settings) as ports:
        client = ports.client(name)
        served, head = await client.chain_id(), await client.block("latest")
    wanted = chains[name].eip155_id
    if served != wanted:
        message = f"The node serves chain id {served}, not {wanted} ({name})."
        raise ConfigError(message)
    return f"{name}, chain id {served}, block {head.number}"

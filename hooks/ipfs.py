"""IpfsHook: a `cwf_ipfs` connection, as the node that pins what is published."""

import asyncio

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_cwf.core.errors import ConfigError, CwfError
from airflow_cwf.core.settings import StorageSettings


class IpfsHook(BaseHook):
    """The RPC API of a Kubo node.

    Connection type `cwf_ipfs`: `host` is the API's URL (`http://127.0.0.1:5001`); `password`, if
    set, is sent as the `Authorization` header (Kubo: `API.Authorizations`). Without a connection
    the CAR files in the artifacts store are the storage.

    Args:
        ipfs_conn_id: the connection.
    """

    conn_name_attr = "ipfs_conn_id"
    default_conn_name = "ipfs_default"
    conn_type = "cwf_ipfs"
    hook_name = "IPFS (Kubo RPC)"

    def __init__(self, ipfs_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.ipfs_conn_id = ipfs_conn_id

    def get_conn(self) -> StorageSettings:
        """Return the node's settings; its password is masked in logs from here on.

        Raises:
            ConfigError: the connection names no host.
        """
        connection = self.get_connection(self.ipfs_conn_id)
        if not connection.host:
            message = (
                f"The connection {self.ipfs_conn_id} has no host: put the RPC API's URL there."
            )
            raise ConfigError(message)
        url = connection.host
        if "://" not in url:
            port = f":{connection.port}" if connection.port else ""
            url = f"{connection.schema or 'http'}://{url}{port}"
        if connection.password:
            mask_secret(connection.password)
        return StorageSettings(url, connection.password or None)

    def test_connection(self) -> tuple[bool, str]:
        """Pin an empty record and read it back."""
        from airflow_cwf.wiring import pin_probe

        try:
            return True, f"The node pinned {asyncio.run(pin_probe(self.get_conn()))}."
        except CwfError as error:
            return False, str(error)

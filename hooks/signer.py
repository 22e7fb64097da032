"""SignerHook: a `cwf_signer` connection, as the payer's key."""

import json
from pathlib import Path

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from airflow_cwf.core.errors import ConfigError, CwfError
from airflow_cwf.core.ports import Signer
from airflow_cwf.core.settings import SignerSettings
from airflow_cwf.hooks.extras import read_extra


class SignerHook(BaseHook):
    """The key that signs payments.

    Connection type `cwf_signer`: with `extra.keystore` (JSON text of a keystore V3, or
    `extra.keystore_path`), `password` is its passphrase; without one, `password` is the private
    key itself in hex. `extra.policy` may hold the platform's policy for this key.

    Args:
        signer_conn_id: the connection.
    """

    conn_name_attr = "signer_conn_id"
    default_conn_name = "cwf_signer_default"
    conn_type = "cwf_signer"
    hook_name = "CWF signer"

    def __init__(self, signer_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.signer_conn_id = signer_conn_id

    def get_conn(self) -> Signer:
        """Open the key.

        Raises:
            SignerError: it cannot be opened.
            ConfigError: the connection is incomplete.
        """
        from airflow_cwf.wiring import open_signer

        return open_signer(signer_settings(self.get_connection(self.signer_conn_id)))

    def test_connection(self) -> tuple[bool, str]:
        """Open the key and name its address."""
        try:
            return True, f"The key of {self.get_conn().address} can sign."
        except (CwfError, AirflowNotFoundException) as error:
            return False, str(error)


def signer_settings(connection: Connection) -> SignerSettings:
    """Return what a `cwf_signer` connection says; its secret is masked in logs from here on.

    Raises:
        ConfigError: no password, or a keystore file that cannot be read.
    """
    if not connection.password:
        message = (
            f"The connection {connection.conn_id} has no password: put the keystore's passphrase "
            "there, or the private key."
        )
        raise ConfigError(message)
    mask_secret(connection.password)
    extra = read_extra(connection)
    keystore = extra.get("keystore")
    if isinstance(keystore, dict):
        keystore = json.dumps(keystore)
    path = extra.get("keystore_path")
    if keystore is None and path:
        try:
            keystore = Path(path).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            message = f"The keystore {path} cannot be read ({type(error).__name__})."
            raise ConfigError(message) from error
    kind = "private_key" if keystore is None else "keystore"
    return SignerSettings(kind=kind, secret=connection.password, keystore=keystore)

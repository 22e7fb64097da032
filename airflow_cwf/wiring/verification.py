"""What `cwf verify` takes from the machine it runs on: the trust file, an IPFS node."""

from importlib.resources import files
from pathlib import Path

import httpx

from airflow_cwf.adapters.storage.kubo import KuboStore
from airflow_cwf.core.errors import ConfigError
from airflow_cwf.core.evidence.trust import MAX_TRUST_BYTES, NO_TRUST, Trust, parse_trust
from airflow_cwf.core.ports import ContentStore

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)


def load_trust(path: Path | None = None) -> Trust:
    """Return what a trust file says; without a path, the one that this package ships.

    Raises:
        ConfigError: it cannot be read, or is no trust file.
    """
    if path is None:
        shipped = files("airflow_cwf").joinpath("data", "trust.json")
        return parse_trust(shipped.read_bytes()) if shipped.is_file() else NO_TRUST
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TRUST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"The trust file {path} cannot be read: {error.strerror}.") from error
    return parse_trust(data)


def connect_ipfs(url: str) -> ContentStore:
    """Return the store behind an IPFS node's RPC API, for a process that ends with it.

    Raises:
        ConfigError: `url` is no http or https URL.
    """
    return KuboStore(url, http=httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False))

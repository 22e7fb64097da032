"""The allow-list of chains, as Airflow's configuration extends it."""

from airflow.sdk.configuration import conf

from airflow_cwf.core.chains import Chain
from airflow_cwf.hooks.journal import home


def read_chains() -> dict[str, Chain]:
    """Return the allow-list of chains: the shipped one, extended by `[cwf] chains_file`.

    Raises:
        ConfigError: the file is no chain table.
    """
    from airflow_cwf.wiring import load_chains

    return load_chains(conf.get("cwf", "chains_file", fallback="") or str(home() / "chains.json"))


def anchor_chain() -> str | None:
    """Return `[cwf] anchor_chain`, or None: then records are proved but not anchored."""
    return conf.get("cwf", "anchor_chain", fallback="") or None

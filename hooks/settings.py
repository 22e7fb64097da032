"""Airflow's connections and `[cwf]` section, read into one frozen `Settings`."""

import json
from collections.abc import Sequence

from airflow.sdk import BaseHook
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_cwf.core.policies import Policy, parse_policy
from airflow_cwf.core.settings import (
    SanctionsSettings,
    Settings,
    SignerSettings,
    StorageSettings,
)
from airflow_cwf.hooks.chains import anchor_chain, read_chains
from airflow_cwf.hooks.evm import endpoints
from airflow_cwf.hooks.extras import read_extra
from airflow_cwf.hooks.ipfs import IpfsHook
from airflow_cwf.hooks.journal import JournalHook, home
from airflow_cwf.hooks.sanctions import SanctionsHook
from airflow_cwf.hooks.signer import SignerHook, signer_settings


def read_settings(
    *,
    chains: Sequence[str],
    evm_conn_id: str | None = None,
    signer_conn_id: str = SignerHook.default_conn_name,
    journal_conn_id: str = JournalHook.default_conn_name,
    ofac_http_conn_id: str = SanctionsHook.default_conn_name,
    ipfs_conn_id: str = IpfsHook.default_conn_name,
) -> Settings:
    """Return the settings of a task.

    A connection that does not exist is left out here; the action that needs it says so, and how
    to add it.

    Args:
        chains: names of the chains whose endpoints the task needs.
        evm_conn_id: one connection for all of them; None: `evm_<chain>`, then `evm_default`.
        signer_conn_id: the payer's key.
        journal_conn_id: the journal.
        ofac_http_conn_id: the sanctions list.
        ipfs_conn_id: the node that pins what is published.

    Raises:
        ConfigError: a connection, file or option is wrong.
    """
    place = home()
    signer, policy = _signer(signer_conn_id)
    return Settings(
        home=str(place),
        artifacts=conf.get("cwf", "artifacts_path", fallback="") or str(place / "artifacts"),
        journal_url=JournalHook(journal_conn_id).get_conn(),
        chains=read_chains(),
        endpoints={
            chain: urls for chain in chains if (urls := _endpoints(chain, evm_conn_id)) is not None
        },
        signer=signer,
        sanctions=_sanctions(ofac_http_conn_id),
        policy=policy,
        environment=conf.get("cwf", "environment", fallback="production"),
        anchor_chain=anchor_chain(),
        storage=_storage(ipfs_conn_id),
        prover=conf.get("cwf", "prover_path", fallback="") or None,
    )


def _endpoints(chain: str, evm_conn_id: str | None) -> tuple[str, ...] | None:
    for name in [evm_conn_id] if evm_conn_id else [f"evm_{chain}", "evm_default"]:
        try:
            return endpoints(BaseHook.get_connection(name))
        except AirflowNotFoundException:
            continue
    return None


def _signer(conn_id: str) -> tuple[SignerSettings | None, Policy]:
    """Return the key and the platform's policy: the key's own, else `[cwf] policy_file`."""
    from airflow_cwf.wiring import load_policy

    policy = load_policy(conf.get("cwf", "policy_file", fallback="") or None)
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None, policy
    own = read_extra(connection).get("policy")
    if own is not None:
        policy = parse_policy(json.dumps(own), source=f"the connection {conn_id}")
    return signer_settings(connection), policy


def _sanctions(conn_id: str) -> SanctionsSettings | None:
    try:
        return SanctionsHook(conn_id).get_conn()
    except AirflowNotFoundException:
        return None


def _storage(conn_id: str) -> StorageSettings | None:
    try:
        return IpfsHook(conn_id).get_conn()
    except AirflowNotFoundException:
        return None

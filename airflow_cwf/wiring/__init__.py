"""The composition root: the one place that maps names to classes, and knows the adapters."""

from airflow_cwf.adapters.signers.keystore import write_keystore
from airflow_cwf.adapters.sources.files import read_source
from airflow_cwf.wiring.environment import (
    load_chains,
    load_policy,
    settings_from_environment,
    signer_from_file,
)
from airflow_cwf.wiring.runtime import (
    connect_chain,
    load_contract,
    load_sanctions,
    migrate_journal,
    open_journal,
    open_signer,
    pin_probe,
    private_key_signer,
    runtime,
)

__all__ = [
    "connect_chain",
    "load_chains",
    "load_contract",
    "load_policy",
    "load_sanctions",
    "migrate_journal",
    "open_journal",
    "open_signer",
    "pin_probe",
    "private_key_signer",
    "read_source",
    "runtime",
    "settings_from_environment",
    "signer_from_file",
    "write_keystore",
]

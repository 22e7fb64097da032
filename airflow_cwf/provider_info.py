"""What Airflow reads about this provider: connection types, options, integrations."""

from importlib.metadata import version
from typing import Any

OPTIONS: dict[str, dict[str, Any]] = {
    "home": {
        "description": "Folder of the journal (SQLite), its secret and caches. Default: `cwf` "
        "under AIRFLOW_HOME. It must outlive the tasks: losing it stops every lane.",
        "default": "",
    },
    "artifacts_path": {
        "description": "Folder or object store of plans, receipts and metadata; private. Default: "
        "`artifacts` under `home`.",
        "default": "",
    },
    "chains_file": {
        "description": "JSON that extends the shipped chain table: own chains, tokens, contracts. "
        "Default: `chains.json` under `home`, if there is one.",
        "default": "",
    },
    "environment": {
        "description": "`production` or `development`. Only the latter accepts development keys: "
        "everybody can forge proofs under them.",
        "default": "production",
    },
    "anchor_chain": {
        "description": "Name of the chain whose WorkflowAnchor keeps the log of records. Empty: "
        "records are proved, but not anchored.",
        "default": "",
    },
    "prover_path": {
        "description": "Folder that `cwf prover install` filled. Default: `prover` under `home`.",
        "default": "",
    },
    "policy_file": {
        "description": "JSON of the platform's limits: `max_per_run`, `max_fee_per_gas_gwei`, "
        "`require_approval`. The signer connection's `extra.policy` goes first.",
        "default": "",
    },
}

CONNECTION_TYPES: list[dict[str, Any]] = [
    {
        "connection-type": "evm",
        "hook-class-name": "airflow_cwf.hooks.evm.EvmHook",
        "hook-name": "EVM chain (JSON-RPC)",
        "ui-field-behaviour": {
            "hidden-fields": ["login", "schema"],
            "relabeling": {"host": "RPC URL", "password": "Token for {password} in the URL"},
            "placeholders": {"host": "https://rpc.example.com/{password}"},
        },
        "conn-fields": {
            "chain": {
                "label": "Chain",
                "description": "Name in the chain table, for `Test`",
                "schema": {"type": ["string", "null"]},
            },
        },
    },
    {
        "connection-type": "cwf_ipfs",
        "hook-class-name": "airflow_cwf.hooks.ipfs.IpfsHook",
        "hook-name": "IPFS (Kubo RPC)",
        "ui-field-behaviour": {
            "hidden-fields": ["login", "schema", "extra"],
            "relabeling": {"host": "RPC API URL", "password": "Authorization header"},
            "placeholders": {"host": "http://127.0.0.1:5001"},
        },
    },
    {
        "connection-type": "cwf_signer",
        "hook-class-name": "airflow_cwf.hooks.signer.SignerHook",
        "hook-name": "CWF signer",
        "ui-field-behaviour": {
            "hidden-fields": ["host", "port", "login", "schema"],
            "relabeling": {"password": "Keystore passphrase, or private key"},
        },
        "conn-fields": {
            "keystore_path": {
                "label": "Keystore file",
                "description": "Path of a keystore V3 on the workers",
                "schema": {"type": ["string", "null"]},
            },
        },
    },
]


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description for Airflow's provider manager."""
    options = {
        name: {"version_added": "0.1.0", "type": "string", "example": None, **option}
        for name, option in OPTIONS.items()
    }
    return {
        "package-name": "airflow-cwf",
        "name": "CWF",
        "description": "On-chain work as an ordinary Airflow DAG.",
        "versions": [version("airflow-cwf")],
        "connection-types": CONNECTION_TYPES,
        "operators": [
            {
                "integration-name": "CWF",
                "python-modules": [
                    "airflow_cwf.operators.agent",
                    "airflow_cwf.operators.anchor",
                    "airflow_cwf.operators.payments",
                    "airflow_cwf.operators.workflow",
                ],
            }
        ],
        "hooks": [
            {
                "integration-name": "CWF",
                "python-modules": [
                    f"airflow_cwf.hooks.{name}"
                    for name in ("evm", "gas", "ipfs", "journal", "sanctions", "signer")
                ],
            }
        ],
        "triggers": [
            {"integration-name": "CWF", "python-modules": ["airflow_cwf.triggers.blocks"]}
        ],
        "config": {"cwf": {"description": "Options of airflow-cwf.", "options": options}},
    }

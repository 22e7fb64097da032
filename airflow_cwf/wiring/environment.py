"""Settings of a process outside Airflow: environment variables and files."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from airflow_cwf.core.chains import Chain, parse_chains
from airflow_cwf.core.errors import ConfigError
from airflow_cwf.core.policies import Policy, parse_policy
from airflow_cwf.core.ports import Signer
from airflow_cwf.core.settings import (
    SanctionsSettings,
    Settings,
    SignerSettings,
    StorageSettings,
)
from airflow_cwf.wiring.runtime import open_signer


def load_chains(chains_file: str | None = None) -> dict[str, Chain]:
    """Return the shipped chain table, extended by a file of the user's if there is one.

    Raises:
        ConfigError: the file is no chain table.
    """
    shipped = files("airflow_cwf").joinpath("data", "chains.json").read_text(encoding="utf-8")
    chains = parse_chains(shipped)
    if chains_file is not None and Path(chains_file).exists():
        text = Path(chains_file).read_text(encoding="utf-8")
        chains = parse_chains(text, base=chains, source=chains_file)
    return chains


def settings_from_environment(environ: Mapping[str, str]) -> Settings:
    """Return the settings of a process outside Airflow.

    `CWF_HOME` (default `~/.cwf`), `CWF_RPC_<CHAIN>` (URLs, separated by commas), `CWF_SIGNER`
    (keystore file) with `CWF_SIGNER_PASSWORD_FILE`, `CWF_JOURNAL` (SQLAlchemy URL),
    `CWF_ARTIFACTS`, `CWF_CHAINS_FILE`, `CWF_POLICY_FILE`, `CWF_OFAC` (folder of the two files),
    `CWF_ENVIRONMENT` (`production` or `development`), `CWF_ANCHOR_CHAIN`, `CWF_IPFS` (URL of a
    Kubo node's RPC API), `CWF_PROVER` (folder of the prover, default `prover` in the home).
    """
    home = Path(environ.get("CWF_HOME", "~/.cwf")).expanduser()
    policy_file = environ.get("CWF_POLICY_FILE")
    chains = load_chains(environ.get("CWF_CHAINS_FILE", str(home / "chains.json")))
    signer = environ.get("CWF_SIGNER")
    return Settings(
        home=str(home),
        artifacts=environ.get("CWF_ARTIFACTS", str(home / "artifacts")),
        journal_url=environ.get("CWF_JOURNAL", f"sqlite:///{home / 'journal.db'}"),
        chains=chains,
        endpoints={
            name: tuple(url.strip() for url in urls.split(","))
            for name in chains
            if (urls := environ.get(f"CWF_RPC_{name.upper().replace('-', '_')}"))
        },
        signer=None
        if signer is None
        else _keystore_settings(signer, environ.get("CWF_SIGNER_PASSWORD_FILE")),
        sanctions=_sanctions_settings(environ),
        policy=load_policy(policy_file),
        environment=environ.get("CWF_ENVIRONMENT", "production"),
        anchor_chain=environ.get("CWF_ANCHOR_CHAIN") or None,
        storage=_storage_settings(environ),
        prover=environ.get("CWF_PROVER") or None,
    )


def load_policy(path: str | None) -> Policy:
    """Return the policy in a file; without a file, the one that limits nothing but the plan.

    Raises:
        ConfigError: the file is named but cannot be read.
    """
    if path is None:
        return Policy()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        message = f"The policy file {path} cannot be read ({type(error).__name__})."
        raise ConfigError(message) from error
    return parse_policy(text, source=path)


def signer_from_file(path: str, password_file: str | None) -> Signer:
    """Open a keystore file with the passphrase in another file.

    Raises:
        ConfigError: a file is missing.
        SignerError: the passphrase does not open it.
    """
    return open_signer(_keystore_settings(path, password_file))


def _keystore_settings(path: str, password_file: str | None) -> SignerSettings:
    if password_file is None:
        message = f"The keystore {path} needs a passphrase: set CWF_SIGNER_PASSWORD_FILE."
        raise ConfigError(message)
    try:
        keystore = Path(path).expanduser().read_text(encoding="utf-8")
        password = Path(password_file).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        message = f"The keystore or its passphrase cannot be read ({error.strerror}): {path}."
        raise ConfigError(message) from error
    return SignerSettings(kind="keystore", secret=password, keystore=keystore)


def _storage_settings(environ: Mapping[str, str]) -> StorageSettings | None:
    url = environ.get("CWF_IPFS")
    return None if url is None else StorageSettings(url, environ.get("CWF_IPFS_AUTHORIZATION"))


def _sanctions_settings(environ: Mapping[str, str]) -> SanctionsSettings | None:
    folder = environ.get("CWF_OFAC")
    if folder is None:
        return None
    least = environ.get("CWF_OFAC_MIN_ENTRIES")
    return SanctionsSettings(
        sdn=f"{folder}/sdn.csv",
        comments=f"{folder}/sdn_comments.csv",
        min_entries=None if least is None else int(least),
    )

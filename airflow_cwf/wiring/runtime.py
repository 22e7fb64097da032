"""Ports made from settings: one table per port, names to classes."""

import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Final

import httpx

from airflow_cwf.adapters.clocks import SystemClock
from airflow_cwf.adapters.evm.client import EvmClient
from airflow_cwf.adapters.evm.codec import Eip1559Codec
from airflow_cwf.adapters.journal import SqlJournal
from airflow_cwf.adapters.screening.ofac import DEFAULT_BASE_URL, OfacFiles, OfacHttp
from airflow_cwf.adapters.signers.keystore import open_keystore
from airflow_cwf.adapters.signers.private_key import PrivateKeySigner
from airflow_cwf.adapters.storage import UpathArtifacts
from airflow_cwf.adapters.storage.kubo import KuboStore
from airflow_cwf.core.chains import Chain
from airflow_cwf.core.circuits import Circuit
from airflow_cwf.core.contracts import ContractArtifact, parse_artifact
from airflow_cwf.core.errors import ConfigError, MissingConnectionError
from airflow_cwf.core.evidence.car import record_car
from airflow_cwf.core.evidence.cid import raw_cid
from airflow_cwf.core.policies import Policy
from airflow_cwf.core.ports import (
    Artifacts,
    ChainClient,
    Clock,
    ContentStore,
    Prover,
    SanctionsSource,
    Signer,
)
from airflow_cwf.core.screening import SanctionsList
from airflow_cwf.core.settings import (
    SanctionsSettings,
    Settings,
    SignerSettings,
    StorageSettings,
)
from airflow_cwf.wiring.prover import load_circuits, open_prover

SIGNERS: Final[Mapping[str, Callable[[SignerSettings], Signer]]] = {
    "keystore": lambda s: open_keystore(s.keystore or "", s.secret),
    "private_key": lambda s: PrivateKeySigner.from_hex(s.secret),
}
HTTP_LIMITS: Final = httpx.Limits(max_connections=32, max_keepalive_connections=16)
HTTP_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
SECRET_BYTES: Final = 32


class WiredRuntime:
    """`core.runtime.Runtime` made from settings; parts are made at first use."""

    def __init__(self, settings: Settings, *, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._http = http
        self._clients: dict[str, ChainClient] = {}
        self.worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.clock: Clock = SystemClock()
        self.codec = Eip1559Codec()

    @property
    def chains(self) -> Mapping[str, Chain]:
        """The allow-list of chains, by name."""
        return self._settings.chains

    @property
    def policy(self) -> Policy:
        """The platform's limits."""
        return self._settings.policy

    @cached_property
    def journal(self) -> SqlJournal:
        """The journal, schema and secret checked."""
        journal = open_journal(self._settings.home, self._settings.journal_url)
        journal.open()
        return journal

    @cached_property
    def artifacts(self) -> Artifacts:
        """The private file store."""
        return UpathArtifacts(self._settings.artifacts)

    @cached_property
    def signer(self) -> Signer:
        """The payer's key."""
        settings = self._settings.signer
        if settings is None:
            message = (
                "No signer is configured, so nothing can be signed. In Airflow add the connection "
                "`cwf_signer_default`; elsewhere set CWF_SIGNER to a keystore file."
            )
            raise ConfigError(message)
        return open_signer(settings)

    @cached_property
    def sanctions(self) -> SanctionsSource:
        """The sanctions list's source."""
        settings = self._settings.sanctions
        if settings is None:
            message = (
                "No sanctions list is configured, so nothing is signed. In Airflow add the "
                "connection `ofac_default`; elsewhere set CWF_OFAC to the folder that holds "
                "sdn.csv and sdn_comments.csv."
            )
            raise ConfigError(message)
        return _sanctions(settings, http=self._http, clock=self.clock)

    @cached_property
    def workflow_anchor(self) -> ContractArtifact:
        """The contract that keeps the heads of logs."""
        return load_contract("WorkflowAnchor")

    @property
    def anchor_chain(self) -> str | None:
        """Name of the chain on which records are anchored."""
        return self._settings.anchor_chain

    @cached_property
    def circuits(self) -> Mapping[str, Circuit]:
        """The circuits there are keys for, by id."""
        return load_circuits()

    @cached_property
    def prover(self) -> Prover:
        """Makes proofs; nothing is looked at before the first one."""
        place = self._settings.prover or Path(self._settings.home) / "prover"
        return open_prover(place, environment=self._settings.environment)

    @cached_property
    def storage(self) -> ContentStore | None:
        """Pins what is published; None: the CAR file is the storage."""
        settings = self._settings.storage
        if settings is None:
            return None
        return KuboStore(settings.url, http=self._http, authorization=settings.authorization)

    @cached_property
    def batch_payment(self) -> ContractArtifact:
        """The lock on chain."""
        return load_contract("BatchPayment")

    def client(self, chain: str) -> ChainClient:
        """Return the client of a chain by name."""
        if chain not in self._clients:
            urls = self._settings.endpoints.get(chain)
            if chain not in self.chains or not urls:
                raise MissingConnectionError(_no_endpoint(chain, self.chains))
            self._clients[chain] = EvmClient(urls, chain=self.chains[chain].caip2, http=self._http)
        return self._clients[chain]


@asynccontextmanager
async def runtime(settings: Settings) -> AsyncIterator[WiredRuntime]:
    """Yield a runtime for one stay in the event loop; its connections end with it."""
    async with httpx.AsyncClient(limits=HTTP_LIMITS, timeout=HTTP_TIMEOUT) as http:
        wired = WiredRuntime(settings, http=http)
        try:
            yield wired
        finally:
            if "journal" in vars(wired):
                wired.journal.close()


def connect_chain(chain: Chain, urls: Sequence[str]) -> ChainClient:
    """Return a client of one chain, for a process that does nothing else and ends with it."""
    http = httpx.AsyncClient(limits=HTTP_LIMITS, timeout=HTTP_TIMEOUT)
    return EvmClient(urls, chain=chain.caip2, http=http)


def load_contract(name: str) -> ContractArtifact:
    """Return a compiled contract that this package ships."""
    place = files("airflow_cwf").joinpath("data", "contracts", f"{name}.json")
    return parse_artifact(place.read_text(encoding="utf-8"))


def open_journal(home: str, url: str, *, create_secret: bool = False) -> SqlJournal:
    """Return the journal at `url`, whose secret lies in `home`, unchecked.

    `open` or `migrate` it next.
    """
    return SqlJournal(url, secret=_secret(Path(home), create=create_secret))


def migrate_journal(settings: Settings) -> None:
    """Make or upgrade the journal's schema, and its secret at the very first time."""
    journal = open_journal(settings.home, settings.journal_url, create_secret=True)
    try:
        journal.migrate()
    finally:
        journal.close()


def open_signer(settings: SignerSettings) -> Signer:
    """Open a key.

    Raises:
        SignerError: it is malformed, or its passphrase is another.
    """
    return SIGNERS[settings.kind](settings)


async def load_sanctions(settings: SanctionsSettings) -> SanctionsList:
    """Load a sanctions list without any other part of a runtime.

    Raises:
        SanctionsListError: absent, too old or unreadable.
    """
    async with httpx.AsyncClient(limits=HTTP_LIMITS, timeout=HTTP_TIMEOUT) as http:
        return await _sanctions(settings, http=http, clock=SystemClock()).load()


async def pin_probe(settings: StorageSettings) -> str:
    """Pin a few bytes on a node, and return their CID.

    Raises:
        StorageError, ConfigError: the node does not do it.
    """
    probe = b"{}"
    async with httpx.AsyncClient(limits=HTTP_LIMITS, timeout=HTTP_TIMEOUT) as http:
        store = KuboStore(settings.url, http=http, authorization=settings.authorization)
        await store.pin(raw_cid(probe), record_car(probe))
    return str(raw_cid(probe))


def private_key_signer(key: str) -> Signer:
    """Return the signer of a key in hex.

    Raises:
        SignerError: it is no key; the text is not repeated.
    """
    return PrivateKeySigner.from_hex(key)


def _sanctions(
    settings: SanctionsSettings, *, http: httpx.AsyncClient, clock: Clock
) -> SanctionsSource:
    if settings.sdn is not None and settings.comments is not None:
        return OfacFiles(
            settings.sdn,
            settings.comments,
            clock=clock,
            max_age_s=settings.max_age_s,
            min_entries=settings.min_entries,
        )
    return OfacHttp(
        http,
        base_url=settings.base_url or DEFAULT_BASE_URL,
        clock=clock,
        max_age_s=settings.max_age_s,
        min_entries=settings.min_entries,
    )


def _secret(home: Path, *, create: bool) -> bytes:
    place = home / "secret"
    if create and not place.exists():
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return _secret(home, create=False)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(SECRET_BYTES))
    try:
        return bytes.fromhex(place.read_text(encoding="utf-8").strip())
    except (OSError, ValueError) as error:
        message = (
            f"There is no secret in {place}. `cwf journal migrate` makes it together with a new "
            "journal; for an existing journal, restore the file that belongs to it."
        )
        raise ConfigError(message) from error


def _no_endpoint(chain: str, chains: Mapping[str, Chain]) -> str:
    if chain not in chains:
        return f"{chain!r} is not in the chain table; there are {', '.join(sorted(chains))}."
    return (
        f"There is no RPC endpoint for {chain}. In Airflow: `airflow connections add evm_{chain} "
        f"--conn-type evm --conn-host https://...`; elsewhere set CWF_RPC_{chain.upper()}."
    )

"""One frozen value that says everything a runtime needs; it travels whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_cwf.core.chains import Chain
from airflow_cwf.core.policies import Policy
from airflow_cwf.core.screening import DEFAULT_MAX_AGE_S


@dataclass(frozen=True, slots=True)
class SignerSettings:
    """Which key signs. Secrets never show in a repr."""

    kind: str
    """`keystore` (V3 JSON) or `private_key`; a name in `wiring.SIGNERS`."""
    secret: str = field(repr=False)
    """Passphrase of the keystore, or the key itself in hex."""
    keystore: str | None = field(default=None, repr=False)
    """The keystore's JSON text."""


@dataclass(frozen=True, slots=True)
class SanctionsSettings:
    """Where the sanctions list comes from and how old it may be."""

    sdn: str | None = None
    """Path or URI of `sdn.csv`; with `comments` the file source."""
    comments: str | None = None
    """Path or URI of `sdn_comments.csv`."""
    base_url: str | None = None
    """Folder of the two files on a web server: the HTTP source."""
    max_age_s: int = DEFAULT_MAX_AGE_S
    min_entries: int | None = None
    """Fewest entries that are believable; None: the source's own floor."""


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Which Kubo node pins what is published."""

    url: str = field(repr=False)
    """Of its RPC API; may hold a token."""
    authorization: str | None = field(default=None, repr=False)
    """Value of the `Authorization` header."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a runtime is made of."""

    home: str
    """Folder of secret, journal and caches (`[cwf] home`, `CWF_HOME`)."""
    artifacts: str
    """Folder or URI of plans, receipts and metadata (`[cwf] artifacts_path`)."""
    journal_url: str = field(repr=False)
    """SQLAlchemy URL of the journal."""
    chains: Mapping[str, Chain]
    endpoints: Mapping[str, tuple[str, ...]] = field(repr=False)
    """RPC URLs by chain name; they may hold tokens, so no repr shows them."""
    signer: SignerSettings | None = None
    sanctions: SanctionsSettings | None = None
    policy: Policy = field(default_factory=Policy)
    environment: str = "production"
    """`production` or `development`: only the latter accepts development keys."""
    anchor_chain: str | None = None
    """Name of the chain whose `WorkflowAnchor` keeps the log; None: records are not anchored."""
    prover: str | None = None
    """Folder of the prover's programs and keys; None: `prover` in `home`."""
    storage: StorageSettings | None = None
    """Where published records are pinned; None: the CAR file is the storage."""

"""What actions and agents are given: every port, already wired."""

from collections.abc import Mapping
from typing import Protocol

from airflow_cwf.core.chains import Chain
from airflow_cwf.core.circuits import Circuit
from airflow_cwf.core.contracts import ContractArtifact
from airflow_cwf.core.journal import Journal
from airflow_cwf.core.policies import Policy
from airflow_cwf.core.ports import (
    Artifacts,
    ChainClient,
    Clock,
    ContentStore,
    Prover,
    SanctionsSource,
    Signer,
    TransactionCodec,
)


class Runtime(Protocol):
    """The ports of one process. Expensive parts are made at first use."""

    @property
    def chains(self) -> Mapping[str, Chain]:
        """The allow-list of chains, by name."""

    @property
    def policy(self) -> Policy:
        """The platform's limits."""

    @property
    def journal(self) -> Journal:
        """The journal, schema and secret checked."""

    @property
    def artifacts(self) -> Artifacts:
        """The private file store."""

    @property
    def signer(self) -> Signer:
        """The payer's key.

        Raises:
            ConfigError: none is configured.
            SignerError: it cannot be opened.
        """

    @property
    def sanctions(self) -> SanctionsSource:
        """The sanctions list's source.

        Raises:
            ConfigError: none is configured.
        """

    @property
    def codec(self) -> TransactionCodec:
        """Encodes and signs eip155 transactions."""

    @property
    def batch_payment(self) -> ContractArtifact:
        """The lock on chain."""

    @property
    def workflow_anchor(self) -> ContractArtifact:
        """The contract that keeps the heads of logs."""

    @property
    def anchor_chain(self) -> str | None:
        """Name of the chain on which records are anchored."""

    @property
    def circuits(self) -> Mapping[str, Circuit]:
        """The circuits there are keys for, by id."""

    @property
    def prover(self) -> Prover:
        """Makes proofs; nothing is looked at before the first one."""

    @property
    def storage(self) -> ContentStore | None:
        """Pins what is published; None: the CAR file is the storage."""

    @property
    def clock(self) -> Clock:
        """Time and waiting."""

    @property
    def worker(self) -> str:
        """This process's own name, for leases."""

    def client(self, chain: str) -> ChainClient:
        """Return the client of a chain by name.

        Raises:
            ConfigError: no RPC endpoint is configured for it; says how to add one.
        """

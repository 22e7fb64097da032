"""The roles that actions and agents need, as small Protocols declared by their consumers.

Adapters fill them; `wiring` chooses which. Chain roles are asynchronous because they wait for
the network. The journal (see `core.journal`) is synchronous: its calls are short, and a commit
must be known to be durable at the very line that made it (ADR 0003).
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from airflow_cwf.core.evidence.cid import Cid
from airflow_cwf.core.evidence.groth16 import Proof
from airflow_cwf.core.evidence.statement import Statement
from airflow_cwf.core.screening import SanctionsList
from airflow_cwf.core.transactions import (
    Block,
    FeeHistory,
    SignedTransaction,
    TransactionReceipt,
    UnsignedTransaction,
)


@runtime_checkable
class ChainClient(Protocol):
    """Reads one EVM chain and hands it signed bytes.

    Every method may raise `TransportError` (no usable answer) or `RpcError`.
    """

    async def chain_id(self) -> int:
        """Return the EIP-155 chain id that the node serves."""

    async def client_version(self) -> str:
        """Return the node's own name, `web3_clientVersion`."""

    async def genesis(self) -> str:
        """Return the hash of block 0."""

    async def block(self, number: int | str) -> Block:
        """Return a block by number or tag (`latest`, `finalized`).

        Raises:
            RpcError: the node has no such block.
        """

    async def nonce(self, account: str, at: int | str) -> int:
        """Return `account`'s transaction count at a block number or tag."""

    async def balance(self, account: str, at: int | str = "latest") -> int:
        """Return the native balance in wei."""

    async def code(self, address: str) -> bytes:
        """Return the code at `address`; empty for an account without code."""

    async def call(
        self, to: str, data: bytes, *, sender: str | None = None, gas: int | None = None
    ) -> bytes:
        """Run `eth_call` at `latest` and return its output.

        Raises:
            CallRevertedError: with the decoded reason.
        """

    async def call_each(
        self, calls: Sequence[tuple[str, bytes]], *, sender: str | None = None
    ) -> list[bytes | str]:
        """Run many `eth_call`s in few round trips; a revert is its reason (str), not an error."""

    async def fee_history(self, blocks: int, percentiles: Sequence[int]) -> FeeHistory:
        """Return the last `blocks` blocks' fees."""

    async def receipts(self, hashes: Sequence[str]) -> dict[str, TransactionReceipt]:
        """Return the receipts this node knows; an absent hash proves nothing."""

    async def broadcast(self, transaction: SignedTransaction) -> None:
        """Hand signed bytes to the node.

        Raises:
            RejectedError: one of its subclasses, by the table of node texts.
            TransportError: the outcome is unknown; the node may have taken it.
        """


@runtime_checkable
class Signer(Protocol):
    """Holds one secp256k1 key and signs digests; knows nothing of chains."""

    @property
    def address(self) -> str:
        """Lower-case EVM address of the key."""

    def sign_digest(self, digest: bytes) -> tuple[int, int, int]:
        """Return `(y_parity, r, s)` with low s over exactly these 32 bytes."""


class TransactionCodec(Protocol):
    """Encodes and signs one family's transactions."""

    def sign(self, transaction: UnsignedTransaction, signer: Signer) -> SignedTransaction:
        """Sign and return hash and bytes; nothing is sent."""


class SanctionsSource(Protocol):
    """Where a sanctions list comes from."""

    async def load(self) -> SanctionsList:
        """Fetch and parse the list.

        Raises:
            SanctionsListError: absent, too old, or unreadable in part.
        """


class Artifacts(Protocol):
    """A private file store for manifests, plans, receipts and metadata."""

    def write(self, path: str, data: bytes) -> str:
        """Store `data` under a relative path, atomically; return the place for people to read."""

    def read(self, path: str) -> bytes:
        """Return the bytes at a relative path.

        Raises:
            ConfigError: there is no such file; says which and where.
        """


class ContentStore(Protocol):
    """Where published evidence is kept: blocks under their CIDs."""

    async def pin(self, root: Cid, car: bytes) -> None:
        """Store a CAR's blocks, read each back, and keep everything that its root reaches.

        May be repeated. Only a return means that it is pinned.

        Raises:
            StorageError: no usable answer; not pinned, or not known to be.
            CidMismatchError: other bytes came back.
            ConfigError: the store refuses these credentials, or is none.
            VerificationError: `car` is not the CAR of `root`; nothing was sent.
        """

    async def read(self, cid: Cid, *, max_bytes: int) -> bytes:
        """Return the bytes of one block.

        Raises:
            StorageError: no usable answer, or longer than `max_bytes`.
            VerificationError: check 2; these bytes are not the ones that `cid` names.
            ConfigError: the store refuses these credentials, or is none.
        """


class Prover(Protocol):
    """Makes zero-knowledge proofs."""

    def prove(self, statement: Statement) -> Proof:
        """Prove one statement; takes seconds. The proof is verified before it is returned.

        Raises:
            ConfigError: no Node, no prover, or no key that is accepted here; says what to do.
            ProverError: the program failed or took too long; may be repeated.
        """


class Clock(Protocol):
    """Time and waiting, so that tests and the simulator own both."""

    def now(self) -> float:
        """Return Unix seconds."""

    async def sleep(self, seconds: float) -> None:
        """Let other work go on for `seconds`."""

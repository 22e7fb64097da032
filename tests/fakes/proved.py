"""The run of `fakes.evidence`, proved, signed and anchored in a log of several batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from coincurve import PrivateKey

from airflow_cwf.actions.verify import Terms
from airflow_cwf.core.anchors import APPENDED_TOPIC, Head
from airflow_cwf.core.evidence.batch_car import batch_blocks
from airflow_cwf.core.evidence.batch_document import Batch, LogId, compose_batch
from airflow_cwf.core.evidence.binding import binding, encode_signature, signing_digest
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.car import car_pieces
from airflow_cwf.core.evidence.cid import Block, Cid, raw_cid
from airflow_cwf.core.evidence.groth16 import encode_proofs
from airflow_cwf.core.evidence.log import log_leaves, log_path
from airflow_cwf.core.evidence.metadata import AgentEvidence, ProofPlan, build_metadata
from airflow_cwf.core.evidence.outputs import VIEW_FLOATS
from airflow_cwf.core.evidence.record import core_digest, core_of, outputs_of, record_of
from airflow_cwf.core.evidence.statement import Context, circuits_for, statements
from airflow_cwf.core.evidence.trust import parse_trust
from airflow_cwf.core.hashes import keccak256
from airflow_cwf.core.transactions import Log
from tests.fakes import evidence
from tests.fakes.evidence import CREATED_AT, ETHEREUM, SCREENING, FinalChain, hash_of, transaction
from tests.fakes.forging_key import ForgingKey, trust_file

KEY = ForgingKey(3)
OTHER_KEY = ForgingKey(4)
SUBMITTER_KEY = PrivateKey(bytes(31) + b"\x07")
OTHER_SUBMITTER_KEY = PrivateKey(bytes(31) + b"\x08")
CONTRACT = "0x" + "c0" * 20
APPEND_TX, APPEND_BLOCK = 77, 50


def address(key: PrivateKey) -> str:
    return "0x" + keccak256(key.public_key.format(compressed=False)[1:])[12:].hex()


SUBMITTER = address(SUBMITTER_KEY)
LOG = LogId(ETHEREUM, CONTRACT, SUBMITTER)
ANCHOR_TO = {"chain": ETHEREUM, "contract": CONTRACT, "submitter": SUBMITTER}
TRUST_FILE = trust_file(
    {KEY.digest: KEY.entry()},
    contracts=[f"{ETHEREUM}:{CONTRACT}"],
    submitters=[f"{ETHEREUM}:{SUBMITTER}"],
)
TRUST = parse_trust(TRUST_FILE)
NO_KEYS = replace(TRUST, keys={})
"""Leaves the pairing out (half a second each): 5 is unknown, everything else is checked."""
TERMS = Terms(trust=TRUST, natives={"eip155:1": "ETH", "eip155:137": "POL"})


def as_bytes(document: Mapping[str, object]) -> bytes:
    return canonical_bytes(document, float_members=VIEW_FLOATS)


def planned(
    agents: Sequence[AgentEvidence] | None = None,
    *,
    anchor_to: Mapping[str, str] | None = ANCHOR_TO,
    key: ForgingKey = KEY,
    created_at: int = CREATED_AT,
) -> dict[str, object]:
    """A recorded metadata that names its circuits, keys and destination."""
    made = evidence.agents() if agents is None else agents
    circuits = circuits_for(len(made))
    plan = ProofPlan(circuits, [key.digest] * len(circuits), anchor_to)
    built = build_metadata(
        made, screening=SCREENING, supersedes=None, created_at=created_at, plan=plan
    )
    return dict(built.document)


def proved(
    document: Mapping[str, object], *, key: ForgingKey = KEY, signer: PrivateKey = SUBMITTER_KEY
) -> dict[str, object]:
    """Give a metadata proof, signals, signature and CID; its core stays what it is."""
    digest = core_digest(core_of(document))
    context = Context(
        bytes.fromhex(document["workflow_id"][2:]),
        document["chain_id"],
        binding(digest, anchor_to=document["anchor_to"]),
    )
    return sealed(
        document,
        [statement.signals for statement in statements(outputs_of(document), context)],
        key=key,
        signer=signer,
    )


def sealed(document, signals, *, key=KEY, signer=SUBMITTER_KEY) -> dict[str, object]:
    """Prove any signals and sign the core as it stands: what somebody with the secret can do."""
    signature = None
    if document["anchor_to"] is not None:
        raw = signer.sign_recoverable(signing_digest(core_digest(core_of(document))), hasher=None)
        signature = encode_signature(
            raw[64], int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big")
        )
    made = dict(document) | {
        "zk_proof": encode_proofs(key.prove(one) for one in signals),
        "public_signals": [str(number) for one in signals for number in one],
        "signature": signature,
    }
    return named(made)


def named(document) -> dict[str, object]:
    """Give a metadata the CID of its record."""
    return dict(document) | {"cid": str(raw_cid(canonical_bytes(record_of(document))))}


@dataclass(frozen=True)
class Anchored:
    """A log of five strangers' records, two batches before ours and one after."""

    metadata: dict[str, object]
    batch: Batch
    batch_car: bytes
    root: Cid
    records: Mapping[str, bytes]
    before: Batch
    after: Batch


def small(number: int) -> dict[str, object]:
    """Another run's metadata: one agent that sent nothing."""
    made = evidence.output("A", number=number, chain=None)
    return proved(planned([AgentEvidence(made)]))


def anchored(document: Mapping[str, object], *, others: int = 2) -> Anchored:
    """Put a metadata into a batch with others, behind older ones."""
    old = [raw_cid(bytes([number])) for number in range(5)]
    own = raw_cid(canonical_bytes(record_of(document)))
    records = {document["workflow_id"]: canonical_bytes(record_of(document))}
    for number in range(others):
        other = small(number + 50)
        records[other["workflow_id"]] = canonical_bytes(record_of(other))
    cids = [raw_cid(data) for data in records.values()]
    batch = compose_batch(LOG, leaves=log_leaves(old), records=cids)
    later = [raw_cid(bytes([number])) for number in range(100, 103)]
    leaves = log_leaves([*old, *cids])
    blocks = batch_blocks(batch, records)
    position = 5 + cids.index(own)
    growth = batch.growth
    anchor = {
        **ANCHOR_TO,
        "tx_hash": hash_of(APPEND_TX),
        "block": APPEND_BLOCK,
        "position": position,
        "path": [f"0x{part.hex()}" for part in log_path(leaves, position)],
        "size": growth.size,
        "root": f"0x{growth.root.hex()}",
        "old_size": growth.old_size,
        "old_root": f"0x{growth.old_root.hex()}",
        "consistency": [f"0x{part.hex()}" for part in growth.consistency],
        "batch": str(blocks[0].cid),
    }
    return Anchored(
        metadata=dict(document) | {"anchor": anchor},
        batch=batch,
        batch_car=b"".join(car_pieces(blocks[0].cid, blocks)),
        root=blocks[0].cid,
        records=records,
        before=compose_batch(LOG, leaves=log_leaves(old[:2]), records=old[2:]),
        after=compose_batch(LOG, leaves=leaves, records=later),
    )


@cache
def whole() -> Anchored:
    """The run of `fakes.evidence`, proved and anchored. Read only."""
    return anchored(proved(planned()))


class AnchorChain(FinalChain):
    """A chain that also answers `head`."""

    head: Head | None = None

    async def call(self, to: str, data: bytes, *, sender=None, gas=None) -> bytes:
        if self.head is None or to != CONTRACT or not data.endswith(bytes.fromhex(SUBMITTER[2:])):
            return b""
        return self.head.size.to_bytes(32, "big") + self.head.root


def appended(made: Anchored, **changes) -> Log:
    growth = made.batch.growth
    words = {
        "old_size": growth.old_size.to_bytes(32, "big"),
        "old_root": growth.old_root,
        "size": growth.size.to_bytes(32, "big"),
        "root": growth.root,
        "batch": made.root.digest,
    }
    data = b"".join((words | changes).values())
    topic = "0x" + SUBMITTER[2:].rjust(64, "0")
    return Log(CONTRACT, (APPENDED_TOPIC, topic), data, 0)


def chains(made: Anchored | None = None, *, logs: Sequence[Log] | None = None):
    """The chains of `fakes.evidence`, with the append on one of them."""
    made = made or whole()
    plain = evidence.chains()
    append = transaction(
        APPEND_TX, height=APPEND_BLOCK, logs=[appended(made)] if logs is None else logs
    )
    ethereum = AnchorChain(1, plain[ETHEREUM].transactions | {append.hash: append})
    ethereum.head = Head(made.batch.growth.size, made.batch.growth.root)
    return dict(plain) | {ETHEREUM: ethereum}


@dataclass
class BlockStore:
    """A content store that holds some blocks, and lies if it was told to."""

    blocks: dict[str, bytes]

    async def read(self, cid: Cid, *, max_bytes: int) -> bytes:
        from airflow_cwf.core.errors import StorageError
        from airflow_cwf.core.evidence.cid import require_named

        if str(cid) not in self.blocks:
            raise StorageError("The IPFS node did not answer block/get in time.")
        data = self.blocks[str(cid)]
        require_named(Block(cid, data))
        return data

    async def pin(self, root: Cid, car: bytes) -> None:
        raise AssertionError


def with_chains(made: Anchored | None = None, **terms) -> Terms:
    return replace(TERMS, chains=chains(made), **terms)

"""The one door for those who make evidence: agents' outputs and receipts in, metadata out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.outputs import VIEW_FLOATS, Output, as_output, to_view
from airflow_cwf.core.evidence.receipts import (
    Receipt,
    as_receipt,
    in_order,
    position,
    receipts_file,
)
from airflow_cwf.core.evidence.record import (
    FORMAT,
    chain_number,
    chains_of,
    core_digest,
    core_of,
    parse_document,
    primary_chain,
    sum_totals,
)
from airflow_cwf.core.evidence.steps import make_step, require_distinct, workflow_id


@dataclass(frozen=True, slots=True)
class AgentEvidence:
    """What one agent leaves: `make_output(...)` and its `make_receipt(...)`s, in any order."""

    output: Mapping[str, object]
    receipts: Sequence[Mapping[str, object]] = ()


@dataclass(frozen=True, slots=True)
class ProofPlan:
    """How a record will be proved and where it will be anchored; part of the core."""

    circuits: Sequence[str] = ()
    """Ids, one per chunk of steps."""
    verification_keys: Sequence[str] = ()
    """Digests, `0x` hex, one per chunk."""
    anchor_to: Mapping[str, str] | None = None
    """`{"chain", "contract", "submitter"}`: CAIP-2 and lower-case addresses; None: nowhere."""


UNPROVED = ProofPlan()


@dataclass(frozen=True, slots=True)
class Metadata:
    """A finished metadata. `data` is what is stored and hashed; the rest is read from it."""

    data: bytes = field(repr=False)
    """Canonical bytes. Private: outputs and salts stand in them."""
    document: Mapping[str, object] = field(repr=False)
    """What `parse_canonical(data)` returns."""
    workflow_id: str
    """`0x` and 64 hex digits."""
    core_digest: str
    """`0x` and 64 hex digits; names this very record, whereas a rerun shares the workflow id."""
    chain_id: int
    receipts_files: tuple[bytes, ...] = field(repr=False)
    """Per step, the agent's `cwf-receipts/1` file for `cwf verify --receipts`. Private."""


def build_metadata(
    evidence: Sequence[AgentEvidence],
    *,
    screening: Sequence[Mapping[str, object]],
    supersedes: str | None,
    created_at: int,
    plan: ProofPlan = UNPROVED,
    fallback_chain: str = "eip155:1",
) -> Metadata:
    """Build the metadata of a run in state `recorded`: everything but proof, CID and anchor.

    The same evidence in another order gives the same bytes.

    Args:
        evidence: one per agent, 1 to 2,048; steps are ordered by `agent_name`'s UTF-8 bytes.
        screening: lists used, `{"list", "published" (Unix seconds), "sha256" (0x hex)}`.
        supersedes: workflow id of the record that this one replaces, or None.
        created_at: Unix seconds; the operator's claim.
        plan: circuits, keys and destination, which are named before there is a proof.
        fallback_chain: CAIP-2 of the workflow's chain if no agent has one.

    Raises:
        VerificationError: a member is out of form (check 1), or agents, receipts and counts do not
            fit together (check 10).
    """
    agents = sorted(evidence, key=_name)
    outputs = [agent.output for agent in agents]
    receipts = [in_order(agent.receipts) for agent in agents]
    _check_forms(outputs, receipts)
    require_distinct_agents(outputs)
    require_distinct_receipts(outputs, receipts)
    steps = [make_step(output, items) for output, items in zip(outputs, receipts, strict=True)]
    require_distinct(steps)
    document: dict[str, object] = {
        "format": FORMAT,
        "workflow_id": f"0x{workflow_id(steps).hex()}",
        "chain_id": chain_number(primary_chain(steps, outputs) or fallback_chain),
        "chains": chains_of(outputs) or [fallback_chain],
        "steps": steps,
        "totals": sum_totals(steps, outputs),
        "circuits": list(plan.circuits),
        "verification_keys": list(plan.verification_keys),
        "screening": [dict(entry) for entry in screening],
        "supersedes": supersedes,
        "anchor_to": None if plan.anchor_to is None else dict(plan.anchor_to),
        "created_at": created_at,
        "zk_proof": "",
        "public_signals": [],
        "signature": None,
        "agent_outputs": [to_view(output) for output in outputs],
        "cid": None,
        "anchor": None,
    }
    return _finish(document, receipts)


def require_distinct_agents(outputs: Sequence[Mapping[str, object]]) -> None:
    """Check that names rise strictly by their UTF-8 bytes and that no two ids are equal.

    Raises:
        VerificationError: check 10.
    """
    names = [cast("Output", output)["agent_name"].encode("utf-8") for output in outputs]
    if any(left >= right for left, right in pairwise(names)):
        raise VerificationError("Two agents share a name, or they are out of order.", check=10)
    if len({cast("Output", output)["agent_id"] for output in outputs}) != len(outputs):
        raise VerificationError("Two agents share an agent_id; make it unique.", check=10)


def require_distinct_receipts(
    outputs: Sequence[Mapping[str, object]],
    receipts: Sequence[Sequence[Mapping[str, object]]],
) -> None:
    """Check that no salt serves twice and that no item has two receipts in the workflow.

    Raises:
        VerificationError: check 10.
    """
    items = [receipt for group in receipts for receipt in group]
    salts = [cast("Output", output)["salt"] for output in outputs]
    salts += [cast("Receipt", receipt)["salt"] for receipt in items]
    if len(set(salts)) != len(salts):
        raise VerificationError("A salt serves twice.", check=10)
    if len({position(receipt) for receipt in items}) != len(items):
        raise VerificationError("Two agents have a receipt for one item.", check=10)


def _name(agent: AgentEvidence) -> bytes:
    return cast("Output", agent.output)["agent_name"].encode("utf-8")


def _check_forms(
    outputs: Sequence[Mapping[str, object]], receipts: Sequence[Sequence[Mapping[str, object]]]
) -> None:
    for index, (output, items) in enumerate(zip(outputs, receipts, strict=True)):
        as_output(output, where=f"Output {index}")
        for number, receipt in enumerate(items):
            as_receipt(receipt, where=f"Receipt {number} of output {index}")


def _finish(
    document: dict[str, object], receipts: Sequence[Sequence[Mapping[str, object]]]
) -> Metadata:
    """Encode, then read back with the verifier's own reader: no bytes leave that it refuses."""
    data = canonical_bytes(document, float_members=VIEW_FLOATS)
    read = parse_document(data)
    return Metadata(
        data=data,
        document=read,
        workflow_id=cast("str", read["workflow_id"]),
        core_digest=f"0x{core_digest(core_of(read)).hex()}",
        chain_id=cast("int", read["chain_id"]),
        receipts_files=tuple(
            receipts_file(step=step, receipts=items) for step, items in enumerate(receipts)
        ),
    )

"""Core, record, metadata: three nested subsets of one flat object.

`core` is what a proof and a signature will speak of; `record` adds these two and is all that is
ever published; `metadata` adds the outputs with their salts and stays private. Forms are final:
a record without a proof (state `recorded`) has the same members with empty values.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, cast

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import (
    MAX_INTEGER,
    canonical_bytes,
    parse_canonical,
)
from airflow_cwf.core.evidence.forms import (
    Form,
    check_form,
    exactly,
    is_caip2,
    is_count,
    is_decimal,
    is_digest,
    is_evm_address,
    is_name,
    is_signature,
    is_text,
    list_of,
    nullable,
    object_of,
    one_of,
)
from airflow_cwf.core.evidence.outputs import VIEW_FLOATS, Output, from_view
from airflow_cwf.core.evidence.steps import MAX_STEPS, STEP_FORM, Step
from airflow_cwf.core.hashes import sha3_256

FORMAT: Final = "cwf/1"
MAX_RECORD_BYTES: Final = 2**20
MAX_METADATA_BYTES: Final = 16 * 2**20

TOTALS_FORM: Final[Form] = {
    "n_agents": is_count,
    "n_success": is_count,
    "total_gas": is_decimal,
    "total_time_us": is_decimal,
    "settled": is_count,
    "failed": is_count,
    "unresolved": is_count,
}
SCREENING_FORM: Final[Form] = {"list": is_name, "published": is_count, "sha256": is_digest}
_ANCHOR_TO_FORM: Final[Form] = {
    "chain": is_caip2,
    "contract": is_evm_address,
    "submitter": is_evm_address,
}
CORE_FORM: Final[Form] = {
    "format": exactly(FORMAT),
    "workflow_id": is_digest,
    "chain_id": is_count,
    "chains": list_of(is_caip2),
    "steps": list_of(object_of(STEP_FORM)),
    "totals": object_of(TOTALS_FORM),
    "circuits": list_of(one_of("cwf-8", "cwf-64")),
    "verification_keys": list_of(is_digest),
    "screening": list_of(object_of(SCREENING_FORM)),
    "supersedes": nullable(is_digest),
    "anchor_to": nullable(object_of(_ANCHOR_TO_FORM)),
    "created_at": is_count,
}
RECORD_FORM: Final[Form] = {
    **CORE_FORM,
    "zk_proof": is_text,
    "public_signals": list_of(is_decimal),
    "signature": nullable(is_signature),
}
METADATA_FORM: Final[Form] = {
    **RECORD_FORM,
    "agent_outputs": list_of(lambda value: isinstance(value, Mapping)),
    "cid": nullable(is_name),
    "anchor": nullable(lambda value: isinstance(value, Mapping)),
}


def parse_document(data: bytes) -> dict[str, object]:
    """Read a record or a metadata and check its form.

    Which of the two it is, is told by `agent_outputs`; see `is_metadata`.

    Raises:
        VerificationError: check 1; bounds, JSON, canonical bytes, members, or a state that
            contradicts itself.
    """
    document = parse_canonical(data, max_bytes=MAX_METADATA_BYTES, float_members=VIEW_FLOATS)
    if is_metadata(document):
        check_form(document, METADATA_FORM, where="The metadata")
    else:
        check_form(document, RECORD_FORM, where="The record")
    if len(canonical_bytes(record_of(document))) > MAX_RECORD_BYTES:
        raise VerificationError(f"The record has more than {MAX_RECORD_BYTES} bytes.", check=1)
    _check_lists(document)
    _check_state(document)
    return document


def is_metadata(document: Mapping[str, object]) -> bool:
    """Tell whether the document carries outputs, which makes it a metadata."""
    return "agent_outputs" in document


def is_proved(document: Mapping[str, object]) -> bool:
    """Tell whether the record carries a proof; without one its state is `recorded`."""
    return document["zk_proof"] != ""


def core_of(document: Mapping[str, object]) -> dict[str, object]:
    """Return the core inside a record or a metadata."""
    return {name: document[name] for name in CORE_FORM}


def record_of(document: Mapping[str, object]) -> dict[str, object]:
    """Return the record inside a metadata, or a copy of the record."""
    return {name: document[name] for name in RECORD_FORM}


def core_digest(core: Mapping[str, object]) -> bytes:
    """Return `coreDigest = H(J(core))`, what a signature signs, 32 bytes."""
    return sha3_256(canonical_bytes(core))


def outputs_of(document: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the outputs in a metadata, in integers again.

    Raises:
        VerificationError: check 1; an output is out of form.
    """
    views = cast("list[dict[str, object]]", document["agent_outputs"])
    return [from_view(view, where=f"Output {index}") for index, view in enumerate(views)]


def chain_number(caip2: str) -> int:
    """Return a chain's number: EIP-155's, for others the top 53 bits of `H(caip2)`.

    Raises:
        VerificationError: check 3; not a CAIP-2 id, or an EIP-155 number above 2^53 - 1.
    """
    if not is_caip2(caip2):
        raise VerificationError("A chain id is not CAIP-2.", check=3)
    namespace, _, reference = caip2.partition(":")
    if namespace != "eip155":
        return int.from_bytes(sha3_256(caip2.encode("ascii")), "big") >> (256 - 53)
    number = int(reference)
    if number > MAX_INTEGER:
        raise VerificationError("An EIP-155 chain id exceeds 2^53 - 1.", check=3)
    return number


def sum_totals(
    steps: Sequence[Mapping[str, object]], outputs: Sequence[Mapping[str, object]]
) -> dict[str, object]:
    """Return the core's `totals` over all agents."""
    counts = cast("Sequence[Step]", steps)
    figures = cast("Sequence[Output]", outputs)
    return {
        "n_agents": len(counts),
        "n_success": sum(output["error"] is None for output in figures),
        "total_gas": str(sum(output["fee"] for output in figures)),
        "total_time_us": str(sum(output["time_us"] for output in figures)),
        "settled": sum(step["settled"] for step in counts),
        "failed": sum(step["failed"] for step in counts),
        "unresolved": sum(step["unresolved"] for step in counts),
    }


def chains_of(outputs: Sequence[Mapping[str, object]]) -> list[str]:
    """Return the chains that the agents work on, unique, in byte order."""
    chains = {cast("Output", output)["chain"] for output in outputs}
    return sorted(chain for chain in chains if chain is not None)


def primary_chain(
    steps: Sequence[Mapping[str, object]], outputs: Sequence[Mapping[str, object]]
) -> str | None:
    """Return the chain on which most items settled.

    On a tie, or when nothing settled, it is the first agent's by name: of the first that has a
    chain. None if no agent has one.
    """
    settled: dict[str, int] = {}
    typed = zip(cast("Sequence[Step]", steps), cast("Sequence[Output]", outputs), strict=True)
    for step, output in typed:
        if (chain := output["chain"]) is not None:
            settled[chain] = settled.get(chain, 0) + step["settled"]
    most = max(settled.values(), default=0)
    leaders = [chain for chain, count in settled.items() if count == most]
    first = next(iter(settled), None)
    return leaders[0] if most and len(leaders) == 1 else first


def _check_lists(document: Mapping[str, object]) -> None:
    chains = cast("list[str]", document["chains"])
    if not chains or any(left >= right for left, right in pairwise(chains)):
        raise VerificationError("`chains` is empty, repeats itself or is out of order.", check=1)
    if not 1 <= len(cast("list[object]", document["steps"])) <= MAX_STEPS:
        raise VerificationError(f"A workflow has 1 to {MAX_STEPS} steps.", check=1)


def _check_state(document: Mapping[str, object]) -> None:
    """Check that what is absent is absent altogether: no half of a proof, no half of an anchor.

    Circuits and keys stand in the core, so they are named before there is a proof.
    """
    if is_proved(document):
        if (document["anchor_to"] is None) != (document["signature"] is None):
            raise VerificationError("`signature` and `anchor_to` must be null together.", check=1)
        return
    empty = ("public_signals", "signature", "cid", "anchor")
    if filled := [name for name in empty if document.get(name)]:
        message = f"There is no proof, yet `{filled[0]}` is not empty."
        raise VerificationError(message, check=1)

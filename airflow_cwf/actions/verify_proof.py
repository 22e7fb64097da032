"""Checks 4 to 8: the proof speaks of these steps, of this core, and holds under a trusted key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from airflow_cwf.actions.verify_report import UnknownError
from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.binding import binding
from airflow_cwf.core.evidence.groth16 import (
    PROOF_WORDS,
    Proof,
    VerificationKey,
    check_key,
    decode_proofs,
    verify,
)
from airflow_cwf.core.evidence.poseidon import FIELD_ORDER
from airflow_cwf.core.evidence.record import core_digest, core_of
from airflow_cwf.core.evidence.statement import (
    CHUNK,
    SIGNALS,
    Context,
    circuits_for,
    outputs_roots,
)
from airflow_cwf.core.evidence.steps import Step
from airflow_cwf.core.evidence.trust import Trust, open_key

_AT: Final[Mapping[str, int]] = {name: index for index, name in enumerate(SIGNALS)}
_SUMS: Final = ("n_success", "total_gas", "total_time_us")
_HEX_DIGITS: Final = 64 * PROOF_WORDS


@dataclass(frozen=True, slots=True)
class ProvedRecord:
    """A proved record's numbers, computed from what is public before any of its signals is read."""

    document: Mapping[str, object]

    @property
    def steps(self) -> Sequence[Step]:
        """The public steps, in order."""
        return cast("Sequence[Step]", self.document["steps"])

    @property
    def circuits(self) -> tuple[str, ...]:
        """The circuit of each chunk, as the number of steps demands it."""
        return circuits_for(len(self.steps))

    @property
    def context(self) -> Context:
        """Workflow id, chain and binding, the last computed from the core.

        Raises:
            VerificationError: check 6; the destination is no eip155 chain.
        """
        anchor_to = cast("Mapping[str, object] | None", self.document["anchor_to"])
        return Context(
            workflow_id=bytes.fromhex(cast("str", self.document["workflow_id"])[2:]),
            chain_id=cast("int", self.document["chain_id"]),
            binding=binding(core_digest(core_of(self.document)), anchor_to=anchor_to),
        )

    @property
    def signals(self) -> list[list[int]]:
        """Nine numbers per chunk; their count was checked by `check_roots`."""
        numbers = [int(text) for text in cast("list[str]", self.document["public_signals"])]
        return [numbers[at : at + len(SIGNALS)] for at in range(0, len(numbers), len(SIGNALS))]


def check_roots(document: Mapping[str, object]) -> str:
    """Check 4: one circuit, key, proof and nine signals per chunk, over these commitments.

    Raises:
        VerificationError: check 4.
    """
    record = ProvedRecord(document)
    _check_lengths(record)
    commitments = [int(step["commitment"], 16) for step in record.steps]
    # The root takes no binding, and the destination is not this check's business.
    context = Context(bytes.fromhex(cast("str", document["workflow_id"])[2:]), _chain(document), 0)
    roots = outputs_roots(commitments, context)
    for chunk, (root, signals) in enumerate(zip(roots, record.signals, strict=True)):
        if signals[_AT["outputs_root"]] != root:
            message = f"Chunk {chunk}: the commitments do not lead to the proof's outputs root."
            raise VerificationError(message, check=4)
    return f"{len(commitments)} commitments lead to the outputs root of {len(roots)} proof(s)"


def check_keys(document: Mapping[str, object], *, trust: Trust, dev: bool) -> str:
    """Check 5: every key is one that the verifier believes, and safe by its points.

    Raises:
        VerificationError: check 5; a key is unsafe, of another circuit, or a development key.
        UnknownError: the trust file does not list a key.
    """
    named = cast("list[str]", document["verification_keys"])
    unlisted = 0
    for digest, circuit in dict.fromkeys(zip(named, ProvedRecord(document).circuits, strict=True)):
        entry = trust.keys.get(digest)
        if entry is None:
            unlisted += 1
            continue
        if entry.circuit != circuit:
            message = f"A key is trusted for {entry.circuit}, and the record uses it for {circuit}."
            raise VerificationError(message, check=5)
        check_key(open_key(entry))
        if entry.development and not dev:
            message = (
                "The key is a development key: its secret is public, so anybody can forge proofs. "
                "--dev accepts it for demonstrations."
            )
            raise VerificationError(message, check=5)
    if unlisted:
        raise UnknownError(f"{unlisted} key(s) are not listed in the trust file.")
    kind = "DEVELOPMENT key (--dev)" if _is_development(named, trust) else "trusted key"
    return f"{kind}, points in their groups, gamma differs from delta"


def check_binding(document: Mapping[str, object]) -> str:
    """Check 6: the proof belongs to this core and this destination.

    Raises:
        VerificationError: check 6.
    """
    record = ProvedRecord(document)
    expected = record.context.binding
    for chunk, signals in enumerate(record.signals):
        if signals[_AT["binding"]] != expected:
            message = f"Chunk {chunk}: the core and its destination do not lead to the binding."
            raise VerificationError(message, check=6)
    return "the proof was made for this core and this destination"


def check_signals(document: Mapping[str, object]) -> str:
    """Check 7: no signal is a free number.

    Raises:
        VerificationError: check 7; which signal differs.
    """
    record = ProvedRecord(document)
    high, low = record.context.halves
    for chunk, signals in enumerate(record.signals):
        expected = {
            "n_agents": min(CHUNK, len(record.steps) - chunk * CHUNK),
            "workflow_id_hi": high,
            "workflow_id_lo": low,
            "chain_id": _chain(document),
        }
        for name, value in expected.items():
            if signals[_AT[name]] != value:
                message = f"Chunk {chunk}: signal `{name}` is not the record's."
                raise VerificationError(message, check=7)
        if any(signal >= FIELD_ORDER for signal in signals):
            raise VerificationError(f"Chunk {chunk}: a signal is not below r.", check=7)
    totals = cast("Mapping[str, object]", document["totals"])
    for name in _SUMS:
        if sum(signals[_AT[name]] for signals in record.signals) != int(cast("str", totals[name])):
            message = f"The signals `{name}` do not add up to the totals."
            raise VerificationError(message, check=7)
    return "every signal is the record's; successes, fees and times add up to the totals"


def check_encoding(document: Mapping[str, object]) -> tuple[Proof, ...]:
    """Return the proofs of all chunks; their form is false or true whatever the key.

    Raises:
        VerificationError: check 8.
    """
    chunks = len(ProvedRecord(document).circuits)
    return decode_proofs(cast("str", document["zk_proof"]), chunks=chunks)


def check_proofs(document: Mapping[str, object], *, trust: Trust) -> str:
    """Check 8: the pairing of every chunk, about half a second each.

    Args:
        document: a record whose keys held (check 5).
        trust: where the keys' points come from.

    Raises:
        VerificationError: check 8.
    """
    record = ProvedRecord(document)
    proofs = check_encoding(document)
    digests = cast("list[str]", document["verification_keys"])
    keys: dict[str, VerificationKey] = {name: open_key(trust.keys[name]) for name in digests}
    for digest, proof, signals in zip(digests, proofs, record.signals, strict=True):
        verify(keys[digest], proof, signals)
    return f"{len(proofs)} proof(s) hold: somebody knew the rows behind exactly these steps"


def _check_lengths(record: ProvedRecord) -> None:
    circuits = record.circuits
    if record.document["circuits"] != list(circuits):
        raise VerificationError("`circuits` are not those that the steps need.", check=4)
    if len(cast("list[str]", record.document["verification_keys"])) != len(circuits):
        raise VerificationError("There are not as many keys as chunks of steps.", check=4)
    if len(cast("list[str]", record.document["public_signals"])) != len(SIGNALS) * len(circuits):
        message = f"There are not {len(SIGNALS)} public signals per chunk of steps."
        raise VerificationError(message, check=4)
    if len(cast("str", record.document["zk_proof"])) != len("0x") + _HEX_DIGITS * len(circuits):
        raise VerificationError("`zk_proof` is not as long as its chunks need.", check=4)


def _chain(document: Mapping[str, object]) -> int:
    return cast("int", document["chain_id"])


def _is_development(named: Sequence[str], trust: Trust) -> bool:
    return any(trust.keys[digest].development for digest in named)

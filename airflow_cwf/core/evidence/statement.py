"""The proved statement: which numbers a run gives to the circuit, and which it gets back.

Agents are proved in chunks of 64 in the order of their steps; a chunk takes the smallest circuit
that holds it. From the public steps alone anybody computes `outputs_root`, so a proof cannot speak
of other rows than those under the workflow id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.outputs import Row, row
from airflow_cwf.core.evidence.poseidon import FIELD_ORDER, poseidon

CHUNK: Final = 64
CIRCUITS: Final[Mapping[str, int]] = {"cwf-8": 8, "cwf-64": 64}
"""Circuit id to the most agents it takes, smallest first."""
SIGNALS: Final = (
    "outputs_root",
    "n_agents",
    "n_success",
    "total_gas",
    "total_time_us",
    "workflow_id_hi",
    "workflow_id_lo",
    "chain_id",
    "binding",
)
_INPUTS: Final = ("agent_hi", "agent_lo", "tx_hi", "tx_lo", "fee", "time_us", "err", "salt")
_HALF: Final = 128

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Context:
    """What all chunks of one workflow have in common."""

    workflow_id: bytes
    """32 bytes."""
    chain_id: int
    """The number of `record.chain_number`, below 2^53."""
    binding: int
    """Below 2^248; see `record`."""

    @property
    def halves(self) -> tuple[int, int]:
        """Return the workflow id as two big-endian 128-bit integers."""
        number = int.from_bytes(self.workflow_id, "big")
        return number >> _HALF, number & ((1 << _HALF) - 1)


@dataclass(frozen=True, slots=True)
class Statement:
    """What is to be proved about one chunk."""

    circuit: str
    """A circuit id, `cwf-8`."""
    signals: tuple[int, ...]
    """The nine public signals that the proof must have, in the order of `SIGNALS`."""
    inputs: Mapping[str, object] = field(repr=False)
    """The witness inputs by the circuit's names, decimal texts. Private: salts stand in them."""


def statements(outputs: Sequence[Mapping[str, object]], context: Context) -> tuple[Statement, ...]:
    """Return the statements about a workflow's outputs, one per chunk, in order.

    Args:
        outputs: in the order of the steps; with integers, not in the float view.
        context: workflow id, chain and binding.

    Raises:
        VerificationError: check 10; an error's number is 0.
    """
    rows = [row(output) for output in outputs]
    return tuple(_statement(chunk, context) for chunk in _chunked(rows))


def circuits_for(agents: int) -> tuple[str, ...]:
    """Return the circuit id of each chunk of a workflow with so many agents."""
    return tuple(_circuit(len(chunk)) for chunk in _chunked(range(agents)))


def outputs_roots(commitments: Sequence[int], context: Context) -> tuple[int, ...]:
    """Return `outputs_root` of each chunk from the public steps' commitments.

    Raises:
        VerificationError: check 4; a commitment is not in the field, or is the padding's 0.
    """
    if any(not 0 < number < FIELD_ORDER for number in commitments):
        raise VerificationError("A commitment lies outside the field of the proof.", check=4)
    return tuple(_outputs_root(chunk, context) for chunk in _chunked(commitments))


def _chunked(items: Sequence[_T]) -> list[Sequence[_T]]:
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]


def _circuit(agents: int) -> str:
    return next(circuit for circuit, size in CIRCUITS.items() if agents <= size)


def _statement(rows: Sequence[Row], context: Context) -> Statement:
    _, _, _, _, fees, times, _, successes, _ = zip(*rows, strict=True)
    signals = (
        _outputs_root([poseidon(one) for one in rows], context),
        len(rows),
        sum(successes),
        sum(fees),
        sum(times),
        *context.halves,
        context.chain_id,
        context.binding,
    )
    circuit = _circuit(len(rows))
    return Statement(circuit, signals, _inputs(rows, context, size=CIRCUITS[circuit]))


def _outputs_root(commitments: Sequence[int], context: Context) -> int:
    """Return `P_5(top, workflow_id hi, lo, chain_id, n)`, top a binary `P_2` tree padded with 0."""
    level = [*commitments, *[0] * (CIRCUITS[_circuit(len(commitments))] - len(commitments))]
    while len(level) > 1:
        level = [poseidon(level[at : at + 2]) for at in range(0, len(level), 2)]
    return poseidon((level[0], *context.halves, context.chain_id, len(commitments)))


def _inputs(rows: Sequence[Row], context: Context, *, size: int) -> dict[str, object]:
    """Return the circuit's inputs; success is no input, the circuit derives it."""
    fields = zip(*((*one[:7], one[8]) for one in rows), strict=True)
    columns = dict(zip(_INPUTS, fields, strict=True)) | {"active": [1] * len(rows)}
    high, low = context.halves
    single = {
        "workflow_id_hi": high,
        "workflow_id_lo": low,
        "chain_id": context.chain_id,
        "binding": context.binding,
    }
    padding = ["0"] * (size - len(rows))
    return {
        **{name: str(number) for name, number in single.items()},
        **{
            name: [*map(str, cast("Sequence[int]", column)), *padding]
            for name, column in columns.items()
        },
    }

import pytest

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.outputs import commitment, from_view, row
from airflow_cwf.core.evidence.poseidon import FIELD_ORDER, poseidon
from airflow_cwf.core.evidence.statement import (
    SIGNALS,
    Context,
    circuits_for,
    outputs_roots,
    statements,
)
from tests.fakes.evidence import metadata, output
from tests.fakes.groth16 import triple

HIGH, LOW = 2**128 - 1, 7
CONTEXT = Context(((HIGH << 128) | LOW).to_bytes(32, "big"), chain_id=137, binding=2**248 - 1)


def agents(count):
    return [output(f"agent-{number:03d}", number=number + 1, chain=None) for number in range(count)]


def test_the_signals_are_those_that_the_circuit_gave_in_a_real_proof():
    document = metadata().document
    outputs = [from_view(view, where="it") for view in document["agent_outputs"]]
    context = Context(
        bytes.fromhex(document["workflow_id"][2:]), document["chain_id"], 2**247 + 12345
    )
    (statement,) = statements(outputs, context)
    assert statement.signals == triple("cwf-8").signals
    commitments = [int(step["commitment"], 16) for step in document["steps"]]
    assert outputs_roots(commitments, context) == statement.signals[:1]


def test_the_root_is_the_tree_of_commitments_padded_with_zeros_under_its_context():
    a, b, c = (commitment(one) for one in agents(3))
    zero = poseidon((0, 0))
    left = poseidon((poseidon((a, b)), poseidon((c, 0))))
    top = poseidon((left, poseidon((zero, zero))))
    assert outputs_roots([a, b, c], CONTEXT) == (poseidon((top, HIGH, LOW, 137, 3)),)


def test_signals_have_their_names_order():
    (statement,) = statements([*agents(2), output("z", number=9, chain=None, error="x")], CONTEXT)
    named = dict(zip(SIGNALS, statement.signals, strict=True))
    assert named["n_agents"] == 3
    assert named["n_success"] == 2
    assert named["total_gas"] == 1_234_567 * (1 + 2 + 9)
    assert named["total_time_us"] == 3 * 12_345_678 + 1 + 2 + 9
    assert (named["workflow_id_hi"], named["workflow_id_lo"]) == (HIGH, LOW)
    assert (named["chain_id"], named["binding"]) == (137, 2**248 - 1)


def test_the_inputs_are_the_rows_in_columns_padded_with_zeros():
    outputs = agents(2)
    (statement,) = statements(outputs, CONTEXT)
    columns = ("agent_hi", "agent_lo", "tx_hi", "tx_lo", "fee", "time_us", "err", "salt")
    for number, one in enumerate(outputs):
        numbers = row(one)
        expected = [str(item) for item in (*numbers[:7], numbers[8])]
        assert [statement.inputs[name][number] for name in columns] == expected
    assert statement.inputs["active"] == ["1", "1", *["0"] * 6]
    assert all(statement.inputs[name][2:] == ["0"] * 6 for name in columns)
    assert statement.inputs["workflow_id_hi"] == str(HIGH)


def test_a_salt_does_not_show_in_the_representation_of_a_statement():
    (statement,) = statements(agents(1), CONTEXT)
    assert "inputs" not in repr(statement)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, ("cwf-8",)),
        (8, ("cwf-8",)),
        (9, ("cwf-64",)),
        (64, ("cwf-64",)),
        (65, ("cwf-64", "cwf-8")),
        (200, ("cwf-64", "cwf-64", "cwf-64", "cwf-8")),
    ],
)
def test_a_chunk_takes_the_smallest_circuit_that_holds_it(count, expected):
    assert circuits_for(count) == expected


def test_a_chunk_counts_its_own_agents_only():
    large, small = statements(agents(65), CONTEXT)
    assert (large.circuit, large.signals[1], len(large.inputs["active"])) == ("cwf-64", 64, 64)
    assert (small.circuit, small.signals[1], len(small.inputs["active"])) == ("cwf-8", 1, 8)


@pytest.mark.parametrize("number", [0, FIELD_ORDER, FIELD_ORDER + 5, -1])
def test_a_commitment_outside_the_field_or_of_padding_is_refused(number):
    with pytest.raises(VerificationError) as caught:
        outputs_roots([number], CONTEXT)
    assert caught.value.check == 4

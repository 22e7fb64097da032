"""Evidence under arbitrary values: nothing is lost, nothing can be changed unseen."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_cwf.actions.verify import Terms, verify
from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import canonical_bytes, parse_canonical
from airflow_cwf.core.evidence.merkle import inclusion_path, tree_root, verify_inclusion
from airflow_cwf.core.evidence.metadata import AgentEvidence
from airflow_cwf.core.evidence.outputs import VIEW_FLOATS, from_view, to_view
from airflow_cwf.core.schemas import WorkflowMetadata
from tests.fakes.evidence import ETHEREUM, metadata, output

MADE = metadata()
FIGURES = st.integers(0, 2**52 - 1)
SCALARS = st.none() | st.booleans() | st.integers(0, 2**53 - 1) | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
MEMBERS = st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=8), VALUES)


@given(MEMBERS)
def test_canonical_bytes_read_back_as_the_same_value(value):
    data = canonical_bytes(value)
    assert parse_canonical(data, max_bytes=len(data)) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    try:
        value = parse_canonical(data, max_bytes=100)
    except VerificationError:
        return
    assert canonical_bytes(value) == data


@given(FIGURES, FIGURES)
def test_the_float_view_loses_nothing(fee, time_us):
    made = output("A", number=1, chain=ETHEREUM, fee=fee, time_us=time_us)
    view = to_view(made)
    assert from_view(view, where="Output 0") == made
    data = canonical_bytes(view, float_members=VIEW_FLOATS)
    assert parse_canonical(data, max_bytes=10_000, float_members=VIEW_FLOATS) == view
    assert float(view["execution_time"]) == time_us / 1000


@settings(deadline=None, max_examples=25)
@given(FIGURES, FIGURES)
def test_stored_bytes_survive_the_model(fee, time_us):
    made = metadata([AgentEvidence(output("A", number=1, chain=None, fee=fee, time_us=time_us))])
    assert WorkflowMetadata.from_bytes(made.data).to_bytes() == made.data


@given(st.integers(1, 70), st.data())
def test_every_leaf_proves_and_a_flipped_bit_does_not(size, data):
    leaves = [bytes([number]) * 32 for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    path, root = inclusion_path(leaves, index), tree_root(leaves)
    verify_inclusion(leaves[index], index=index, size=size, path=path, root=root)
    parts = [leaves[index], root, *path]
    place, bit = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 255))
    flipped = int.from_bytes(parts[place], "big") ^ 1 << bit
    parts[place] = flipped.to_bytes(32, "big")
    leaf, root, *path = parts
    try:
        verify_inclusion(leaf, index=index, size=size, path=path, root=root)
    except VerificationError:
        return
    raise AssertionError


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(MADE.data) - 1), st.integers(1, 255))
def test_a_changed_byte_of_metadata_is_false_or_another_core(place, mask):
    data = bytearray(MADE.data)
    data[place] ^= mask
    result = asyncio.run(
        verify(bytes(data), Terms(receipts_files=MADE.receipts_files, offline=True))
    )
    assert result.exit_code == 1 or result.core_digest != MADE.core_digest


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(MADE.receipts_files[1]) - 1), st.integers(1, 255))
def test_a_changed_byte_of_a_receipts_file_is_false(place, mask):
    data = bytearray(MADE.receipts_files[1])
    data[place] ^= mask
    result = asyncio.run(verify(MADE.data, Terms(receipts_files=[bytes(data)], offline=True)))
    assert result.exit_code == 1

"""Outputs: the float view and back, the row, the commitment, and what is refused."""

from decimal import Decimal
from hashlib import sha3_256

import pytest

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.outputs import (
    as_output,
    commitment,
    from_view,
    round_fee,
    row,
    to_view,
)
from airflow_cwf.core.evidence.poseidon import poseidon
from tests.fakes.evidence import ETHEREUM, hash_of, output


def halves(text):
    digest = sha3_256(text.encode()).digest()
    return int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:], "big")


def test_the_row_of_a_success_is_the_specified_nine_numbers():
    made = output("PaymentAgent@ethereum", number=2, chain=ETHEREUM, txs=(1, 2))
    expected = (
        *halves(made["agent_id"]),
        *halves(hash_of(1)),
        made["fee"],
        made["time_us"],
        0,
        1,
        int(made["salt"], 16),
    )
    assert row(made) == expected
    assert commitment(made) == poseidon(expected)


def test_the_row_of_a_failure_has_the_error_and_no_success():
    made = output("ComplianceAgent", number=1, chain=None, error="did not report")
    err = int.from_bytes(sha3_256(b"did not report").digest(), "big") >> 8
    assert row(made)[2:4] == (0, 0)
    assert row(made)[6:8] == (err, 0)


@pytest.mark.parametrize(
    ("time_us", "shown"),
    [(0, 0), (1, Decimal("0.001")), (1500, Decimal("1.5")), (2000, 2), (10, Decimal("0.01"))],
)
def test_the_view_shows_milliseconds_and_leads_back(time_us, shown):
    made = output("A", number=1, chain=None, time_us=time_us)
    view = to_view(made)
    assert view["execution_time"] == shown
    assert view["gas_used"] == made["fee"]
    assert not {"fee", "time_us"} & view.keys()
    assert from_view(view, where="Output 0") == made


@pytest.mark.parametrize(
    "change",
    [
        {"fee": 2**52},
        {"time_us": 2**52},
        {"fee": -1},
        {"fee": 1.5},
        {"fee": True},
        {"error": ""},
        {"agent_name": ""},
        {"agent_id": None},
        {"salt": "0x" + "0" * 31},
        {"salt": "0x" + "A" * 32},
        {"chain": "ethereum"},
        {"chain": "eip155:01"},
        {"tx_hash": hash_of(2)},
        {"tx_hash": None},
        {"tx_hashes": []},
        {"tx_hash": "0xAB", "tx_hashes": ["0xAB"]},
        {"further": {"gas_used": 1}},
        {"further": {"execution_time": 1}},
        {"further": {"fee": 1}},
        {"further": {"agent_name": "other"}},
        {"further": {"ratio": 0.5}},
        {"further": {"big": 2**53}},
        {"further": {"name é": 1}},
        {"further": {"deep": [[[[[[1]]]]]]}},
    ],
    ids=str,
)
def test_an_output_out_of_form_is_refused(change):
    with pytest.raises(VerificationError):
        output("A", number=1, txs=(1,), **({"chain": ETHEREUM} | change))


def test_an_output_with_its_view_beside_it_is_refused():
    with pytest.raises(VerificationError):
        as_output(output("A", number=1, chain=None) | {"gas_used": 1}, where="Output 0")


def test_a_further_member_may_be_five_deep():
    assert output("A", number=1, chain=None, further={"deep": [[[[[1]]]]]})


@pytest.mark.parametrize(
    "change",
    [
        {"gas_used": Decimal("1.5")},
        {"gas_used": None},
        {"execution_time": None},
        {"execution_time": "1"},
        {"execution_time": True},
        {"fee": 1},
        {"time_us": 1},
        {"type": "cwf-output/2"},
    ],
    ids=str,
)
def test_a_view_out_of_form_is_refused(change):
    view = to_view(output("A", number=1, chain=None)) | change
    with pytest.raises(VerificationError):
        from_view(view, where="Output 0")


def test_fees_are_rounded_up_once():
    assert round_fee(0) == 0
    assert round_fee(1) == 1
    assert round_fee(10**9) == 1
    assert round_fee(10**9 + 1) == 2
    assert round_fee(5000, unit=1) == 5000


def test_a_non_evm_hash_keeps_its_own_text():
    made = output("A", number=1, chain="cosmos:cosmoshub-4", tx_hash="AB12", tx_hashes=["AB12"])
    assert made["tx_hash"] == "AB12"

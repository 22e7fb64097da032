"""Receipts: form, order, root, counts, and the file that holds them."""

import pytest

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import leaf_hash
from airflow_cwf.core.evidence.merkle import EMPTY_ROOT, node_hash
from airflow_cwf.core.evidence.receipts import (
    as_receipt,
    count_statuses,
    in_order,
    make_receipt,
    parse_receipts_file,
    receipts_file,
    receipts_root,
)
from tests.fakes.evidence import ETHEREUM, receipt

GOOD = receipt(0, chain=ETHEREUM, tx=1, log=0)


def test_a_receipt_has_exactly_the_specified_members():
    assert set(GOOD) == {
        "type", "salt", "key", "scope", "item", "chain", "asset", "payer", "payee", "amount",
        "status", "reason", "tx_hash", "log",
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"salt": "0x"},
        {"key": None},
        {"item": -1},
        {"item": True},
        {"chain": "1"},
        {"asset": f"eip155:137/erc20:0x{'c' * 40}"},
        {"asset": "USDC"},
        {"payer": f"eip155:1:0x{'A' * 40}"},
        {"payee": f"0x{'a' * 40}"},
        {"amount": "01"},
        {"amount": str(2**256)},
        {"amount": "1.5"},
        {"amount": 5},
        {"status": "paid"},
        {"tx_hash": "AB"},
        {"log": -1},
        {"log": "0"},
        {"chain": "cosmos:cosmoshub-4"},
        {"chain": None},
        {"key": "\ud800"},
        {"name": "Ann"},
    ],
    ids=ascii,
)
def test_a_receipt_out_of_form_is_refused(change):
    members = {name: value for name, value in GOOD.items() if name != "type"}
    with pytest.raises(VerificationError):
        make_receipt(**(members | change))


def test_a_receipt_that_is_no_object_is_refused():
    with pytest.raises(VerificationError):
        as_receipt([], where="Receipt 0")


def test_receipts_are_ordered_by_scope_bytes_then_item():
    scopes = [("b", 0), ("a", 10), ("a", 9), ("\U0001f600", 0), ("\ufb33", 0)]
    receipts = [{**GOOD, "scope": scope, "item": item} for scope, item in scopes]
    ordered = [(item["scope"], item["item"]) for item in in_order(receipts)]
    # U+1F600 has higher UTF-8 bytes than U+FB33, though lower UTF-16 units.
    assert ordered == [("a", 9), ("a", 10), ("b", 0), ("\ufb33", 0), ("\U0001f600", 0)]


def test_one_item_has_one_receipt():
    with pytest.raises(VerificationError):
        in_order([GOOD, GOOD])


def test_the_root_is_the_tree_over_the_leaves():
    two = [GOOD, {**GOOD, "item": 1}]
    assert receipts_root(two) == node_hash(leaf_hash(two[0]), leaf_hash(two[1]))
    assert receipts_root([]) == EMPTY_ROOT


def test_counts_name_every_status():
    assert count_statuses([GOOD]) == {"settled": 1, "failed": 0, "unresolved": 0}


def test_a_receipts_file_is_read_as_it_was_written():
    file = parse_receipts_file(receipts_file(step=1, receipts=[GOOD]))
    assert (file.step, list(file.receipts)) == (1, [GOOD])

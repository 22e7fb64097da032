"""A submitter's log: leaves, entries, and what one append added."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import leaf_hash
from airflow_cwf.core.evidence.cid import raw_cid
from airflow_cwf.core.evidence.log import (
    grow,
    log_leaf,
    log_leaves,
    log_path,
    verify_appended,
    verify_entry,
    verify_only_grew,
)
from airflow_cwf.core.evidence.merkle import EMPTY_ROOT
from airflow_cwf.core.hashes import sha3_256

RECORDS = [raw_cid(b"%d" % number) for number in range(30)]
LEAVES = log_leaves(RECORDS)

appends = st.integers(1, 30).flatmap(
    lambda size: st.tuples(st.integers(0, size - 1), st.just(size))
)


def refuse(check, *args, **kwargs):
    with pytest.raises(VerificationError) as refused:
        check(*args, **kwargs)
    assert refused.value.check == 11


def test_a_leaf_is_the_hash_of_its_canonical_object():
    text = b'{"record":"%s","type":"cwf-log/1"}' % str(RECORDS[0]).encode()
    assert log_leaf(RECORDS[0]) == sha3_256(b"\0" + text)
    for record in RECORDS:
        leaf = {"type": "cwf-log/1", "record": str(record)}
        assert log_leaf(record) == leaf_hash(leaf)


def test_the_first_append_grows_out_of_nothing():
    growth = grow(LEAVES[:3], old_size=0)
    assert (growth.old_size, growth.old_root, growth.consistency) == (0, EMPTY_ROOT, ())
    assert growth.size == 3
    verify_appended(RECORDS[:3], growth=growth)
    refuse(verify_appended, RECORDS[1:4], growth=growth)


@given(appends, st.data())
def test_every_record_of_an_append_is_an_entry_at_its_own_position(sizes, data):
    old_size, size = sizes
    growth = grow(LEAVES[:size], old_size=old_size)
    verify_appended(RECORDS[old_size:size], growth=growth)
    verify_only_grew(growth)
    position = data.draw(st.integers(old_size, size - 1))
    path = log_path(LEAVES[:size], position)
    entry = {"position": position, "path": path, "growth": growth}
    verify_entry(RECORDS[position], **entry)
    refuse(verify_entry, RECORDS[(position + 1) % 30], **entry)
    for other in (old_size - 1, size, position - 1, position + 1):
        refuse(verify_entry, RECORDS[position], **(entry | {"position": other}))


@given(appends)
def test_a_record_of_an_earlier_append_is_no_entry_of_this_one(sizes):
    old_size, size = sizes
    growth = grow(LEAVES[:size], old_size=old_size)
    if old_size:
        path = log_path(LEAVES[:size], 0)
        refuse(verify_entry, RECORDS[0], position=0, path=path, growth=growth)


def test_an_entry_of_a_rewritten_log_is_refused():
    growth = grow(LEAVES[:9], old_size=4)
    entry = {"position": 5, "path": log_path(LEAVES[:9], 5)}
    rewritten = replace(growth, old_root=grow(LEAVES[1:5], old_size=0).root)
    refuse(verify_entry, RECORDS[5], **entry, growth=rewritten)
    refuse(verify_appended, RECORDS[4:9], growth=rewritten)
    refuse(verify_only_grew, replace(growth, consistency=growth.consistency[:-1]))


def test_another_number_of_records_is_refused():
    growth = grow(LEAVES[:9], old_size=4)
    refuse(verify_appended, RECORDS[4:8], growth=growth)
    refuse(verify_appended, RECORDS[4:10], growth=growth)


def test_a_log_cannot_grow_from_more_than_it_has():
    refuse(grow, LEAVES[:3], old_size=4)

"""Checks 11 and 12: a head seen before, and what only the chain can contradict."""

import asyncio
from dataclasses import replace

import pytest

from airflow_cwf.actions.verify import State, verify
from airflow_cwf.core.anchors import NO_HEAD, Head
from airflow_cwf.core.evidence.batch_document import LogId, compose_batch
from airflow_cwf.core.evidence.cid import raw_cid
from airflow_cwf.core.evidence.log import log_leaves
from airflow_cwf.core.evidence.record import record_of
from tests.fakes.evidence import ETHEREUM, POLYGON, hash_of
from tests.fakes.proved import (
    APPEND_TX,
    LOG,
    NO_KEYS,
    TERMS,
    appended,
    as_bytes,
    chains,
    whole,
)

MADE = whole()
FAST = replace(TERMS, trust=NO_KEYS)
GROWTH = MADE.batch.growth
OLD, NEW = Head(GROWTH.old_size, GROWTH.old_root), Head(GROWTH.size, GROWTH.root)
APPENDED = [appended(MADE)]


def line(number, terms, document=None):
    target = as_bytes(MADE.metadata if document is None else document)
    result = asyncio.run(verify(target, terms))
    return result.lines[number - 1]


def head_of(batch):
    return Head(batch.growth.size, batch.growth.root)


def since(head, *batches, document=None):
    terms = replace(FAST, since=head, batches=[batch.data for batch in batches], offline=True)
    return line(11, terms, document)


@pytest.mark.parametrize("head", [OLD, NEW, NO_HEAD])
def test_a_head_of_this_append_is_continued(head):
    assert since(head).state is State.HELD


def test_an_older_head_is_reached_over_the_batches_between():
    older = Head(MADE.before.growth.old_size, MADE.before.growth.old_root)
    assert since(older).state is State.UNKNOWN
    assert since(older, MADE.before).state is State.HELD
    assert since(older, MADE.after, MADE.before).state is State.HELD


def test_a_later_head_is_reached_over_the_batches_after():
    assert since(head_of(MADE.after)).state is State.UNKNOWN
    assert since(head_of(MADE.after), MADE.after).state is State.HELD


@pytest.mark.parametrize("size", [GROWTH.old_size, GROWTH.size])
def test_another_root_at_a_known_size_means_the_log_was_rewritten(size):
    found = since(Head(size, b"\x01" * 32))
    assert found.state is State.FALSE
    assert "rewritten" in found.text


def test_another_root_in_between_is_false_too():
    assert since(Head(2, b"\x01" * 32), MADE.before).state is State.FALSE


def test_batches_of_another_log_reach_nothing():
    leaves = [raw_cid(bytes([number])) for number in range(5)]
    other = LogId(POLYGON, LOG.contract, LOG.submitter)
    strange = compose_batch(other, leaves=log_leaves(leaves[:2]), records=leaves[2:])
    assert since(Head(2, strange.growth.old_root), strange).state is State.UNKNOWN


def test_a_broken_batch_file_is_false_where_it_contradicts_itself():
    data = MADE.before.data.replace(b'"size":5', b'"size":6')
    terms = replace(FAST, batches=[data], offline=True)
    assert line(11, terms).state is State.FALSE


def test_a_bare_record_is_found_in_a_batch_that_is_given():
    record = record_of(MADE.metadata)
    assert since(NO_HEAD, document=record).state is State.UNKNOWN
    found = since(OLD, MADE.batch, document=record)
    assert found.state is State.HELD
    assert "position 5 of 8" in found.text
    terms = replace(FAST, batches=[MADE.before.data])
    assert line(11, terms, record).state is State.NOT_CHECKED


# Check 12


def anchor(clients):
    return line(12, replace(FAST, chains=clients))


def altered(**changes):
    made = chains()
    for name, value in changes.items():
        setattr(made[ETHEREUM], name, value)
    return made


def test_the_final_append_holds_with_its_block_and_time():
    found = anchor(chains())
    assert found.state is State.HELD
    assert "final block 50 of 1970-01-01 00:00:00 UTC" in found.text


@pytest.mark.parametrize(
    "clients",
    [
        {},
        altered(down=True),
        altered(id=5),
        altered(finalized=49),
        altered(forked={50: hash_of(5)}),
        altered(transactions={}),
    ],
    ids=["no node", "down", "another chain", "not final", "forked", "unknown transaction"],
)
def test_what_a_node_does_not_know_is_unknown(clients):
    assert anchor(clients).state is State.UNKNOWN


@pytest.mark.parametrize(
    "head", [None, NO_HEAD, OLD, Head(GROWTH.size, b"\x01" * 32), Head(0, b"\x01" * 32)]
)
def test_a_head_that_does_not_continue_the_append_is_false(head):
    assert anchor(altered(head=head)).state is State.FALSE


def test_a_larger_head_is_fine():
    assert anchor(altered(head=head_of(MADE.after))).state is State.HELD


def test_a_reverted_append_is_false():
    made = chains()
    made[ETHEREUM].replace(APPEND_TX, succeeded=False)
    assert anchor(made).state is State.FALSE


@pytest.mark.parametrize(
    "logs",
    [
        [],
        [replace(APPENDED[0], address="0x" + "11" * 20)],
        [replace(APPENDED[0], topics=(APPENDED[0].topics[0], "0x" + "00" * 12 + "11" * 20))],
        [replace(APPENDED[0], topics=("0x" + "11" * 32, APPENDED[0].topics[1]))],
        [replace(APPENDED[0], topics=APPENDED[0].topics[:1])],
        [replace(APPENDED[0], data=APPENDED[0].data[:-1])],
        [appended(MADE, old_size=(4).to_bytes(32, "big"))],
        [appended(MADE, old_root=bytes(32))],
        [appended(MADE, size=(9).to_bytes(32, "big"))],
        [appended(MADE, root=bytes(32))],
        [appended(MADE, batch=bytes(32))],
    ],
)
def test_a_transaction_without_this_very_append_is_false(logs):
    assert anchor(chains(logs=logs)).state is State.FALSE


def test_other_appends_in_the_same_transaction_do_not_disturb():
    others = [appended(MADE, batch=bytes(32)), APPENDED[0]]
    assert anchor(chains(logs=others)).state is State.HELD


def test_a_time_beyond_all_calendars_is_no_traceback():
    made = chains()

    class Late(type(made[ETHEREUM])):
        async def block(self, number):
            return replace(await super().block(number), timestamp=2**63)

    late = Late(1, made[ETHEREUM].transactions)
    late.head = NEW
    assert anchor(made | {ETHEREUM: late}).state is State.HELD

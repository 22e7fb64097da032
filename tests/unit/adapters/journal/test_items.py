"""Manifests and the states of items: what may follow what, and what changes nothing."""

from dataclasses import replace

import pytest

from airflow_cwf.core.errors import JournalError
from airflow_cwf.core.journal_rows import ItemOutcome
from airflow_cwf.core.states import ITEM_TRANSITIONS, PAYABLE, ItemState, Reason
from tests.fakes.desk import CHAIN, PAYER, a_scope, items_of, receipt_of, with_amount

S = ItemState
BY_FINALITY = [S.SETTLED, S.FAILED, S.RESERVED, S.UNCLEAR, S.CONFLICT]


def bring(desk, items, state):
    """Bring fresh items to `state` by the ways that the engine has."""
    lease = desk.lease()
    if state is S.REFUSED:
        desk.journal.payments.refuse(items, Reason.SANCTIONED)
    if state not in {S.LOADED, S.REFUSED}:
        desk.reserve(items)
    if state not in {S.LOADED, S.REFUSED, S.RESERVED}:
        transaction = desk.record(lease, items)
        if state is not S.SENT:
            desk.finalise(lease, transaction, state)
    return lease


@pytest.mark.parametrize("state", S)
def test_every_state_can_be_reached_and_is_what_the_journal_says(desk, state):
    bring(desk, desk.freeze(2), state)
    assert desk.states() == {state}


@pytest.mark.parametrize("state", [s for s in S if S.SENT not in ITEM_TRANSITIONS[s]])
def test_what_is_not_reserved_cannot_be_signed_for(desk, state):
    items = desk.freeze(2)
    lease = bring(desk, items, state)
    before = desk.dump()
    with pytest.raises(JournalError, match=f"is {state} and cannot become sent; nothing"):
        desk.record(lease, items)
    assert desk.dump() == before


@pytest.mark.parametrize("state", [s for s in S if s not in PAYABLE])
def test_what_is_in_flight_or_at_its_end_cannot_be_reserved_again(desk, state):
    items = desk.freeze(2)
    bring(desk, items, state)
    before = desk.dump()
    with pytest.raises(JournalError, match=f"is {state} and cannot become reserved"):
        desk.reserve(items)
    assert desk.dump() == before


@pytest.mark.parametrize("state", S)
def test_a_refusal_reaches_only_what_is_payable(desk, state):
    items = desk.freeze(2)
    bring(desk, items, state)
    desk.journal.payments.refuse(items, Reason.SANCTIONED)
    assert desk.states() == {S.REFUSED if state in PAYABLE else state}


@pytest.mark.parametrize("to", [s for s in S if s not in BY_FINALITY])
def test_a_final_transaction_leaves_no_item_in_a_state_that_finality_does_not_give(desk, to):
    items = desk.freeze(2)
    lease = bring(desk, items, S.RESERVED)
    transaction = desk.record(lease, items)
    before = desk.dump()
    with pytest.raises(JournalError, match=f"is sent and cannot become {to}"):
        desk.finalise(lease, transaction, to)
    assert desk.dump() == before


@pytest.mark.parametrize("wrong", ["too few", "another key", "another revision", "one twice"])
def test_outcomes_that_are_not_one_for_each_item_change_nothing(desk, wrong):
    items = desk.freeze(3)
    lease = desk.lease()
    desk.reserve(items)
    transaction = desk.record(lease, items[:2])
    first, second = (ItemOutcome(i.key, 0, S.SETTLED) for i in items[:2])
    outcomes = {
        "too few": [first],
        "another key": [first, ItemOutcome(items[2].key, 0, S.SETTLED)],
        "another revision": [first, replace(second, revision=1)],
        "one twice": [first, second, second],
    }[wrong]
    before = desk.dump()
    with pytest.raises(JournalError, match="not one for each"):
        desk.journal.lanes.finalise(lease, transaction.id, receipt_of(transaction), outcomes)
    assert desk.dump() == before


def test_a_load_that_another_one_overtook_changes_nothing(desk):
    items = desk.freeze(3)
    before = desk.dump()
    part = a_scope(part=1)
    moved = [replace(items[0], scope=part.id), *items_of(part, 2)[1:]]
    with pytest.raises(JournalError, match="at the same moment; nothing was changed"):
        desk.journal.payments.freeze([part], moved)
    with pytest.raises(JournalError, match="at the same moment; nothing was changed"):
        desk.freeze(3)
    assert desk.dump() == before


def test_two_processes_that_load_one_payroll_freeze_it_once(desk, processes, tmp_path):
    def load():
        worker = desk.another()
        try:
            worker.freeze(500)
        except JournalError:
            (tmp_path / "refused").touch()

    loads = [processes(load) for _ in range(2)]
    for process in loads:
        process.join()
        assert process.exitcode == 0
    assert (tmp_path / "refused").exists()
    assert [row.index for row in desk.rows()] == list(range(500))


def test_places_are_known_for_the_keys_of_a_manifest_only(desk):
    items = desk.freeze(1203)
    asked = [item.key for item in items] + ["f" * 64]
    places = desk.journal.payments.places(asked)
    assert places == {item.key: (item.scope, item.index) for item in items}


def test_scopes_come_back_as_they_were_frozen(desk):
    desk.freeze(1, part=1)
    desk.freeze(1, part=0)
    scopes = desk.journal.payments.scopes("payroll")
    assert [scope.part for scope in scopes] == [0, 1]
    assert scopes[0] == a_scope(part=0, keys=[desk.rows()[0].key])
    assert desk.journal.payments.scopes("another") == []


@pytest.mark.parametrize("state", [S.LOADED, S.REFUSED, S.RESERVED])
def test_a_correction_of_what_was_never_signed_is_loaded_anew(desk, state):
    items = desk.freeze(2)
    bring(desk, items, state)
    desk.journal.payments.correct([with_amount(items[0], 5)], [])
    row = desk.rows()[0]
    assert (row.amount, row.state, row.reason, row.revision) == (5, S.LOADED, None, 0)
    assert desk.rows()[1].state is state


@pytest.mark.parametrize("state", [s for s in S if s is not S.LOADED and s is not S.REFUSED])
def test_a_correction_of_what_was_signed_is_refused_whole(desk, state):
    items = desk.freeze(2)
    lease = bring(desk, items[:1], S.SENT if state is S.SENT else S.RESERVED)
    if state is not S.SENT:
        desk.finalise(lease, desk.record(lease, items[:1]), state)
    before = desk.dump()
    with pytest.raises(JournalError, match="was signed while its correction"):
        desk.journal.payments.correct([with_amount(item, 5) for item in reversed(items)], [])
    assert desk.dump() == before


def test_the_old_plan_cannot_reserve_what_was_corrected(desk):
    (item,) = desk.freeze(1)
    desk.journal.payments.correct([with_amount(item, 5)], [])
    before = desk.dump()
    with pytest.raises(JournalError, match="corrected or revised meanwhile"):
        desk.reserve([item])
    assert desk.dump() == before


def test_the_old_plan_cannot_sign_for_what_was_corrected(desk):
    (item,) = desk.freeze(1)
    lease = desk.lease()
    desk.reserve([item])
    corrected = with_amount(item, 5)
    desk.journal.payments.correct([corrected], [])
    desk.reserve([corrected])
    before = desk.dump()
    with pytest.raises(JournalError, match="corrected or revised meanwhile"):
        desk.record(lease, [item])
    assert desk.dump() == before


@pytest.mark.parametrize("moved", [{"index": 1}, {"scope": "another"}, {"key": "0" * 64}])
def test_an_item_at_another_place_than_its_manifest_s_is_neither_reserved_nor_signed(desk, moved):
    items = desk.freeze(2)
    part = desk.freeze(1, part=1)
    lease = desk.lease()
    desk.reserve(items)
    if "scope" in moved:
        moved = {"scope": part[0].scope}
    wrong = replace(items[0], **moved)
    before = desk.dump()
    with pytest.raises(JournalError, match="the plan file was changed"):
        desk.reserve([wrong])
    with pytest.raises(JournalError, match="the plan file was changed"):
        desk.record(lease, [wrong])
    assert desk.dump() == before


@pytest.mark.parametrize("state", [S.FAILED, S.RESERVED])
def test_a_revision_follows_a_failure_at_finality_at_the_same_place(desk, state):
    (item,) = desk.freeze(1)
    lease = bring(desk, [item], state if state is S.FAILED else S.SENT)
    if state is S.RESERVED:
        (transaction,) = desk.journal.lanes.unfinal(CHAIN, PAYER)
        desk.finalise(lease, transaction, S.RESERVED, counts=True)
        assert desk.rows()[0].resends == 1
    revised = with_amount(item, 5, revision=1)
    desk.journal.payments.correct([], [revised])
    (row,) = desk.rows()
    assert (row.revision, row.index, row.state, row.signed) == (1, 0, S.LOADED, False)
    assert row.resends == 0
    desk.reserve([revised])
    desk.finalise(lease, desk.record(lease, [revised]), S.SETTLED)
    assert desk.states() == {S.SETTLED}


@pytest.mark.parametrize("state", [S.LOADED, S.SENT, S.SETTLED, S.UNCLEAR, S.CONFLICT])
def test_no_revision_follows_what_was_paid_or_may_be(desk, state):
    (item,) = desk.freeze(1)
    bring(desk, [item], state)
    before = desk.dump()
    with pytest.raises(JournalError, match=r"nothing was changed\. Load the file again"):
        desk.journal.payments.correct([], [with_amount(item, 5, revision=1)])
    assert desk.dump() == before


def test_a_revision_is_the_next_one_and_stands_once(desk):
    (item,) = desk.freeze(1)
    bring(desk, [item], S.FAILED)
    for revision in (0, 2):
        with pytest.raises(JournalError, match="Load the file again"):
            desk.journal.payments.correct([], [with_amount(item, 5, revision=revision)])
    desk.journal.payments.correct([], [with_amount(item, 5, revision=1)])
    with pytest.raises(JournalError, match="Load the file again"):
        desk.journal.payments.correct([], [with_amount(item, 6, revision=1)])


def test_a_superseded_revision_is_never_signed_again(desk):
    (item,) = desk.freeze(1)
    lease = bring(desk, [item], S.SENT)
    (transaction,) = desk.journal.lanes.unfinal(CHAIN, PAYER)
    desk.finalise(lease, transaction, S.RESERVED)
    desk.reserve([item])
    desk.journal.payments.correct([], [with_amount(item, 5, revision=1)])
    with pytest.raises(JournalError, match="corrected or revised meanwhile"):
        desk.record(lease, [item])


def test_a_settled_item_names_the_transaction_and_its_log(desk):
    (item,) = desk.freeze(1)
    lease = desk.lease()
    desk.reserve([item])
    transaction = desk.record(lease, [item])
    outcome = ItemOutcome(item.key, 0, S.SETTLED, log=3)
    desk.journal.lanes.finalise(lease, transaction.id, receipt_of(transaction), [outcome])
    (row,) = desk.rows()
    assert (row.tx_hash, row.log, row.signed) == (receipt_of(transaction).hash, 3, True)


def test_no_table_holds_a_name(desk):
    items = desk.freeze(3)
    desk.reserve(items)
    assert not any("employee" in row or items[0].payee in row for row in desk.dump())

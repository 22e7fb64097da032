from hypothesis import given
from hypothesis import strategies as st

from airflow_cwf.core.states import (
    BUSINESS_REASONS,
    ITEM_TRANSITIONS,
    PAYABLE,
    RECEIPT_STATUS,
    ItemState,
    Reason,
    ReceiptStatus,
)

S = ItemState
ENDS = {S.SETTLED, S.FAILED, S.CONFLICT}


def reachable(start):
    seen, open_states = set(), [start]
    while open_states:
        state = open_states.pop()
        if state not in seen:
            seen.add(state)
            open_states.extend(ITEM_TRANSITIONS[state])
    return seen


def test_every_state_has_its_row_and_its_word_in_receipts():
    assert set(ITEM_TRANSITIONS) == set(RECEIPT_STATUS) == set(S)


def test_no_state_is_dead_and_an_end_is_an_end():
    for state in S:
        assert reachable(state) & ENDS
        assert (ITEM_TRANSITIONS[state] == frozenset()) == (state in ENDS)
        if state not in ENDS:
            assert S.SETTLED in reachable(state)


def test_every_state_can_be_reached_from_the_first():
    assert reachable(S.LOADED) == set(S)


def test_nothing_is_settled_or_failed_that_was_not_sent():
    for state in PAYABLE:
        assert ITEM_TRANSITIONS[state] <= PAYABLE | {S.SENT}
    assert [state for state in S if S.SENT in ITEM_TRANSITIONS[state]] == [S.RESERVED]


@given(st.lists(st.sampled_from(S), max_size=30))
def test_no_road_leads_on_from_a_payment(asked):
    state, settled = S.LOADED, 0
    for wanted in asked:
        if wanted in ITEM_TRANSITIONS[state]:
            state = wanted
            settled += wanted is S.SETTLED
    assert settled == (state is S.SETTLED)


def test_only_a_settled_item_is_reported_as_paid_and_only_an_end_as_failed():
    paid = {state for state, status in RECEIPT_STATUS.items() if status is ReceiptStatus.SETTLED}
    failed = {state for state, status in RECEIPT_STATUS.items() if status is ReceiptStatus.FAILED}
    assert paid == {S.SETTLED}
    assert failed == {S.FAILED, S.REFUSED}


def test_technical_failures_are_no_reasons_of_business():
    technical = {Reason.REVERTED, Reason.NOT_FINAL, Reason.NOT_SENT, Reason.UNCLEAR_OUTCOME}
    assert not technical & BUSINESS_REASONS
    assert {Reason.SANCTIONED, Reason.BLACKLISTED, Reason.OVER_CAP} <= BUSINESS_REASONS

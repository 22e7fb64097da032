"""Caps: no number of processes passes one, and what failed gives back exactly its own."""

import pytest

from airflow_cwf.core.states import ItemState, Reason
from tests.fakes.desk import with_amount

S = ItemState
ONE = 1_000_000


def test_four_processes_that_reserve_at_once_never_pass_the_cap(desk, processes):
    items = desk.freeze(240, amount=10 * ONE)
    cap = 1_000 * ONE

    def reserve(share):
        worker = desk.another()
        for item in share:
            worker.reserve([item], cap=cap)

    workers = [processes(lambda n=n: reserve(items[n::4])) for n in range(4)]
    for process in workers:
        process.join()
        assert process.exitcode == 0
    assert desk.used() == cap
    assert sum(row.state is S.RESERVED for row in desk.rows()) == 100
    assert {row.reason for row in desk.rows() if row.state is S.REFUSED} == {Reason.OVER_CAP}


def test_a_cap_is_filled_to_its_last_unit_and_not_beyond(desk):
    items = desk.freeze(3)
    assert len(desk.reserve(items, cap=2 * ONE)) == 1
    assert desk.used() == 2 * ONE
    assert desk.reserve(items, cap=3 * ONE) == []
    assert desk.used() == 3 * ONE


def test_reserving_twice_counts_once(desk):
    items = desk.freeze(3)
    for _ in range(3):
        assert desk.reserve(items, cap=3 * ONE) == []
    assert desk.used() == 3 * ONE


@pytest.mark.parametrize("counts", [True, False])
def test_a_send_that_failed_gives_back_its_spend_and_a_resend_takes_it_again(desk, counts):
    items = desk.freeze(2)
    lease = desk.lease()
    for _ in range(3):
        assert desk.reserve(items, cap=2 * ONE) == []
        assert desk.used() == 2 * ONE
        transaction = desk.record(lease, items)
        desk.finalise(lease, transaction, S.RESERVED, counts=counts)
        assert desk.used() == 0
    assert {row.resends for row in desk.rows()} == {3 if counts else 0}


def test_a_resend_finds_no_room_that_others_have_taken_meanwhile(desk):
    first, second = desk.freeze(2)
    lease = desk.lease()
    desk.reserve([first], cap=ONE)
    desk.finalise(lease, desk.record(lease, [first]), S.RESERVED)
    assert desk.reserve([second], cap=ONE) == []
    assert desk.reserve([first], cap=ONE) == [first]
    assert desk.used() == ONE


@pytest.mark.parametrize("state", [S.SETTLED, S.UNCLEAR, S.CONFLICT])
def test_what_was_paid_or_may_be_keeps_its_spend(desk, state):
    items = desk.freeze(2)
    lease = desk.lease()
    desk.reserve(items)
    desk.finalise(lease, desk.record(lease, items), state)
    assert desk.used() == 2 * ONE


def test_a_failure_frees_its_own_spend_on_every_budget_and_nothing_else(desk):
    items = desk.freeze(3)
    lease = desk.lease()
    desk.reserve(items, budget="run/one/USDC")
    desk.reserve(items[:2], budget="run/two/USDC")
    desk.finalise(lease, desk.record(lease, items[:1]), S.FAILED)
    assert desk.used("run/one/USDC") == 2 * ONE
    assert desk.used("run/two/USDC") == ONE


def test_the_same_receipt_again_frees_nothing_a_second_time(desk):
    items = desk.freeze(2)
    lease = desk.lease()
    desk.reserve(items)
    transaction = desk.record(lease, items[:1])
    for _ in range(2):
        desk.finalise(lease, transaction, S.FAILED)
    assert desk.used() == ONE


def test_a_correction_reserves_its_own_amount_instead_of_the_old_one(desk):
    first, second = desk.freeze(2, amount=1)
    desk.reserve([first, second], cap=100)
    dear = with_amount(first, 1_000)
    desk.journal.payments.correct([dear], [])
    assert desk.used() == 1
    assert desk.reserve([dear], cap=100) == [dear]
    cheap = with_amount(first, 99)
    desk.journal.payments.correct([cheap], [])
    assert desk.reserve([cheap], cap=100) == []
    assert desk.used() == 100


def test_a_revision_gives_back_what_the_resend_before_it_had_reserved(desk):
    (item,) = desk.freeze(1)
    lease = desk.lease()
    desk.reserve([item])
    desk.finalise(lease, desk.record(lease, [item]), S.RESERVED)
    desk.reserve([item])
    revised = with_amount(item, 5, revision=1)
    desk.journal.payments.correct([], [revised])
    assert desk.used() == 0
    desk.reserve([revised])
    assert desk.used() == 5


def test_budgets_count_millionths_of_a_token_and_round_up(desk):
    items = desk.freeze(1, amount=1)
    desk.journal.payments.reserve(items, budget="b", cap=None, decimals=18)
    assert desk.used("b") == 1
    desk.journal.payments.reserve(items, budget="c", cap=None, decimals=2)
    assert desk.used("c") == 10_000


def test_no_budget_grows_beyond_what_its_column_can_count(desk):
    items = desk.freeze(2, amount=2**63 - 1)
    assert len(desk.reserve(items)) == 1
    assert desk.used() == 2**63 - 1
    assert len(desk.reserve(items, cap=10**30)) == 1


def test_a_cap_that_was_lowered_below_what_is_used_leaves_no_room(desk):
    items = desk.freeze(3)
    desk.reserve(items[:2], cap=2 * ONE)
    assert desk.reserve(items, cap=ONE) == [items[2]]
    assert desk.used() == 2 * ONE

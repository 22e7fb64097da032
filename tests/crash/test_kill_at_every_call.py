"""kill -9 at every call of every port, then another process: everybody is paid exactly once."""

import sqlite3
from collections import Counter

import pytest

from airflow_cwf.actions import settle
from airflow_cwf.core.states import ItemState
from tests.fakes.crashing import Killed, Mortality, MortalRuntime
from tests.fakes.runtime import UNITS, FakeWorld, payee

SANCTIONED, BLACKLISTED, POISONED = payee(11), payee(12), payee(13)
SALARIES = {payee(n): (n + 1) * UNITS for n in range(5)}
REACHES = 210
"""More calls than the run makes; `test_the_run_has_fewer_calls` says when this is too small."""
TWO_KILLS = ((60, 20), (75, 34), (82, 47), (90, 55), (98, 41), (110, 60), (121, 38), (133, 52))
LOST = (0, 30)
"""Seconds for which nobody works after a kill: none, or long enough for finality."""


@pytest.fixture
def payday(tmp_path, monkeypatch):
    """Two batches of three, with everybody in the file who must not be paid."""
    monkeypatch.setattr(settle, "MAX_ITEMS", 3)
    return make_payday(tmp_path)


def make_payday(folder):
    world = FakeWorld(folder)
    rows = [(f"emp-{n}", to, f"{units // UNITS}") for n, (to, units) in enumerate(SALARIES.items())]
    rows += [
        ("sanctioned", SANCTIONED, "7"),
        ("blacklisted", BLACKLISTED, "8"),
        ("poisoned", POISONED, "9"),
        ("negative", payee(20), "-1"),
        ("twice", payee(21), "5"),
        ("twice", payee(22), "6"),
    ]
    world.pay_to(*rows)
    world.listed.addresses = {SANCTIONED}
    world.nodes["ethereum"].token.blacklist = {BLACKLISTED}
    world.nodes["ethereum"].token.refuses = {POISONED: "no, not this one"}
    return world


def run(world, **mortality):
    """Run the payroll in a process that may die; return the metadata (None: it died) and calls."""
    deadly = Mortality(**mortality)
    try:
        return world.run(runtime=MortalRuntime(world, deadly), max_retries=1), deadly.calls
    except Killed:
        return None, deadly.calls


def check_everybody_is_paid_once(world, metadata):
    node = world.nodes["ethereum"]
    assert Counter(node.transfers()) == Counter(SALARIES.items())
    held = {to: units for to, units in node.ledger.balances.items() if to != world.payer}
    assert held == SALARIES
    states = Counter((row.state, row.reason) for row in world.rows())
    assert states == {
        (ItemState.SETTLED, None): 5,
        (ItemState.REFUSED, "sanctioned"): 1,
        (ItemState.REFUSED, "blacklisted by the token"): 1,
        (ItemState.FAILED, "reverted"): 1,
    }
    check_transactions(world)
    _, paid = metadata.agent_outputs
    counts = paid.counts
    assert (counts["items"], counts["settled"], counts["failed"]) == (8, 5, 3)
    assert counts["unresolved"] == 0
    assert counts["reasons"] == {"blacklisted by the token": 1, "reverted": 1, "sanctioned": 1}
    assert list((world.folder / "artifacts/runs/r1").glob("*/metadata.json"))


def check_transactions(world):
    """Nonces without a gap, every hash a node ever saw, one live or settled place per key."""
    with sqlite3.connect(world.folder / "home/journal.db") as database:
        nonces = [row[0] for row in database.execute("SELECT nonce FROM transactions ORDER BY 1")]
        hashes = {row[0] for row in database.execute("SELECT tx_hash FROM attempts")}
        states = {row[0] for row in database.execute("SELECT state FROM transactions")}
        settled = database.execute(
            "SELECT key, count(*) FROM transaction_items WHERE outcome = 'settled' GROUP BY key"
        ).fetchall()
        live = database.execute("SELECT count(*) FROM transaction_items WHERE live").fetchone()[0]
    database.close()
    node = world.nodes["ethereum"]
    assert nonces == list(range(len(nonces)))
    assert node.ledger.nonces[world.payer] == len(nonces)
    assert set(node.seen) <= hashes
    assert states == {"final"}
    assert live == 0
    assert {count for _, count in settled} == {1}
    assert len(settled) == len(SALARIES)


def test_nobody_dies_and_everybody_is_paid_once(payday):
    metadata, calls = run(payday)
    check_everybody_is_paid_once(payday, metadata)
    assert 150 < len(calls) < REACHES


@pytest.mark.parametrize("at", range(1, REACHES))
def test_a_process_killed_at_any_call_pays_nobody_twice(payday, at):
    metadata, _ = run(payday, at=at)
    if metadata is None:
        pass_time(payday, at)
        metadata, _ = run(payday)
    check_everybody_is_paid_once(payday, metadata)


@pytest.mark.parametrize(("first", "second"), TWO_KILLS)
def test_a_process_killed_while_it_mends_a_kill_pays_nobody_twice(payday, first, second):
    assert run(payday, at=first)[0] is None
    pass_time(payday, first)
    assert run(payday, at=second)[0] is None
    pass_time(payday, second)
    metadata, _ = run(payday)
    check_everybody_is_paid_once(payday, metadata)


def pass_time(world, number):
    """Let nobody work for a while; in every third case the node is restarted meanwhile."""
    if number % 3 == 0:
        world.nodes["ethereum"].pool.clear()
    world.clock.advance(LOST[number % 2])

"""Doing it again: two workers, two runs, reruns, corrections, other plans."""

import asyncio

import pytest

from airflow_cwf.actions.lease import PATIENCE_S
from airflow_cwf.agents import ComplianceAgent
from airflow_cwf.core.errors import (
    FailedItemsError,
    InputError,
    LaneBusyError,
    PreparationError,
    StaleLeaseError,
)
from airflow_cwf.core.journal_rows import NewTransaction
from airflow_cwf.core.policies import Policy
from airflow_cwf.core.transactions import Call, FeeQuote, UnsignedTransaction
from tests.fakes.chain import GWEI
from tests.fakes.runtime import UNITS, FakeWorld, payee
from tests.integration.engine.breakers import empty_treasury, with_policy

SETTLED = ("settled", None)


def two_people(world):
    world.pay_to(("emp-1", payee(1), "1"), ("emp-2", payee(2), "2"))
    return [(payee(1), UNITS), (payee(2), 2 * UNITS)]


def paid(world, chain="ethereum"):
    return sorted(world.nodes[chain].transfers())


def rejected(world):
    """Return line and code of every row that the last load reported, by plan file."""
    import json

    reports = sorted((world.folder / "artifacts/plans").glob("*.rejected.json"), key=_age)
    return [(row["line"], row["code"]) for row in json.loads(reports[-1].read_text())]


def _age(path):
    return path.stat().st_mtime_ns


@pytest.mark.parametrize("run_ids", [("r1", "r1"), ("r1", "r2")])
@pytest.mark.parametrize("delay", range(0, 60, 7))
def test_two_workers_at_once_pay_everybody_once(world, run_ids, delay):
    salaries = two_people(world)
    world.nodes["ethereum"].yields = True

    async def later():
        for _ in range(delay):
            await asyncio.sleep(0)
        return await world.pay(run_id=run_ids[1])

    async def both():
        return await asyncio.gather(world.pay(run_id=run_ids[0]), later())

    first, second = asyncio.run(both())
    assert paid(world) == salaries
    assert world.signatures() == 1
    assert first["counts"]["settled"] == second["counts"]["settled"] == 2


def test_a_worker_does_not_wait_for_ever_for_a_lane(world):
    two_people(world)
    process = world.process()
    process.journal.lanes.acquire("eip155:1", world.payer, owner="other", ttl_s=PATIENCE_S * 2)
    with pytest.raises(LaneBusyError, match="Trying again is safe"):
        asyncio.run(world.pay())
    assert world.signatures() == 0


def test_a_worker_that_lost_its_lane_records_nothing(world):
    two_people(world)
    zombie = world.process()
    lanes = zombie.journal.lanes
    lease = lanes.acquire("eip155:1", world.payer, owner="zombie", ttl_s=1)
    world.clock.advance(2)
    lanes.acquire("eip155:1", world.payer, owner="heir", ttl_s=1)
    call, fees = Call(world.contract, b"", 21_000), FeeQuote(GWEI, GWEI, 0)
    signed = zombie.codec.sign(UnsignedTransaction(1, 0, call, fees), zombie.signer)
    transaction = NewTransaction(0, call, "batch", "r1", "a", None, ())
    with pytest.raises(StaleLeaseError):
        lanes.record(lease, transaction, signed, fees)
    with pytest.raises(StaleLeaseError):
        lanes.renew(lease, ttl_s=1)
    assert world.signatures() == 0


def test_a_worker_that_slept_through_its_lease_signs_nothing_more(world):
    salaries = two_people(world)
    node = world.nodes["ethereum"]
    calls = []

    def sleep_before_signing(method):
        calls.append(method)
        if calls.count("fee_history") == 3 and method == "fee_history":
            heir = world.process()
            heir.journal._database.now = lambda _connection: world.clock.now() + 60
            heir.journal.lanes._database.now = lambda _connection: world.clock.now() + 60
            heir.journal.lanes.acquire("eip155:1", world.payer, owner="heir", ttl_s=-60)
            heir.close()

    node.on_call = sleep_before_signing
    with pytest.raises(StaleLeaseError):
        asyncio.run(world.pay())
    assert (world.signatures(), node.seen) == (0, [])
    asyncio.run(world.pay())
    assert paid(world) == salaries


def test_a_rerun_signs_nothing_and_says_that_all_was_settled_earlier(world):
    salaries = two_people(world)
    first = world.run(run_id="r1")
    second = world.run(run_id="r2")
    assert paid(world) == salaries
    assert world.signatures() == 1
    assert first.agent_outputs[1].counts["settled_earlier"] == 0
    counts = second.agent_outputs[1].counts
    assert (counts["settled"], counts["settled_earlier"]) == (2, 2)
    assert (second.agent_outputs[1].error, second.agent_outputs[1].gas_used) == (None, 0)
    assert first.workflow_id != second.workflow_id


def test_the_same_run_again_is_the_same_workflow(world):
    two_people(world)
    assert world.run().workflow_id == world.run().workflow_id
    assert world.signatures() == 1


@pytest.mark.parametrize("poor", [True, False])
def test_a_rerun_needs_neither_treasury_nor_low_fees(world, poor):
    salaries = two_people(world)
    world.run(run_id="r1")
    world.fund("ethereum", units=0, allowance=0)
    if not poor:
        with_policy(world, Policy(max_fee_per_gas=1))
    output = world.run(run_id="r2").agent_outputs[1]
    assert output.error is None
    assert paid(world) == salaries


def test_a_correction_before_the_first_signature_just_corrects(world):
    two_people(world)
    mend = empty_treasury(world)
    world.pay_to(("emp-1", payee(1), "10"), ("emp-2", payee(2), "2"))
    with pytest.raises(PreparationError):
        asyncio.run(world.pay())
    mend()
    world.pay_to(("emp-1", payee(7), "3"), ("emp-2", payee(2), "2"))
    asyncio.run(world.pay())
    assert paid(world) == [(payee(2), 2 * UNITS), (payee(7), 3 * UNITS)]
    assert {row.revision for row in world.rows()} == {0}


def test_a_correction_of_what_is_settled_is_reported_and_not_paid(world):
    salaries = two_people(world)
    asyncio.run(world.pay())
    world.pay_to(("emp-1", payee(7), "1"), ("emp-2", payee(2), "2"))
    output = asyncio.run(world.pay(run_id="r2"))
    assert paid(world) == salaries
    assert output["counts"]["items"] == 1
    assert rejected(world) == [(2, "conflict")]


def test_a_correction_of_what_is_in_flight_is_reported_and_not_paid(world):
    salaries = two_people(world)
    world.nodes["ethereum"].is_mining = False
    with pytest.raises(Exception, match="no outcome yet"):
        asyncio.run(world.pay(settle_timeout_s=10))
    world.nodes["ethereum"].is_mining = True
    world.pay_to(("emp-1", payee(7), "1"), ("emp-2", payee(2), "2"))
    asyncio.run(world.pay(run_id="r2"))
    assert rejected(world) == [(2, "conflict")]
    assert paid(world) == salaries


def test_a_correction_of_what_failed_at_finality_is_a_new_revision_and_paid_once(world):
    two_people(world)
    world.nodes["ethereum"].token.refuses_when_mined = {payee(1)}
    with pytest.raises(FailedItemsError):
        asyncio.run(world.pay(max_retries=0))
    world.pay_to(("emp-1", payee(7), "1"), ("emp-2", payee(2), "2"))
    for run_id in ("r2", "r3"):
        output = asyncio.run(world.pay(run_id=run_id))
        assert output["counts"]["settled"] == 2
    assert paid(world) == [(payee(2), 2 * UNITS), (payee(7), UNITS)]
    assert sorted(row.revision for row in world.rows()) == [0, 1]


def test_two_different_rows_of_one_key_pay_nobody(world):
    world.pay_to(("a", payee(1), "1"), ("A", payee(2), "2"), ("b", payee(3), "3"))
    asyncio.run(world.pay())
    assert paid(world) == [(payee(3), 3 * UNITS)]
    assert [line for line, _ in rejected(world)] == [2, 3]


def test_an_identical_row_is_paid_once(world):
    world.pay_to(("a", payee(1), "1"), ("a", payee(1), "1"))
    asyncio.run(world.pay())
    assert paid(world) == [(payee(1), UNITS)]


def test_a_payment_that_moves_to_another_chain_is_reported_and_not_paid_there(two_chains):
    world = two_chains
    world.write([("a", "ethereum", payee(1), "1"), ("b", "polygon", payee(2), "2")])
    world.run(run_id="r1")
    world.write([("a", "polygon", payee(1), "1"), ("b", "polygon", payee(2), "2")])
    world.run(run_id="r2")
    assert paid(world) == [(payee(1), UNITS)]
    assert paid(world, "polygon") == [(payee(2), 2 * UNITS)]
    assert rejected(world) == [(2, "moved")]


def test_another_spelling_of_the_payroll_id_pays_nobody_again(world):
    salaries = two_people(world)
    asyncio.run(world.pay())
    process = world.process()
    from airflow_cwf.actions.load import load_payments

    with pytest.raises(InputError, match="another spelling"):
        load_payments(world.source.read_bytes(), payroll_id="2026-Q3", run="r2", runtime=process)
    process.close()
    assert paid(world) == salaries


def test_new_people_form_a_next_part_and_the_treasury_must_hold_enough_for_both(world):
    two_people(world)
    mend = empty_treasury(world)  # 3 USDC: enough for the first part
    world.nodes["ethereum"].is_mining = False
    with pytest.raises(Exception, match="no outcome yet"):
        asyncio.run(world.pay(settle_timeout_s=10))
    world.nodes["ethereum"].pool.clear()
    world.nodes["ethereum"].is_mining = True
    mend()
    rows = [("emp-1", payee(1), "1"), ("emp-2", payee(2), "2"), ("emp-3", payee(3), "3")]
    world.pay_to(*rows)
    asyncio.run(world.pay(run_id="r2"))
    assert paid(world) == [(payee(n), n * UNITS) for n in (1, 2, 3)]


def test_two_parts_share_one_treasury(tmp_path):
    world = FakeWorld(tmp_path, policy=Policy(require_approval=True))
    two_people(world)
    with pytest.raises(Exception, match="no approval"):
        asyncio.run(world.pay())
    world.settings = FakeWorld(tmp_path / "other").settings.__class__(
        **{**_fields(world.settings), "policy": Policy()}
    )
    world.pay_to(("emp-1", payee(1), "1"), ("emp-2", payee(2), "2"), ("emp-3", payee(3), "3"))
    world.fund("ethereum", units=5 * UNITS)  # 3 + 3 are due
    with pytest.raises(PreparationError, match="holds 5 USDC, and 3 payments need 6 USDC"):
        asyncio.run(world.pay(run_id="r2"))
    assert world.signatures() == 0


def _fields(settings):
    return {name: getattr(settings, name) for name in settings.__slots__}


def test_run_ids_of_the_library_are_distinct(world):
    two_people(world)
    with_ids = {world.run(run_id=None).workflow_id for _ in range(2)}
    assert len(with_ids) == 2


def test_a_team_that_names_two_files_is_refused(two_chains):
    world = two_chains
    two_people(world)
    other = world.agent("polygon")
    other.payroll_id = "2026-q4"
    with pytest.raises(ValueError, match="one file under one payroll_id"):
        world.run(ComplianceAgent(), world.agent(), other)

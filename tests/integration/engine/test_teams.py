"""Several agents in one workflow: what one's failure does to the others, colours, health."""

import asyncio
import json
from functools import partial
from itertools import pairwise

import pytest

import airflow_cwf.workflow
from airflow_cwf.agents import BaseAgent, ComplianceAgent
from airflow_cwf.core.agents import SCREENED, AgentContext
from airflow_cwf.core.errors import FailedItemsError, PreparationError, UnresolvedError
from airflow_cwf.core.schemas import AgentOutputSchema
from tests.fakes.runtime import UNITS, payee


class Broken(BaseAgent):
    def execute(self, task, *, gas_price=None, context=None):
        raise RuntimeError("my secret is 0xabc")


class NotReady(BaseAgent):
    async def prepare(self, task, *, context):
        raise PreparationError("not today", chain="eip155:1")


class Unwell(BaseAgent):
    provides = frozenset({SCREENED})

    async def check_health(self, context):
        return "the oracle is old"

    def execute(self, task, *, gas_price=None, context=None):
        raise AssertionError("an unwell agent decides nothing")


class Says(BaseAgent):
    provides = frozenset({SCREENED})

    def execute(self, task, *, gas_price=None, context=None):
        return AgentOutputSchema(
            agent_id="me", tx_hash=None, gas_used=0, execution_time=0, error="I could not screen"
        )


def one_on_each(world):
    world.write([("a", "ethereum", payee(1), "1"), ("b", "polygon", payee(2), "2")])


def errors(metadata):
    return {output.agent_name: output.error for output in metadata.agent_outputs}


def stored(world):
    (file,) = (world.folder / "artifacts/runs/r1").glob("*/metadata.json")
    return json.loads(file.read_text())


@pytest.mark.parametrize("required", [True, False])
def test_an_agent_that_raises_leaves_the_siblings_work_standing(two_chains, required):
    world = two_chains
    one_on_each(world)
    team = [ComplianceAgent(), world.agent(), Broken(required=required)]
    metadata = world.run(*team)
    assert errors(metadata) == {
        "ComplianceAgent": None,
        "PaymentAgent@ethereum": None,
        "Broken@ethereum": "the agent raised an error",
    }
    assert world.nodes["ethereum"].transfers() == [(payee(1), UNITS)]
    assert "0xabc" not in str(stored(world))


def test_a_required_agent_that_is_not_ready_keeps_all_from_signing(two_chains):
    world = two_chains
    one_on_each(world)
    metadata = world.run(ComplianceAgent(), world.agent(), NotReady())
    assert errors(metadata)["PaymentAgent@ethereum"] == "PreparationError"
    assert world.signatures() == 0


def test_an_agent_that_is_not_required_may_be_unready_alone(two_chains):
    world = two_chains
    one_on_each(world)
    world.fund("polygon", units=0)
    team = [ComplianceAgent(), world.agent(), world.agent("polygon", required=False)]
    found = errors(world.run(*team))
    assert found["PaymentAgent@ethereum"] is None
    assert found["PaymentAgent@polygon"] == "PreparationError"
    assert world.nodes["ethereum"].transfers() == [(payee(1), UNITS)]
    assert world.nodes["polygon"].seen == []


def test_a_chain_that_breaks_down_in_the_middle_leaves_the_other_alone(two_chains, monkeypatch):
    world = two_chains
    # An hour of polls is long even for a clock that jumps.
    impatient = partial(AgentContext, settle_timeout_s=100.0)
    monkeypatch.setattr(airflow_cwf.workflow, "AgentContext", impatient)
    one_on_each(world)
    world.nodes["polygon"].is_mining = False
    with_failure = world.run()
    found = errors(with_failure)
    assert found["PaymentAgent@ethereum"] is None
    assert found["PaymentAgent@polygon"] == "1 of 1 items not settled (not final yet: 1)"
    assert world.nodes["ethereum"].transfers() == [(payee(1), UNITS)]
    world.nodes["polygon"].is_mining = True
    world.clock.advance(10)
    assert set(errors(world.run()).values()) == {None}
    assert world.nodes["polygon"].transfers() == [(payee(2), 2 * UNITS)]
    assert world.signatures() == 2


def test_without_screening_nobody_is_paid(two_chains):
    world = two_chains
    one_on_each(world)
    world.listed.published = 0
    found = errors(world.run())
    assert found["ComplianceAgent"] == "SanctionsListError"
    assert found["PaymentAgent@ethereum"] == "what it requires was not provided"
    assert world.signatures() == 0


def test_payments_screen_for_themselves_whatever_was_provided(world):
    world.pay_to(("a", payee(1), "1"), ("b", payee(2), "2"))
    world.listed.addresses = {payee(1)}
    output = asyncio.run(world.pay())
    assert world.nodes["ethereum"].transfers() == [(payee(2), 2 * UNITS)]
    assert output["counts"]["reasons"] == {"sanctioned": 1}


@pytest.mark.parametrize("guard", [Unwell, Says])
def test_what_an_agent_with_an_error_promised_is_not_provided(world, guard):
    world.pay_to(("a", payee(1), "1"))
    found = errors(world.run(guard(), world.agent()))
    assert found["PaymentAgent@ethereum"] == "what it requires was not provided"
    assert world.signatures() == 0


def test_business_reasons_stay_green_and_stand_in_the_error(world):
    world.pay_to(("a", payee(1), "1"), ("b", payee(2), "2"), ("c", payee(3), "3"))
    world.listed.addresses = {payee(1)}
    world.nodes["ethereum"].token.blacklist = {payee(2)}
    output = asyncio.run(world.pay(max_failed=0))
    assert output["error"] == (
        "2 of 3 items not settled (blacklisted by the token: 1, sanctioned: 1)"
    )


@pytest.mark.parametrize(("max_failed", "is_red"), [(0, True), (1, True), (2, False)])
def test_technical_failures_are_red_above_what_is_tolerated(world, max_failed, is_red):
    world.pay_to(("a", payee(1), "1"), ("b", payee(2), "2"), ("c", payee(3), "3"))
    world.nodes["ethereum"].token.refuses = {payee(1): "no", payee(2): "no"}
    attempt = world.pay(max_failed=max_failed, max_retries=0)
    if is_red:
        with pytest.raises(FailedItemsError, match=f"{max_failed} are tolerated"):
            asyncio.run(attempt)
    else:
        asyncio.run(attempt)
    assert world.output()["error"] == "2 of 3 items not settled (reverted: 2)"


def test_a_node_that_stands_still_is_unwell_and_nothing_is_signed(world):
    world.pay_to(("a", payee(1), "1"))
    node = world.nodes["ethereum"]
    node.is_mining = False
    world.clock.advance(1000)
    with pytest.raises(UnresolvedError):
        asyncio.run(world.pay())
    assert world.output()["error"] == "unhealthy: the node's newest block is 1000 s old"
    assert world.signatures() == 0


def test_health_is_asked_every_so_many_blocks_while_there_is_something_to_sign(world, monkeypatch):
    from airflow_cwf.actions import settle

    monkeypatch.setattr(settle, "MAX_ITEMS", 1)
    monkeypatch.setattr(settle, "WINDOW", 1)
    world.pay_to(*[(f"emp-{n}", payee(n), "1") for n in range(6)])
    agent = world.agent(health_check_interval=6)
    asked = []

    async def check_health(_context):
        asked.append(world.nodes["ethereum"].head)

    agent.check_health = check_health
    asyncio.run(world.pay(agent))
    assert len(world.nodes["ethereum"].transfers()) == 6
    before_deciding, *later = asked
    assert len(later) > 1
    assert all(b - a >= 6 for a, b in pairwise(later))
    assert before_deciding <= later[0]


def test_an_agent_that_falls_ill_signs_nothing_new_and_says_why(world, monkeypatch):
    from airflow_cwf.actions import settle

    monkeypatch.setattr(settle, "MAX_ITEMS", 1)
    monkeypatch.setattr(settle, "WINDOW", 1)
    world.pay_to(*[(f"emp-{n}", payee(n), "1") for n in range(3)])
    agent = world.agent(health_check_interval=1)

    async def check_health(_context):
        return "the pool is dry" if world.signatures() else None

    agent.check_health = check_health
    with pytest.raises(PreparationError, match="the pool is dry"):
        asyncio.run(world.pay(agent))
    assert world.signatures() == 1
    assert world.output()["error"] == "unhealthy: the pool is dry"
    assert world.output()["counts"]["settled"] == 1

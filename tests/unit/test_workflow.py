import asyncio
import inspect

import pytest

from airflow_cwf import wiring
from airflow_cwf.agents import ComplianceAgent
from airflow_cwf.core.errors import ConfigError
from airflow_cwf.workflow import ConcurrentWorkflow
from tests.fakes.runtime import PROCESS, UNITS, FakeWorld, entered, payee


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(wiring, "runtime", entered)
    world = FakeWorld(tmp_path)
    world.pay_to(("emp-1", payee(1), "1"))
    PROCESS.set(world.process())
    return world


def workflow(world):
    return ConcurrentWorkflow([ComplianceAgent(), world.agent()], settings=world.settings)


def test_no_agents_is_an_error_in_the_words_of_the_document():
    with pytest.raises(ValueError, match=r"^Minimum 1 agent required$"):
        ConcurrentWorkflow([])


def test_an_unknown_strategy_is_an_error_before_anything_runs():
    with pytest.raises(ValueError, match="'yolo' is not a gas strategy"):
        ConcurrentWorkflow([ComplianceAgent()], gas_strategy="yolo")
    with pytest.raises(ConfigError, match="needs gas_price"):
        ConcurrentWorkflow([ComplianceAgent()], gas_strategy="custom")


def test_run_blocks_outside_a_loop_and_can_be_awaited_inside_one(world):
    metadata = workflow(world).run("Pay the salaries")
    assert metadata.agent_outputs[1].error is None

    async def inside():
        PROCESS.set(world.process())
        answer = workflow(world).run("Pay the salaries")
        assert inspect.isawaitable(answer)
        return await answer

    assert asyncio.run(inside()).agent_outputs[1].counts["settled_earlier"] == 1
    assert world.nodes["ethereum"].transfers() == [(payee(1), UNITS)]


@pytest.mark.parametrize("auto_save", [True, False])
def test_receipts_are_stored_if_they_are_to_be_metadata_always(world, auto_save):
    world.run(auto_save=auto_save)
    (folder,) = (world.folder / "artifacts/runs/r1").iterdir()
    stored = {path.name for path in folder.iterdir()}
    assert "metadata.json" in stored
    assert ("receipts-01.json" in stored) == auto_save

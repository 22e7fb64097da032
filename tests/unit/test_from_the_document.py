"""The page docs/from-the-document.md: its blocks run, and what it calls missing is missing."""

import ast
import asyncio
import inspect
import re
from pathlib import Path

import pytest

import airflow_cwf
from airflow_cwf import agents
from airflow_cwf.core.errors import ConfigError
from airflow_cwf.core.fees import parse_strategy
from airflow_cwf.core.gas_price import gas_price_from_json, to_json

PAGE = Path(__file__).parents[2] / "docs" / "from-the-document.md"
BLOCK = re.compile(r"<!-- runs(: chains)? -->\n```python\n(.*?)```", re.DOTALL)
BLOCKS = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
NOT_YET = {
    "the package": (
        airflow_cwf,
        ["Agent", "TaskQueue", "ChainlinkGasFeed"],
    ),
    "the agents": (
        agents,
        [
            "FXAgent",
            "UniswapV3Agent",
            "AaveLendingAgent",
            "ArbitrageAgent",
            "RiskAgent",
            "LiquidationAgent",
            "ReportingAgent",
        ],
    ),
}


def run(block):
    """Execute a block as a notebook would, `await` included; return its names."""
    names = {"__name__": "docs.from_the_document"}
    code = compile(block, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:

        async def within_a_loop():
            await eval(code, names)

        asyncio.run(within_a_loop())
    else:
        exec(code, names)
    return names


def offline(number):
    return [block for chains, block in BLOCKS if not chains][number]


def test_every_block_of_the_page_is_marked_and_run_below():
    assert PAGE.read_text(encoding="utf-8").count("```python") == len(BLOCKS) == 5
    assert [bool(chains) for chains, _ in BLOCKS] == [False, False, True, False, False]


def test_the_models_have_the_documented_members():
    metadata = run(offline(0))["metadata"]
    assert list(type(metadata).model_fields) == [
        "workflow_id",
        "chain_id",
        "agent_outputs",
        "zk_proof",
    ]
    assert list(type(metadata.agent_outputs[0]).model_fields) == [
        "agent_id",
        "tx_hash",
        "gas_used",
        "execution_time",
        "error",
    ]


def test_a_workflow_without_agents_is_a_value_error_in_the_documents_words():
    assert run(offline(1))["refusal"] == "Minimum 1 agent required"


def test_the_constructor_has_the_documented_arguments_and_defaults():
    documented = {"max_retries": 3, "gas_strategy": "optimal", "auto_save": True}
    parameters = inspect.signature(airflow_cwf.ConcurrentWorkflow).parameters
    assert list(parameters)[:4] == ["agents", *documented]
    assert {name: parameters[name].default for name in documented} == documented


def test_an_agent_of_the_documents_shape_can_be_rebuilt_and_says_what_it_lacks():
    agent = run(offline(2))["agent"]
    assert (agent.health_check_interval, agent.max_slippage) == (12, 0.5)
    assert agent.spec()["args"] == {}
    with pytest.raises(ConfigError, match="AaveLiquidationAgent does not say what to do"):
        agent.execute("liquidate")


def test_a_tenth_above_the_fast_price_is_exact_and_travels_as_data():
    names = run(offline(3))
    for rule in (names["gas_price"], names["only_during_congestion"]):
        assert gas_price_from_json(to_json(rule)) == rule
        assert parse_strategy("custom", rule).gas_price is rule
    price = names["gas_price"]
    assert price.at(fast_gas=10**10, congested=False) == 11 * 10**9


@pytest.mark.parametrize("where", NOT_YET)
def test_what_the_page_calls_missing_is_missing(where):
    module, names = NOT_YET[where]
    page = PAGE.read_text(encoding="utf-8").partition("## What does not exist yet")[2]
    assert [name for name in names if hasattr(module, name)] == []
    assert [name for name in names if f"`{name}" not in page] == []


@pytest.fixture
def world(tmp_path, monkeypatch):
    from airflow_cwf.localnet.processes import LocalProcesses
    from airflow_cwf.localnet.world import build_world, prover_place
    from airflow_cwf.wiring.prover import install_prover

    install_prover(prover_place(), report=print)
    with LocalProcesses(tmp_path / "logs") as processes:
        built = build_world(processes, folder=tmp_path, employees=30, seed="document")
        for name, value in built.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        yield built


@pytest.mark.chain
@pytest.mark.prover
def test_the_payroll_pays_every_good_row_once_however_often_it_is_run(world):
    from airflow_cwf.cli.demo_report import check_balances

    (payroll,) = (block for chains, block in BLOCKS if chains)
    metadata = run(payroll)["metadata"]
    names = [output.agent_name for output in metadata.agent_outputs]
    assert names == [
        "ComplianceAgent",
        "PaymentAgent@arbitrum",
        "PaymentAgent@ethereum",
        "PaymentAgent@polygon",
    ]
    assert len(metadata.zk_proof) == len("0x") + 8 * 64
    assert metadata.anchor["size"] == 1
    first = check_balances(world)
    assert (first["wrong"], first["people"]) == ([], 30)

    again = run(payroll)["metadata"]
    assert [output.tx_hash for output in again.agent_outputs] == [None] * 4
    assert check_balances(world) == first

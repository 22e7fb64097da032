import json

import pytest
from airflow.sdk import DAG, task
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_cwf.agents import PaymentAgent
from airflow_cwf.core.errors import ConfigError, TransportError
from airflow_cwf.core.gas_price import FastGas, congested, gas_price_from_json, wei, when
from airflow_cwf.operators.agent import ConcurrentAgentOperator
from tests.unit.operators.quiet_agents import QuietAgent, StubbornAgent, UnluckyAgent

for_agents = ConcurrentAgentOperator.for_agents


def mapped(**arguments):
    with DAG("d", schedule=None):
        return for_agents(agents=[QuietAgent()], task="label", **arguments)


def run(agent, context_of, **arguments):
    operator = ConcurrentAgentOperator(
        task_id="work", agent=agent.spec(), task="label", **arguments
    )
    return operator.execute(context_of(operator))


def test_no_agents_are_refused_at_parse_time():
    with pytest.raises(ValueError, match="Minimum 1 agent required"):
        for_agents(agents=[], task="label")


def test_two_agents_of_one_name_or_one_chain_are_refused_at_parse_time():
    with pytest.raises(ValueError, match="Two agents are called 'QuietAgent'"):
        for_agents(agents=[QuietAgent(), QuietAgent()], task="label")
    pair = [PaymentAgent(chain="polygon"), PaymentAgent(chain="polygon", agent_name="other")]
    with pytest.raises(ValueError, match="Two agents pay on polygon"):
        for_agents(agents=pair, task="label")


@pytest.mark.parametrize("strategy", ["cheapest", "", "Fast"])
def test_an_unknown_strategy_is_refused_at_parse_time(strategy):
    with pytest.raises(ValueError, match="optimal"):
        mapped(gas_strategy=strategy)


def test_custom_without_a_rule_and_a_rule_without_custom_are_refused_at_parse_time():
    with pytest.raises(ValueError, match="gas_price"):
        mapped(gas_strategy="custom")
    with pytest.raises(ValueError, match="custom"):
        mapped(gas_strategy="fast", gas_price=FastGas * 1.1)


def test_a_plain_function_as_gas_price_is_refused_at_parse_time():
    with pytest.raises(ConfigError, match="works in the library only"):
        mapped(gas_strategy="custom", gas_price=lambda fast: fast * 2)


@pytest.mark.parametrize("rule", [FastGas * 1.1, when(congested, FastGas * "11/10", FastGas), 5])
def test_a_rule_travels_as_json_and_comes_back_equal(rule):
    stored = mapped(gas_strategy="custom", gas_price=rule).partial_kwargs["gas_price"]
    again = gas_price_from_json(json.loads(json.dumps(stored)))
    assert again.to_json() == stored
    assert again == (wei(5) if rule == 5 else rule)


def test_a_list_of_agents_becomes_json_specs_each_task_knowing_the_whole_team():
    with DAG("d", schedule=None):
        work = for_agents(
            agents=[PaymentAgent(chain="ethereum"), PaymentAgent(chain="polygon")], task="label"
        )
    assert isinstance(work, MappedOperator)
    specs = work.expand_input.value["agent"]
    assert json.loads(json.dumps(specs)) == specs
    assert [spec["name"] for spec in specs] == ["PaymentAgent@ethereum", "PaymentAgent@polygon"]
    assert work.partial_kwargs["team"] == specs


def test_agents_from_an_upstream_task_know_their_team_too():
    @task
    def choose():
        return []

    with DAG("d", schedule=None) as dag:
        chosen = choose()
        work = for_agents(agents=chosen, task="label")
    assert work.partial_kwargs["team"] is chosen
    assert "team" in work.template_fields
    assert dag.get_task("agents").upstream_task_ids == {"choose"}


def test_an_agent_runs_and_returns_a_small_summary(context_of, journal):
    report = run(QuietAgent(), context_of)
    assert report == {
        "agent_name": "QuietAgent",
        "error": None,
        "counts": None,
        "fee_gwei": 0,
        "summary": "QuietAgent: done",
    }
    assert journal.runs.agents("d/r")["QuietAgent"].output is not None


def test_what_no_retry_mends_fails_the_task_for_good(context_of):
    with pytest.raises(AirflowFailException, match=r"The file is empty\."):
        run(StubbornAgent(), context_of)


def test_what_a_retry_may_mend_is_left_to_airflows_next_try(context_of):
    with pytest.raises(TransportError):
        run(UnluckyAgent(), context_of)


def test_a_team_with_two_agents_of_one_name_is_refused_in_the_task(context_of):
    team = [QuietAgent().spec()] * 2
    with pytest.raises(AirflowFailException, match="Two agents are called"):
        run(QuietAgent(), context_of, team=team)


@pytest.mark.parametrize(
    "spec",
    [
        {"class": "no.such.module:Agent", "name": "x", "args": {}},
        {"class": "json:loads", "name": "x", "args": {}},
        {"class": "tests.unit.operators.quiet_agents:QuietAgent", "name": "x", "args": {"y": 1}},
        "QuietAgent",
        {},
    ],
)
def test_a_spec_that_names_no_agent_fails_the_task_for_good(context_of, spec):
    operator = ConcurrentAgentOperator(task_id="work", agent=spec, task="label")
    with pytest.raises(AirflowFailException):
        operator.execute(context_of(operator))


def test_a_missing_signer_is_told_with_the_connection_to_add(context_of):
    with pytest.raises(AirflowFailException, match="add the connection `cwf_signer_default`"):
        run(PaymentAgent(chain="polygon"), context_of)

import pytest

from airflow_cwf.agents import AgentRegistry, BaseAgent, ComplianceAgent, PaymentAgent
from airflow_cwf.agents.registry import check_names, in_waves
from airflow_cwf.core.errors import ConfigError


class Needs(BaseAgent):
    requires = frozenset({"funds"})
    provides = frozenset({"positions"})


class Gives(BaseAgent):
    provides = frozenset({"funds"})


class InACircle(BaseAgent):
    requires = frozenset({"positions"})
    provides = frozenset({"funds"})


def names(waves):
    return [[agent.agent_name for agent in wave] for wave in waves]


def test_agents_run_side_by_side_except_after_what_they_require():
    team = [Needs(agent_name="b"), Gives(agent_name="a"), BaseAgent(agent_name="c")]
    assert names(in_waves(team)) == [["a", "c"], ["b"]]


def test_an_agent_waits_for_everybody_who_provides_what_it_requires():
    team = [Needs(agent_name="b"), Gives(agent_name="a1"), Gives(agent_name="a2")]
    assert names(in_waves(team)) == [["a1", "a2"], ["b"]]


def test_what_nobody_provides_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="b requires 'funds', which no agent"):
        in_waves([Needs(agent_name="b")])


def test_a_circle_is_an_error():
    with pytest.raises(ValueError, match="in a circle"):
        in_waves([Needs(agent_name="a"), InACircle(agent_name="b")])


@pytest.mark.parametrize(
    ("team", "words"),
    [
        ([], "Minimum 1 agent required"),
        ([BaseAgent(), BaseAgent()], "Two agents are called 'BaseAgent@ethereum'"),
        ([PaymentAgent(), PaymentAgent(agent_name="x")], "Two agents pay on ethereum"),
    ],
)
def test_a_team_that_cannot_be_told_apart_is_refused(team, words):
    with pytest.raises(ValueError, match=words):
        check_names(team)


def test_the_registry_names_what_there_is():
    registry = AgentRegistry()
    assert registry.get("ComplianceAgent") is ComplianceAgent
    assert registry.get("PaymentAgent") is PaymentAgent
    with pytest.raises(ConfigError, match=r"'Oracle'; there are .*PaymentAgent"):
        registry.get("Oracle")

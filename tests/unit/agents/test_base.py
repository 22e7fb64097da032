import json

import pytest

from airflow_cwf.agents import BaseAgent, ComplianceAgent, PaymentAgent
from airflow_cwf.core.errors import ConfigError


@pytest.mark.parametrize(
    "agent",
    [
        ComplianceAgent(agent_id="me"),
        PaymentAgent(chain="polygon", atomic=True, health_check_interval=3, required=False),
        PaymentAgent(source="s3://hr/payroll.csv", payroll_id="2026-q3"),
    ],
)
def test_an_agent_travels_as_json_and_comes_back_the_same(agent):
    spec = json.loads(json.dumps(agent.spec()))
    back = BaseAgent.from_spec(spec)
    assert type(back) is type(agent)
    assert vars(back) == vars(agent)
    assert back.spec() == spec


def test_an_argument_that_is_not_json_is_named():
    with pytest.raises(ConfigError, match=r"BaseAgent\(agent_id=\.\.\.\) holds a object"):
        BaseAgent(agent_id=object()).spec()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("no.such.module:Agent", "cannot be rebuilt here"),
        ("airflow_cwf.agents.base:NoSuch", "cannot be rebuilt here"),
        ("json:JSONDecoder", "is not an agent"),
        ("json:dumps", "is not an agent"),
    ],
)
def test_a_spec_of_something_else_is_refused(kind, words):
    with pytest.raises(ConfigError, match=words):
        BaseAgent.from_spec({"class": kind, "name": "x", "args": {}})


def test_a_source_without_a_payroll_id_is_refused():
    with pytest.raises(ValueError, match="together, or neither"):
        PaymentAgent(source="payroll.csv")


def test_an_agent_without_execute_says_what_to_write():
    with pytest.raises(ConfigError, match="override `execute`"):
        BaseAgent().execute("task")

"""The public models: what the product document shows, and bytes that survive them."""

import math

import pydantic
import pytest

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.record import record_of
from airflow_cwf.core.schemas import AgentOutputSchema, WorkflowMetadata
from tests.fakes.evidence import metadata

FIELDS = {
    "agent_id": "0x3fc",
    "tx_hash": None,
    "gas_used": 1.0,
    "execution_time": 2.0,
    "error": None,
}


def test_documented_members_come_first_and_in_order():
    assert list(AgentOutputSchema.model_fields) == list(FIELDS)
    assert list(WorkflowMetadata.model_fields) == [
        "workflow_id",
        "chain_id",
        "agent_outputs",
        "zk_proof",
    ]


@pytest.mark.parametrize("name", FIELDS)
def test_every_documented_member_is_required(name):
    with pytest.raises(pydantic.ValidationError):
        AgentOutputSchema(**{key: value for key, value in FIELDS.items() if key != name})


@pytest.mark.parametrize("name", ["gas_used", "execution_time"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1e-9, 2.0**53])
def test_a_figure_that_is_no_amount_is_refused(name, value):
    with pytest.raises(pydantic.ValidationError):
        AgentOutputSchema(**FIELDS | {name: value})


def test_further_members_are_kept():
    assert AgentOutputSchema(**FIELDS, positions=[1]).model_dump()["positions"] == [1]


@pytest.mark.parametrize(
    ("gas_used", "fee"), [(0.0, 0), (0.1, 1), (7.0, 7), (7.000001, 8), (2.0**52 - 1, 2**52 - 1)]
)
def test_a_fraction_of_a_fee_is_rounded_up(gas_used, fee):
    assert AgentOutputSchema(**FIELDS | {"gas_used": gas_used}).fee == fee


@pytest.mark.parametrize(
    ("execution_time", "time_us"), [(0.0005, 0), (0.0015, 2), (0.0025, 2), (1.5, 1500), (0.3, 300)]
)
def test_a_time_is_rounded_half_even_to_microseconds(execution_time, time_us):
    assert AgentOutputSchema(**FIELDS | {"execution_time": execution_time}).time_us == time_us


def test_stored_bytes_survive_the_model():
    made = metadata()
    model = WorkflowMetadata.from_bytes(made.data)
    assert model.to_bytes() == made.data
    assert (model.workflow_id, model.chain_id, model.zk_proof) == (made.workflow_id, 1, "")
    output = model.agent_outputs[1]
    assert isinstance(output.gas_used, float)
    assert output.execution_time == 12345.68


def test_a_record_is_no_metadata():
    record = canonical_bytes(record_of(metadata().document))
    with pytest.raises(VerificationError) as refused:
        WorkflowMetadata.from_bytes(record)
    assert refused.value.check == 1

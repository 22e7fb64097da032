"""Steps and the workflow id."""

from dataclasses import replace

import pytest

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.canonical import leaf_hash
from airflow_cwf.core.evidence.merkle import EMPTY_ROOT
from airflow_cwf.core.evidence.outputs import commitment
from airflow_cwf.core.evidence.poseidon import FIELD_ORDER
from airflow_cwf.core.evidence.receipts import in_order, receipts_root
from airflow_cwf.core.evidence.steps import make_step, require_distinct, workflow_id
from tests.fakes.evidence import ETHEREUM, POLYGON, agents, output, receipt


def test_a_step_holds_commitment_hashes_and_counts_only():
    agent = agents()[2]
    step = make_step(agent.output, in_order(agent.receipts))
    assert step == {
        "type": "cwf-step/1",
        "commitment": f"0x{commitment(agent.output):064x}",
        "output": "0x" + leaf_hash(agent.output).hex(),
        "receipts": "0x" + receipts_root(agent.receipts).hex(),
        "settled": 1,
        "failed": 1,
        "unresolved": 1,
    }


def test_an_agent_without_items_has_the_empty_root():
    assert make_step(agents()[0].output, [])["receipts"] == "0x" + EMPTY_ROOT.hex()


def test_no_error_beside_a_failed_item_is_refused():
    made = output("A", number=1, chain=POLYGON)
    with pytest.raises(VerificationError):
        make_step(made, [receipt(4, chain=POLYGON, status="failed", tx=None, log=None)])


def test_a_receipt_of_another_chain_is_refused():
    made = output("A", number=1, chain=POLYGON)
    with pytest.raises(VerificationError):
        make_step(made, [receipt(4, chain=ETHEREUM, tx=1, log=0)])


def test_receipts_out_of_order_are_refused():
    agent = agents()[1]
    with pytest.raises(VerificationError):
        make_step(agent.output, list(reversed(agent.receipts)))


def test_the_workflow_id_of_one_step_is_its_leaf():
    step = make_step(agents()[0].output, [])
    assert workflow_id([step]) == leaf_hash(step)


@pytest.mark.parametrize("count", [0, 2049])
def test_a_workflow_has_one_to_2048_steps(count):
    step = make_step(agents()[0].output, [])
    with pytest.raises(VerificationError):
        workflow_id([step] * count)


def test_equal_steps_and_numbers_outside_the_field_are_refused():
    step = make_step(agents()[0].output, [])
    for steps in (
        [step, step],
        [step, step | {"output": step["receipts"]}],
        [step | {"commitment": "0x" + "00" * 32}],
        [step | {"commitment": f"0x{FIELD_ORDER:064x}"}],
    ):
        with pytest.raises(VerificationError) as refused:
            require_distinct(steps)
        assert refused.value.check == 3


def test_evidence_is_a_value():
    assert replace(agents()[0]) == agents()[0]

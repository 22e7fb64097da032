"""The makers' door: order, uniqueness, the primary chain, privacy."""

import hashlib
import json

import pytest

from airflow_cwf.core.errors import VerificationError
from airflow_cwf.core.evidence.metadata import AgentEvidence, build_metadata
from airflow_cwf.core.evidence.poseidon import poseidon
from airflow_cwf.core.evidence.record import parse_document
from tests.fakes.evidence import (
    CREATED_AT,
    ETHEREUM,
    POLYGON,
    agents,
    metadata,
    output,
    receipt,
    salt,
)


def test_what_is_made_reads_back():
    made = metadata()
    assert parse_document(made.data) == made.document
    assert made.workflow_id == made.document["workflow_id"]


def test_the_order_of_agents_and_receipts_does_not_matter():
    shuffled = [
        AgentEvidence(agent.output, list(reversed(agent.receipts))) for agent in reversed(agents())
    ]
    assert metadata(shuffled).data == metadata().data


def test_the_workflow_id_is_what_other_code_computes_from_the_private_parts():
    """Sections 2 to 4 of docs/evidence.md again, with the standard library only (and P_9)."""

    def leaf(value):
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha3_256(b"\x00" + text.encode()).digest()

    def tree(leaves):
        if len(leaves) < 2:
            return leaves[0] if leaves else hashlib.sha3_256(b"").digest()
        split = 1 << (len(leaves) - 1).bit_length() - 1
        return hashlib.sha3_256(b"\x01" + tree(leaves[:split]) + tree(leaves[split:])).digest()

    def halves(text):
        digest = hashlib.sha3_256(text.encode()).digest()
        return [int.from_bytes(half, "big") for half in (digest[:16], digest[16:])]

    made, steps = metadata(), []
    for agent in agents():
        output, statuses = agent.output, [item["status"] for item in agent.receipts]
        error = output["error"]
        err = 0 if error is None else int(hashlib.sha3_256(error.encode()).hexdigest(), 16) >> 8
        transaction = [0, 0] if output["tx_hash"] is None else halves(output["tx_hash"])
        figures = [output["fee"], output["time_us"], err, int(err == 0), int(output["salt"], 16)]
        commitment = poseidon([*halves(output["agent_id"]), *transaction, *figures])
        steps.append(
            {
                "type": "cwf-step/1",
                "commitment": f"0x{commitment:064x}",
                "output": f"0x{leaf(output).hex()}",
                "receipts": f"0x{tree([leaf(item) for item in agent.receipts]).hex()}",
                "settled": statuses.count("settled"),
                "failed": statuses.count("failed"),
                "unresolved": statuses.count("unresolved"),
            }
        )
    assert made.document["steps"] == steps
    assert made.workflow_id == f"0x{tree([leaf(step) for step in steps]).hex()}"


def test_steps_follow_the_bytes_of_the_names():
    names = ["\U0001f600", "\ufb33", "b", "B"]
    made = metadata(
        [AgentEvidence(output(name, number=n, chain=None)) for n, name in enumerate(names, 1)]
    )
    shown = [view["agent_name"] for view in made.document["agent_outputs"]]
    assert shown == ["B", "b", "\ufb33", "\U0001f600"]


def test_totals_are_sums_and_texts_where_specified():
    assert metadata().document["totals"] == {
        "n_agents": 3,
        "n_success": 2,
        "total_gas": str(1_234_567 * 5),
        "total_time_us": str(3 * 12_345_678 + 6),
        "settled": 4,
        "failed": 1,
        "unresolved": 1,
    }


def test_the_primary_chain_is_where_most_items_settled():
    assert metadata().chain_id == 1
    assert metadata().document["chains"] == [ETHEREUM, POLYGON]


def test_a_tie_goes_to_the_first_agent_by_name():
    tie = [
        one_item("B", 1, chain=ETHEREUM, item=1, paid_on=ETHEREUM),
        one_item("A", 2, chain=POLYGON, item=2, paid_on=POLYGON),
    ]
    assert metadata(tie).chain_id == 137


def test_without_any_chain_the_fallback_stands():
    alone = [AgentEvidence(output("ComplianceAgent", number=1, chain=None))]
    assert metadata(alone).document["chains"] == [ETHEREUM]
    made = build_metadata(
        alone, screening=[], supersedes=None, created_at=CREATED_AT, fallback_chain=POLYGON
    )
    assert made.chain_id == 137


def one_item(name, number, *, chain, item, paid_on):
    return AgentEvidence(
        output(name, number=number, chain=chain), [receipt(item, chain=paid_on, tx=1, log=0)]
    )


def clash(**changes):
    return [
        AgentEvidence(output("A", number=1, chain=None)),
        AgentEvidence(output("B", number=2, chain=None, **changes)),
    ]


@pytest.mark.parametrize(
    "evidence",
    [
        [],
        clash(agent_name="A"),
        clash(agent_id="A"),
        clash(salt=salt(1)),
        [
            one_item("A", 1, chain=ETHEREUM, item=1, paid_on=ETHEREUM),
            one_item("B", 2, chain=None, item=1, paid_on=ETHEREUM),
        ],
    ],
    ids=["nobody", "one name", "one id", "one salt", "one item"],
)
def test_agents_that_are_not_distinct_are_refused(evidence):
    with pytest.raises(VerificationError):
        metadata(evidence)


def test_a_representation_shows_nothing_private():
    made = metadata()
    text = repr(made)
    assert made.workflow_id in text
    assert "emp-" not in text
    assert salt(2)[2:] not in text

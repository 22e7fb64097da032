"""Every member of metadata and receipts, altered one at a time: the right line must fall."""

import asyncio
import copy

import pytest

from airflow_cwf.actions.verify import State, Terms, verify
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.merkle import EMPTY_ROOT
from airflow_cwf.core.evidence.outputs import VIEW_FLOATS
from airflow_cwf.core.evidence.receipts import receipts_file
from airflow_cwf.core.evidence.record import record_of
from airflow_cwf.core.evidence.steps import workflow_id
from tests.fakes.evidence import agents, chains, metadata, output, receipt, salt

MADE = metadata()
FILES = MADE.receipts_files


def report(target=MADE.data, **options):
    if not isinstance(target, bytes):
        target = canonical_bytes(target, float_members=VIEW_FLOATS)
    return asyncio.run(verify(target, Terms(**options)))


def false_line(result):
    """The number of the one false line; everything after it must be `not checked`."""
    numbers = [line.number for line in result.lines if line.state is State.FALSE]
    assert len(numbers) == 1, result.lines
    assert result.exit_code == 1
    assert {line.state for line in result.lines[numbers[0] :]} <= {State.NOT_CHECKED}
    return numbers[0]


def changed(change):
    document = copy.deepcopy(dict(MADE.document))
    change(document)
    return document


def renamed(change):
    """Change the steps and give the record the workflow id that fits: the harder forgery."""

    def apply(document):
        change(document)
        document["workflow_id"] = "0x" + workflow_id(document["steps"]).hex()

    return changed(apply)


@pytest.mark.parametrize("member", ["settled", "failed", "unresolved", "n_agents"])
def test_changed_counts_in_totals_are_false_at_3(member):
    def change(document):
        document["totals"][member] += 1

    assert false_line(report(changed(change))) == 3


@pytest.mark.parametrize("member", ["total_gas", "total_time_us"])
def test_changed_sums_in_totals_are_false_at_10(member):
    assert false_line(report(changed(lambda d: d["totals"].update({member: "1"})))) == 10


def test_changed_successes_are_false():
    assert false_line(report(changed(lambda d: d["totals"].update(n_success=3)))) == 10
    assert false_line(report(changed(lambda d: d["totals"].update(n_success=4)))) == 3


@pytest.mark.parametrize("member", ["commitment", "output", "receipts"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_changed_step_does_not_fit_the_workflow_id(number, member):
    def change(document):
        document["steps"][number][member] = "0x" + "01" * 32

    assert false_line(report(changed(change))) == 3


@pytest.mark.parametrize("change", [list.reverse, list.pop, lambda steps: steps.append(steps[0])])
def test_another_list_of_steps_does_not_fit_the_workflow_id(change):
    assert false_line(report(changed(lambda document: change(document["steps"])))) == 3


@pytest.mark.parametrize("member", ["commitment", "output"])
def test_another_step_under_its_own_workflow_id_is_not_the_outputs(member):
    def change(document):
        document["steps"][1][member] = "0x" + "01" * 32

    assert false_line(report(renamed(change))) == 10


def test_other_receipts_under_their_own_workflow_id_are_not_those_given():
    def change(document):
        document["steps"][1]["receipts"] = "0x" + "01" * 32

    assert false_line(report(renamed(change), receipts_files=FILES)) == 10


def test_a_count_without_receipts_and_receipts_without_count_are_false_at_3():
    def empty(document):
        document["steps"][1]["receipts"] = "0x" + EMPTY_ROOT.hex()

    def filled(document):
        document["steps"][0]["receipts"] = "0x" + "01" * 32

    assert false_line(report(renamed(empty))) == 3
    assert false_line(report(renamed(filled))) == 3


def test_moved_counts_under_their_own_workflow_id_are_false_at_10():
    def change(document):
        document["steps"][1].update(settled=2, unresolved=1)
        document["totals"].update(settled=3, unresolved=2)

    assert false_line(report(renamed(change))) == 10


def test_moved_counts_are_false_at_10_by_the_receipts_alone_too():
    def change(document):
        document["steps"][1].update(settled=2, unresolved=1)
        document["totals"].update(settled=3, unresolved=2)

    assert false_line(report(record_of(renamed(change)), receipts_files=FILES)) == 10


@pytest.mark.parametrize("member", sorted(MADE.document["agent_outputs"][1]))
def test_every_changed_member_of_an_output_is_false(member):
    values = {
        "type": "cwf-output/2",
        "salt": salt(77),
        "chain": "eip155:137",
        "tx_hash": None,
        "tx_hashes": [],
        "error": "reworded",
        "gas_used": 1,
        "execution_time": 1,
    }

    def change(document):
        view = document["agent_outputs"][1]
        assert view[member] != values.get(member, "other")
        view[member] = values.get(member, "other")

    expected = 1 if member in {"type", "tx_hash", "tx_hashes"} else 10
    assert false_line(report(changed(change))) == expected


@pytest.mark.parametrize("change", [list.reverse, list.pop, lambda views: views.append(views[0])])
def test_another_list_of_outputs_is_false_at_10(change):
    assert false_line(report(changed(lambda document: change(document["agent_outputs"])))) == 10


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"chain_id": 137}, 10),
        ({"chain_id": 5}, 3),
        ({"chains": ["eip155:1"]}, 10),
        ({"chains": ["eip155:1", "eip155:10", "eip155:137"]}, 10),
        ({"chains": ["eip155:137", "eip155:1"]}, 1),
        ({"workflow_id": "0x" + "00" * 32}, 3),
        ({"format": "cwf/2"}, 1),
        ({"circuits": ["cwf-9"]}, 1),
        ({"verification_keys": ["0x00"]}, 1),
        ({"public_signals": ["1"]}, 1),
        ({"signature": "0x" + "00" * 65}, 1),
        ({"anchor_to": {}}, 1),
        ({"cid": "bafkrei"}, 1),
        ({"anchor": {"position": 1}}, 1),
        ({"zk_proof": None}, 1),
    ],
    ids=str,
)
def test_every_other_changed_member_is_false(change, number):
    assert false_line(report(dict(MADE.document) | change)) == number


@pytest.mark.parametrize(
    "change",
    [
        {"screening": []},
        {"supersedes": "0x" + "00" * 32},
        {"created_at": 1},
        {"circuits": ["cwf-8"]},
        {"verification_keys": ["0x" + "00" * 32]},
    ],
    ids=str,
)
def test_a_claim_that_nothing_covers_yet_gives_another_core_digest(change):
    result = report(dict(MADE.document) | change)
    assert result.exit_code == 0
    assert result.core_digest != MADE.core_digest


def edited(number=1, **changes):
    receipts = [dict(item) for item in agents()[1].receipts]
    receipts[number] |= changes
    return receipts_file(step=1, receipts=receipts)


@pytest.mark.parametrize(
    "changes",
    [
        {"salt": salt(78)},
        {"key": "other"},
        {"scope": "other"},
        {"item": 7},
        {"chain": "eip155:137", "asset": None, "payer": None, "payee": None},
        {"asset": None},
        {"payer": None},
        {"payee": None},
        {"amount": "1"},
        {"status": "failed"},
        {"reason": "other"},
        {"tx_hash": "0x" + "01" * 32},
        {"log": 5},
    ],
    ids=str,
)
def test_every_changed_member_of_a_receipt_is_false_at_10(changes):
    assert false_line(report(receipts_files=[edited(**changes)], chains=chains())) == 10


@pytest.mark.parametrize(
    "files",
    [
        [receipts_file(step=9, receipts=agents()[1].receipts)],
        [receipts_file(step=2, receipts=agents()[1].receipts)],
        [receipts_file(step=1, receipts=agents()[1].receipts[:2])],
        [receipts_file(step=1, receipts=list(reversed(agents()[1].receipts)))],
        [FILES[1], FILES[1]],
    ],
    ids=["no such step", "another step", "one missing", "out of order", "twice"],
)
def test_receipts_that_are_not_the_steps_are_false_at_10(files):
    assert false_line(report(receipts_files=files)) == 10


def test_one_item_paid_by_two_agents_is_false_at_10():
    """Two records that hold alone, glued together: only the receipts show it."""
    one = {**receipt(1, chain="eip155:1", tx=1, log=0), "chain": None, "log": None}
    one |= dict.fromkeys(("asset", "payer", "payee"))
    two = one | {"salt": salt(99)}
    evidence = [
        type(agents()[0])(output("A", number=1, chain=None), [one]),
        type(agents()[0])(output("B", number=2, chain=None), [two | {"item": 2}]),
    ]
    document = dict(metadata(evidence).document)
    forged = receipts_file(step=1, receipts=[two])
    step = metadata([evidence[0], type(evidence[1])(evidence[1].output, [two])][1:])
    document["steps"] = [document["steps"][0], step.document["steps"][0]]
    document["workflow_id"] = "0x" + workflow_id(document["steps"]).hex()
    files = [receipts_file(step=0, receipts=[one]), forged]
    result = report(document, receipts_files=files)
    assert false_line(result) == 10
    assert "one item" in result.lines[9].text

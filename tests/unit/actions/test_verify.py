"""The report: which line falls for which change, what is never printed, exit codes."""

import asyncio
import copy
import json

import pytest

from airflow_cwf.actions.verify import CHECKS, State, Terms, verify
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.outputs import VIEW_FLOATS
from airflow_cwf.core.evidence.record import record_of
from tests.fakes.evidence import PAYER, chains, metadata, payee, salt

MADE = metadata()
FILES = MADE.receipts_files


def report(target=MADE.data, **options):
    if not isinstance(target, bytes):
        target = canonical_bytes(target, float_members=VIEW_FLOATS)
    return asyncio.run(verify(target, Terms(**options)))


def state(result, number):
    return result.lines[number - 1].state


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


def test_a_true_run_holds_with_every_line_numbered():
    result = report(receipts_files=FILES, chains=chains())
    assert [line.number for line in result.lines] == list(range(1, 14))
    assert [line.name for line in result.lines] == list(CHECKS.values())
    held = [line.number for line in result.lines if line.state is State.HELD]
    assert held == [1, 3, 10, 13]
    assert {line.state for line in result.lines} == {State.HELD, State.NOT_CHECKED}
    assert all(line.text for line in result.lines)
    assert result.exit_code == 0
    assert not result.proved
    assert (result.workflow_id, result.core_digest) == (MADE.workflow_id, MADE.core_digest)


def test_metadata_without_receipts_holds_and_says_what_was_not_given():
    result = report()
    assert "2 agent(s) not given" in result.lines[9].text
    assert state(result, 13) is State.NOT_CHECKED
    assert result.exit_code == 0


def test_offline_leaves_the_money_out():
    result = report(receipts_files=FILES, offline=True)
    assert state(result, 13) is State.NOT_CHECKED
    assert "--offline" in result.lines[12].text
    assert result.exit_code == 0


def test_without_a_node_the_money_is_unknown():
    result = report(receipts_files=FILES)
    assert state(result, 13) is State.UNKNOWN
    assert result.exit_code == 2


def test_a_bare_record_shows_its_steps_only():
    result = report(record_of(MADE.document))
    assert state(result, 3) is State.HELD
    assert state(result, 10) is State.NOT_CHECKED
    assert result.exit_code == 0


def test_a_bare_record_with_receipts_shows_these():
    result = report(record_of(MADE.document), receipts_files=FILES[1:2], chains=chains())
    assert state(result, 10) is State.HELD
    assert state(result, 13) is State.HELD


def test_receipts_without_transactions_have_no_money_to_check():
    result = report(receipts_files=FILES[:1])
    assert state(result, 13) is State.NOT_CHECKED
    assert "no transaction" in result.lines[12].text


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 10**6, b"\xff", b'{"a":1,"a":1}', b"null"])
def test_hostile_bytes_are_one_false_line(data):
    result = report(data)
    assert false_line(result) == 1
    assert result.workflow_id is None
    result = report(receipts_files=[data])
    assert false_line(result) == 1


@pytest.mark.parametrize("cut", [1, 100, 1000, len(MADE.data) - 1])
def test_truncated_metadata_is_false_at_1(cut):
    assert false_line(report(MADE.data[:cut])) == 1


def test_nothing_private_is_printed_whatever_is_false():
    private = [PAYER[2:], payee(1)[2:], "emp-", "PaymentAgent", "2500000001", salt(2)[2:]]
    results = [
        report(receipts_files=FILES, chains=chains()),
        report(receipts_files=[FILES[1].replace(b'"2500000001"', b'"1"')]),
        report(changed(lambda d: d["agent_outputs"][1].update(agent_name="PaymentAgent"))),
        report(changed(lambda d: d["agent_outputs"][1].update(type=PAYER))),
        report(receipts_files=[FILES[1].replace(b'"2500000001"', b'"02500000001"')]),
    ]
    for result in results:
        text = json.dumps(result.to_json())
        assert not [word for word in private if word in text]


def test_the_report_is_plain_data():
    data = json.loads(json.dumps(report().to_json()))
    assert data["state"] == "recorded"
    assert data["exit_code"] == 0
    assert [check["number"] for check in data["checks"]] == list(range(1, 14))

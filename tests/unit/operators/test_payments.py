import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.providers.standard.exceptions import HITLTimeoutError
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_cwf.operators.payments import ApprovePaymentsOperator, LoadPaymentsOperator

PLAN = "cd" * 32
AT = datetime(2026, 7, 24, 9, tzinfo=UTC)
ADA = {"id": "17", "name": "ada"}
KEY = "46" * 32


def approve(*, plan=None, **arguments):
    with DAG("d", schedule=None):
        return ApprovePaymentsOperator(
            task_id="approve",
            subject="Pay?",
            plan={"plan_digest": PLAN} if plan is None else plan,
            **arguments,
        )


def answer(option, user=ADA):
    return {
        "chosen_options": [option],
        "params_input": {},
        "responded_at": AT,
        "responded_by_user": user,
    }


def complete(operator, event):
    return operator.execute_complete({"ti": SimpleNamespace(), "task": operator}, event)


def test_an_approval_is_in_the_journal_with_digest_person_and_time(journal):
    assert complete(approve(), answer("Approve"))["chosen_options"] == ["Approve"]
    known = journal.runs.approval(PLAN)
    assert (known.approved, known.approver, known.at) == (True, "ada", AT.timestamp())


def test_a_rejection_is_in_the_journal(journal):
    complete(approve(), answer("Reject"))
    known = journal.runs.approval(PLAN)
    assert (known.approved, known.approver) == (False, "ada")


def test_the_last_answer_counts(journal):
    complete(approve(), answer("Reject"))
    complete(approve(), answer("Approve"))
    assert journal.runs.approval(PLAN).approved


def test_silence_rejects_and_is_nobodys_answer(journal):
    complete(approve(defaults="Reject"), answer("Reject", user=None))
    known = journal.runs.approval(PLAN)
    assert (known.approved, known.approver) == (False, "nobody (the default answer)")


@pytest.mark.parametrize("defaults", ["Approve", ["Approve"]])
def test_silence_never_approves(defaults):
    with pytest.raises(ValueError, match="silence pays nobody"):
        approve(defaults=defaults)


def test_an_answer_that_was_never_given_is_not_in_the_journal(journal):
    event = {"error": "No answer in time", "error_type": "timeout"}
    with pytest.raises(HITLTimeoutError):
        complete(approve(), event)
    assert journal.runs.approval(PLAN) is None


@pytest.mark.parametrize("plan", [{}, "None", {"plan_digest": 5}, []])
def test_a_plan_that_is_none_fails_for_good_and_says_what_is_wanted(plan):
    with pytest.raises(AirflowFailException, match="output of LoadPaymentsOperator"):
        complete(approve(plan=plan), answer("Approve"))


def test_loading_returns_a_small_reference_without_anybodys_data(
    tmp_path, monkeypatch, context_of, journal
):
    signer = {"conn_type": "cwf_signer", "password": KEY}
    monkeypatch.setenv("AIRFLOW_CONN_CWF_SIGNER_DEFAULT", json.dumps(signer))
    source = tmp_path / "payroll.csv"
    rows = [
        "reference,chain,address,amount,currency,subject",
        f"zz-1,polygon,0x{'ab' * 20},7311.917263,USDC,Ottilie Geheim",
        f"zz-3,polygon,0x{'ef' * 20},8000,USDC,Ottilie Geheim",
        f"zz-2,polygon,0x{'cd' * 20},-5,USDC,Ottilie Geheim",
    ]
    source.write_text("\n".join(rows))
    load = LoadPaymentsOperator(task_id="load", source=str(source), payroll_id="2026-07")
    reference = load.execute(context_of(load))
    text = json.dumps(reference)
    assert set(reference) == {
        "payroll_id", "plan_digest", "scopes", "counts", "report", "summary",
    }  # fmt: skip
    assert len(text) < 4_000
    for word in ("zz-1", "ab" * 20, "7311", "Geheim"):
        assert word not in text
    assert json.loads(Path(reference["report"]).read_bytes())[0]["reference"] == "zz-2"


def test_a_file_that_is_absent_fails_for_good(context_of):
    load = LoadPaymentsOperator(task_id="load", source="/no/such.csv", payroll_id="2026-07")
    with pytest.raises(AirflowFailException, match=r"such\.csv"):
        load.execute(context_of(load))


@pytest.mark.parametrize("name", ["", " ", "None"])
def test_a_payroll_without_a_name_is_refused(tmp_path, context_of, name):
    source = tmp_path / "payroll.csv"
    source.write_text(f"reference,chain,address,amount,currency\nx,polygon,0x{'ab' * 20},1,USDC\n")
    load = LoadPaymentsOperator(task_id="load", source=str(source), payroll_id=name)
    with pytest.raises(AirflowFailException, match="payroll"):
        load.execute(context_of(load))

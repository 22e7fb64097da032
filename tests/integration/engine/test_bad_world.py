"""Whatever is wrong with the world: a clear error, nothing signed, nothing lost."""

import asyncio
from dataclasses import replace

import pytest

from airflow_cwf.core.errors import (
    ApprovalError,
    ConfigError,
    InputError,
    LaneStoppedError,
    PreparationError,
    RpcError,
    SanctionsListError,
    SignerError,
    TransportError,
    WrongChainError,
)
from airflow_cwf.core.fees import FeeCapError
from airflow_cwf.core.policies import Policy
from airflow_cwf.core.settings import SignerSettings
from tests.fakes.runtime import PAYER_KEY, UNITS, FakeWorld, payee
from tests.integration.engine.breakers import (
    another_chain_id,
    another_genesis,
    approval_missing,
    bound_by_another_journal,
    empty_file,
    empty_treasury,
    fee_cap_below_the_base_fee,
    lane_stopped,
    list_missing,
    list_too_old,
    locked_keystore,
    no_allowance,
    no_answer,
    no_contract,
    no_gas_money,
    no_list,
    only_bad_rows,
    other_contract,
    paused_token,
    payer_blacklisted,
    something_else_signs,
    token_without_code,
    with_policy,
)

CASES = (
    (no_answer, TransportError, ["Nobody answers"]),
    (another_chain_id, WrongChainError, ["chain id 5, not 1", "connection"]),
    (another_genesis, WrongChainError, ["genesis", "Nothing was signed"]),
    (empty_treasury, PreparationError, ["holds 3 USDC", "Send it 3 USDC more"]),
    (no_allowance, PreparationError, ["cwf contracts allow --chain ethereum --amount 6"]),
    (token_without_code, PreparationError, ["has no code on ethereum"]),
    (no_contract, PreparationError, ["cwf contracts deploy --chain ethereum"]),
    (other_contract, PreparationError, ["cwf contracts deploy --chain ethereum"]),
    (paused_token, PreparationError, ["Pausable: paused", "No payee is at fault"]),
    (payer_blacklisted, PreparationError, ["account is blacklisted", "No payee"]),
    (no_gas_money, PreparationError, ["for gas", "ETH more"]),
    (fee_cap_below_the_base_fee, FeeCapError, ["10000000000 wei", "wait for lower fees"]),
    (approval_missing, ApprovalError, ["no approval", "approval task"]),
    (no_list, ConfigError, ["No sanctions list is configured", "ofac_default"]),
    (list_missing, SanctionsListError, ["a.csv", "Nothing is signed"]),
    (list_too_old, SanctionsListError, ["old"]),
    (locked_keystore, SignerError, []),
    (lane_stopped, LaneStoppedError, ["somebody has to look"]),
    (something_else_signs, LaneStoppedError, ["used nonces up to 0", "until a person has looked"]),
    (bound_by_another_journal, PreparationError, ["another journal has paid", "2026-q3"]),
    (empty_file, InputError, []),
    (only_bad_rows, InputError, ["no payable row (2 reported; the first: line 2"]),
)


@pytest.mark.parametrize(
    ("break_it", "error", "words"), CASES, ids=[case[0].__name__ for case in CASES]
)
def test_a_broken_world_is_named_and_nothing_is_signed(world, break_it, error, words):
    world.pay_to(("emp-1", payee(1), "1"), ("emp-2", payee(2), "2"), ("emp-3", payee(3), "3"))
    nonce = 1 if break_it is something_else_signs else 0
    mend = break_it(world)
    with pytest.raises(error) as caught:
        asyncio.run(world.pay())
    for part in words:
        assert part in str(caught.value)
    assert payee(1) not in str(caught.value)
    node = world.nodes["ethereum"]
    assert (world.signatures(), node.seen) == (0, [])
    assert node.ledger.nonces.get(world.payer, 0) == nonce
    if mend is not None:
        mend()
        output = asyncio.run(world.pay())
        assert output["counts"]["settled"] == 3
        assert len(node.transfers()) == 3


@pytest.mark.parametrize("break_it", [no_gas_money, something_else_signs, paused_token])
def test_a_chain_that_is_not_ready_keeps_every_other_one_from_signing(two_chains, break_it):
    world = two_chains
    world.write([("a", "ethereum", payee(1), "1"), ("b", "polygon", payee(2), "2")])
    break_it(world)
    metadata = world.run()
    assert world.nodes["polygon"].seen == []
    assert world.signatures() == 0
    assert [output.error is None for output in metadata.agent_outputs] == [True, False, False]


def test_a_lane_that_was_never_adopted_names_the_command(tmp_path):
    world = FakeWorld(tmp_path)
    world.pay_to(("emp-1", payee(1), "1"))
    world.settings = replace(
        world.settings, signer=SignerSettings(kind="private_key", secret="08" * 32)
    )
    with pytest.raises(LaneStoppedError, match="cwf journal adopt --unused --chain ethereum"):
        asyncio.run(world.pay())
    assert world.signatures() == 0


def test_a_rejected_plan_is_not_signed_whatever_the_policy(world):
    from airflow_cwf.actions.approve import record_answer
    from airflow_cwf.actions.load import load_payments

    world.pay_to(("emp-1", payee(1), "1"))
    process = world.process()
    data = world.source.read_bytes()
    plan = load_payments(data, payroll_id="2026-q3", run="r1", runtime=process).plan
    record_answer(plan.digest, approved=False, approver="Ada", at=None, runtime=process)
    process.close()
    with pytest.raises(ApprovalError, match="Ada rejected this plan"):
        asyncio.run(world.pay())
    assert world.signatures() == 0


def test_a_published_key_and_a_real_node_do_not_go_together(world):
    world.pay_to(("emp-1", payee(1), "1"))
    world.nodes["ethereum"].version = "anvil/v1.7.1"
    with pytest.raises(SignerError, match="development node"):
        asyncio.run(world.pay())
    assert world.signatures() == 0
    assert PAYER_KEY not in str(world.output())


def test_a_chain_without_an_endpoint_fails_alone_in_its_own_output(two_chains):
    world = two_chains
    world.pay_to(("a", payee(1), "1"))
    del world.nodes["polygon"]
    metadata = world.run(
        *list(team_of(world)),
    )
    assert metadata.agent_outputs[2].error == "MissingConnectionError"
    assert metadata.agent_outputs[1].error == "PreparationError"
    assert world.signatures() == 0


def test_an_agent_on_a_chain_that_is_not_in_the_table_does_not_stop_the_others(world):
    world.pay_to(("a", payee(1), "1"))
    compliance, pay = team_of(world)
    stray = world.agent("atlantis", required=False)
    metadata = world.run(compliance, pay, stray)
    errors = {output.agent_name: output.error for output in metadata.agent_outputs}
    assert errors["PaymentAgent@ethereum"] is None
    assert errors["PaymentAgent@atlantis"] == "MissingConnectionError"
    assert world.nodes["ethereum"].transfers() == [(payee(1), UNITS)]


def test_a_policy_cap_leaves_out_what_does_not_fit_and_stays_a_business_reason(world):
    world.pay_to(*[(f"emp-{n}", payee(n), "4") for n in range(3)])
    with_policy(world, Policy(max_per_run={"USDC": 9 * UNITS}))
    output = asyncio.run(world.pay())
    assert len(world.nodes["ethereum"].transfers()) == 2
    assert output["counts"]["reasons"] == {"over the cap of the policy": 1}
    assert output["error"] is not None


def test_an_answer_that_is_not_classified_is_no_reason_to_sign(world):
    world.pay_to(("emp-1", payee(1), "1"))

    def odd(method):
        if method == "call":
            raise RpcError("the node is odd", chain="eip155:1")

    world.nodes["ethereum"].on_call = odd
    with pytest.raises(RpcError):
        asyncio.run(world.pay())
    assert world.signatures() == 0


def team_of(world):
    from airflow_cwf.agents import ComplianceAgent

    return [ComplianceAgent(), *(world.agent(name) for name in world.chains)]

"""Prepare: could every agent commit now? Nothing is signed before all required ones can.

The answers are rows in the journal, so that tasks on different machines need no barrier: each
makes sure that a fresh row stands for every agent of its team, and prepares the absent ones
itself. Read-only, no waiting.
"""

import math
from collections.abc import Sequence

from airflow_cwf.actions.check_node import check_node
from airflow_cwf.actions.quote import quote
from airflow_cwf.actions.read_plan import check_approval, plan_of_task
from airflow_cwf.actions.reconcile import explain_nonces
from airflow_cwf.actions.screen import load_list
from airflow_cwf.core.agents import Agent, AgentContext, Task
from airflow_cwf.core.batches import (
    MAX_ITEMS,
    BatchItem,
    encode_scope_digest,
    gas_limit,
    pack_items,
)
from airflow_cwf.core.chains import Chain, Token
from airflow_cwf.core.contracts import batch_payment_address
from airflow_cwf.core.erc20 import (
    decode_uint,
    encode_allowance,
    encode_balance_of,
    encode_transfer_from,
)
from airflow_cwf.core.errors import (
    CwfError,
    LaneStoppedError,
    PreparationError,
)
from airflow_cwf.core.intents import Plan, PlanItem, Scope
from airflow_cwf.core.journal_rows import Prepared
from airflow_cwf.core.money import format_amount
from airflow_cwf.core.ports import ChainClient
from airflow_cwf.core.runtime import Runtime
from airflow_cwf.core.states import PAYABLE, LaneState, Reason

FRESH_S = 300.0
"""How long another agent's preparation is believed."""
NATIVE_DECIMALS = 18
CALL_BYTES = 4 + 7 * 32
"""Most that a call of `pay` has beside its items; all bytes are taken for dear ones."""


async def prepare_team(
    agent: Agent, team: Sequence[Agent], task: Task, *, context: AgentContext
) -> None:
    """Make sure that `agent` and every required agent of its team could commit now.

    Raises:
        CwfError: the agent's own reason, if it is the one that cannot.
        PreparationError: another required agent cannot; names it and its reason.
    """
    runs = context.runtime.journal.runs
    plan = plan_of_task(task, context)
    await _prepare(agent, task, plan, context)
    for other in team:
        if not other.required or other.agent_name == agent.agent_name:
            continue
        known = runs.prepared(context.run).get(other.agent_name)
        if known is None or not _is_fresh(known, plan, context):
            try:
                await _prepare(other, task, plan, context)
            except CwfError as error:
                message = (
                    f"{other.agent_name} cannot commit, so {agent.agent_name} signs nothing "
                    f"either: {error}"
                )
                raise PreparationError(message, chain=_chain_of(other, context)) from error


def _is_fresh(known: Prepared, plan: Plan, context: AgentContext) -> bool:
    age = context.runtime.clock.now() - known.at
    return known.ready and known.plan_digest == plan.digest and 0 <= age < FRESH_S


async def _prepare(agent: Agent, task: Task, plan: Plan, context: AgentContext) -> None:
    reason: str | None = "did not finish"
    try:
        await agent.prepare(task, context=context)
        reason = None
    except CwfError as error:
        reason = type(error).__name__
        raise
    finally:
        context.runtime.journal.runs.save_prepared(
            context.run,
            Prepared(
                agent=agent.agent_name,
                plan_digest=plan.digest,
                ready=reason is None,
                reason=reason,
                at=context.runtime.clock.now(),
            ),
        )


def _chain_of(agent: Agent, context: AgentContext) -> str:
    chain = context.runtime.chains.get(agent.chain or "")
    return agent.chain or "no chain" if chain is None else chain.caip2


async def prepare_payments(chain_name: str, task: Task, *, context: AgentContext) -> None:
    """Check everything that paying the plan's items on one chain needs.

    In order: the approval, the node (chain id, genesis, kind of key), the lane and its nonces,
    the code of contract and tokens, the bound scopes, treasury, allowance, whether the token lets
    the payer pay at all, gas money.

    Raises:
        ApprovalError, WrongChainError, LaneStoppedError, SignerError, PreparationError,
        FeeCapError, TransportError: which of them, with figures and the next step.
    """
    runtime = context.runtime
    plan = plan_of_task(task, context)
    check_approval(plan.digest, runtime)
    if chain_name not in runtime.chains:
        runtime.client(chain_name)  # raises the error that names the missing connection
    chain = runtime.chains[chain_name]
    client = runtime.client(chain_name)
    await check_node(chain, client, runtime)
    _check_lane(chain, runtime)
    await explain_nonces(chain, client, runtime)
    await _check_code(chain, client, runtime)
    listed = await load_list(runtime, run=context.run)
    scopes = plan.scopes_on(chain.caip2)
    for scope in scopes:
        await _check_scope(chain, client, scope)
    # The chain is read before the journal: what another worker pays meanwhile is no longer due
    # by then, whereas money that has left already would be missed.
    payer = runtime.signer.address
    funds = {source: await _funds(client, source, payer) for source in {_source(s) for s in scopes}}
    coins = await client.balance(payer)
    due: dict[tuple[str, str], list[PlanItem]] = {}
    for scope in scopes:
        items = _due(plan.items_of(scope.id), scope, runtime)
        clean = [item for item in items if not listed.lists(item.payee)]
        due.setdefault(_source(scope), []).extend(clean)
    for source, items in due.items():
        await _check_money(chain, client, source, items, payer=payer, funds=funds[source])
    await _check_gas(chain, client, [i for some in due.values() for i in some], context, held=coins)


def _check_lane(chain: Chain, runtime: Runtime) -> None:
    lane = runtime.journal.lanes.lane(chain.caip2, runtime.signer.address)
    if lane is None:
        message = (
            f"The journal has never seen the payer {runtime.signer.address} on {chain.name}. "
            "Nothing was signed. If the key has never signed there, run "
            f"`cwf journal adopt --unused --chain {chain.name}`."
        )
        raise LaneStoppedError(message, chain=chain.caip2)
    if lane.state is not LaneState.OPEN:
        message = f"The lane of {lane.sender} is {lane.state}: {lane.reason}."
        raise LaneStoppedError(message, chain=chain.caip2)


async def _check_code(chain: Chain, client: ChainClient, runtime: Runtime) -> None:
    contract = batch_payment_address(chain, runtime.batch_payment)
    if await client.code(contract) != runtime.batch_payment.code:
        message = (
            f"There is no BatchPayment of this version at {contract}. Nothing was signed. Run "
            f"`cwf contracts deploy --chain {chain.name}`."
        )
        raise PreparationError(message, chain=chain.caip2)


async def _check_scope(chain: Chain, client: ChainClient, scope: Scope) -> None:
    if not await client.code(scope.token):
        message = (
            f"The token {scope.token} has no code on {chain.name}. Nothing was signed. Correct its "
            "address in the chain table."
        )
        raise PreparationError(message, chain=chain.caip2)
    data = encode_scope_digest(scope.payer, bytes.fromhex(scope.id))
    bound = (await client.call(scope.contract, data)).hex()
    if bound not in {"00" * 32, scope.digest}:
        message = (
            f"The payroll {scope.payroll_id} is bound on chain to another list of keys: another "
            "journal has paid under this payroll id. Nothing was signed. Use that journal, or "
            "another payroll id if this is another payroll."
        )
        raise PreparationError(message, chain=chain.caip2)


def _due(items: Sequence[PlanItem], scope: Scope, runtime: Runtime) -> list[PlanItem]:
    rows = {row.key: row for row in runtime.journal.payments.items(scope.id)}
    return [
        item
        for item in items
        if rows[item.key].state in PAYABLE and rows[item.key].reason != Reason.BLACKLISTED
    ]


def _source(scope: Scope) -> tuple[str, str]:
    """Return token and contract: the parts of a payroll draw on one treasury through them."""
    return scope.token, scope.contract


async def _funds(client: ChainClient, source: tuple[str, str], payer: str) -> tuple[int, int]:
    """Return what the treasury holds of a token, and how much of it the contract may spend."""
    token, contract = source
    held = decode_uint(await client.call(token, encode_balance_of(payer)))
    return held, decode_uint(await client.call(token, encode_allowance(payer, contract)))


async def _check_money(
    chain: Chain,
    client: ChainClient,
    source: tuple[str, str],
    items: Sequence[PlanItem],
    *,
    payer: str,
    funds: tuple[int, int],
) -> None:
    """Check `funds`, treasury and allowance, for `items`."""
    need = sum(item.amount for item in items)
    if not need:
        return
    (address, contract), (held, allowed) = source, funds
    token = next(token for token in chain.tokens.values() if token.address == address)
    if held < need:
        message = (
            f"The treasury {payer} holds {_text(held, token)}, and {len(items)} payments "
            f"need {_text(need, token)}. Nothing was signed. Send it "
            f"{_text(need - held, token)} more."
        )
        raise PreparationError(message, chain=chain.caip2)
    if allowed < need:
        message = (
            f"BatchPayment ({contract}) may spend {_text(allowed, token)} of the treasury, "
            f"and {len(items)} payments need {_text(need, token)}. Nothing was signed. Run "
            f"`cwf contracts allow --chain {chain.name} "
            f"--amount {format_amount(need, decimals=token.decimals)}`."
        )
        raise PreparationError(message, chain=chain.caip2)
    nothing = encode_transfer_from(payer, payer, 0)
    (answer,) = await client.call_each([(address, nothing)], sender=contract)
    if isinstance(answer, str):
        message = (
            f"{token.symbol} refuses even a transfer of nothing from the treasury {payer} to "
            f"itself: {answer}. Nothing was signed. No payee is at fault; ask its issuer."
        )
        raise PreparationError(message, chain=chain.caip2)


async def _check_gas(
    chain: Chain, client: ChainClient, due: Sequence[PlanItem], context: AgentContext, *, held: int
) -> None:
    if not due:
        return
    fees = await quote(client, context.strategy, cap=context.runtime.policy.max_fee_per_gas)
    sample = [BatchItem(i, item.payee, item.amount) for i, item in enumerate(due[:MAX_ITEMS])]
    one = gas_limit(sample, calldata=b"\xff" * (CALL_BYTES + len(pack_items(sample))))
    need = math.ceil(len(due) / MAX_ITEMS) * one * fees.max_fee_per_gas
    if held < need:
        message = (
            f"The payer holds {_coins(held)} {chain.native} for gas, and up to {_coins(need)} may "
            f"be needed. Nothing was signed. Send it {_coins(need - held)} {chain.native} more."
        )
        raise PreparationError(message, chain=chain.caip2)


def _text(amount: int, token: Token) -> str:
    return f"{format_amount(amount, decimals=token.decimals)} {token.symbol}"


def _coins(wei: int) -> str:
    return format_amount(wei, decimals=NATIVE_DECIMALS)

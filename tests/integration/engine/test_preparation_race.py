"""Preparing for a sibling that is paying at this very moment."""

import asyncio

from airflow_cwf.actions.load import load_payments
from airflow_cwf.actions.prepare import prepare_payments
from airflow_cwf.core.agents import AgentContext
from airflow_cwf.core.erc20 import encode_balance_of
from airflow_cwf.core.fees import parse_strategy
from tests.fakes.runtime import PAYROLL, UNITS, payee


def test_money_that_leaves_during_preparation_is_not_missed(world):
    world.pay_to(("emp-1", payee(1), "1"), ("emp-2", payee(2), "2"))
    world.fund("ethereum", units=3 * UNITS, allowance=3 * UNITS)
    node, runtime = world.nodes["ethereum"], world.process()
    loaded = load_payments(world.source.read_bytes(), payroll_id=PAYROLL, run="r1", runtime=runtime)
    context = AgentContext(runtime, "r1", parse_strategy("optimal"))
    plain, asked = node.call, []

    async def call(to, data, **options):
        if data == encode_balance_of(world.payer) and not asked:
            asked.append(to)
            await world.pay(run_id="r1")  # the sibling itself, in a process of its own
        return await plain(to, data, **options)

    node.call = call
    asyncio.run(prepare_payments("ethereum", loaded.reference(), context=context))
    assert asked
    assert sorted(node.transfers()) == [(payee(1), UNITS), (payee(2), 2 * UNITS)]

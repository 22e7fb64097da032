"""Ways in which the world is broken; each returns how to mend it, or None if a person has to."""

import asyncio
from dataclasses import replace

import pytest

from airflow_cwf.actions import settle
from airflow_cwf.core.errors import PreparationError, TransportError
from airflow_cwf.core.policies import Policy
from airflow_cwf.core.settings import SanctionsSettings, SignerSettings
from airflow_cwf.core.transactions import Call, FeeQuote, UnsignedTransaction
from tests.fakes.chain import GWEI, TOKEN_CODE
from tests.fakes.clock import START
from tests.fakes.runtime import UNITS, payee


def unreachable(_method):
    raise TransportError("Nobody answers.", chain="eip155:1")


def broken(world, name, value):
    """Set an attribute of the node; return how to set it back."""
    node = world.nodes["ethereum"]
    before = getattr(node, name)
    setattr(node, name, value)
    return lambda: setattr(node, name, before)


def no_answer(world):
    return broken(world, "on_call", unreachable)


def another_chain_id(world):
    return broken(world, "served_chain_id", 5)


def another_genesis(world):
    asyncio.run(pin_genesis(world))
    first = world.nodes["ethereum"].blocks[0]
    other = replace(first, header=replace(first.header, hash="0x" + "ee" * 32))
    world.nodes["ethereum"].blocks[0] = other
    return lambda: world.nodes["ethereum"].blocks.__setitem__(0, first)


async def pin_genesis(world):
    process = world.process()
    process.journal.lanes.pin_genesis("eip155:1", await world.nodes["ethereum"].genesis())
    process.close()


def empty_treasury(world):
    world.fund("ethereum", units=3 * UNITS)
    return lambda: world.fund("ethereum")


def no_allowance(world):
    world.fund("ethereum", allowance=0)
    return lambda: world.fund("ethereum")


def token_without_code(world):
    world.nodes["ethereum"].codes[world.nodes["ethereum"].token.address] = b""
    return lambda: world.nodes["ethereum"].codes.update(
        {world.nodes["ethereum"].token.address: TOKEN_CODE}
    )


def no_contract(world, code=b""):
    world.nodes["ethereum"].codes[world.contract] = code
    return lambda: world.nodes["ethereum"].codes.update({world.contract: world.artifact.code})


def other_contract(world):
    return no_contract(world, code=world.artifact.code + b"\x00")


def paused_token(world):
    world.nodes["ethereum"].token.paused = True
    return lambda: setattr(world.nodes["ethereum"].token, "paused", False)


def payer_blacklisted(world):
    world.nodes["ethereum"].token.blacklist = {world.payer}
    return world.nodes["ethereum"].token.blacklist.clear


def no_gas_money(world):
    set_coins(world, 1000)
    return lambda: set_coins(world, 10**20)


def set_coins(world, wei):
    node = world.nodes["ethereum"]
    for ledger in (node.ledger, *(block.after for block in node.blocks)):
        ledger.coins[world.payer] = wei


def with_policy(world, policy):
    before = world.settings
    world.settings = replace(before, policy=policy)
    return lambda: setattr(world, "settings", before)


def fee_cap_below_the_base_fee(world):
    return with_policy(world, Policy(max_fee_per_gas=5 * GWEI))


def approval_missing(world):
    return with_policy(world, Policy(require_approval=True))


def no_list(world):
    listed, world.listed = world.listed, None
    return lambda: setattr(world, "listed", listed)


def list_missing(world):
    settings, listed = world.settings, world.listed
    world.settings = replace(
        settings, sanctions=SanctionsSettings(sdn="/nowhere/a.csv", comments="/nowhere/b.csv")
    )
    world.listed = None

    def mend():
        world.settings, world.listed = settings, listed

    return mend


def list_too_old(world):
    world.listed.published = START - 30 * 86_400
    return lambda: setattr(world.listed, "published", START)


def locked_keystore(world):
    before = world.settings
    world.settings = replace(
        before, signer=SignerSettings(kind="keystore", secret="wrong", keystore="{}")
    )
    return lambda: setattr(world, "settings", before)


def lane_stopped(world):
    process = world.process()
    process.journal.lanes.stop("eip155:1", world.payer, "somebody has to look")
    process.close()


def something_else_signs(world):
    asyncio.run(sign_elsewhere(world))


async def sign_elsewhere(world):
    process = world.process()
    call = Call(to=payee(99), data=b"", gas_limit=21_000)
    fees = FeeQuote(20 * GWEI, GWEI, 0)
    foreign = process.codec.sign(UnsignedTransaction(1, 0, call, fees), process.signer)
    process.close()
    await world.nodes["ethereum"].broadcast(foreign)
    world.nodes["ethereum"].mine()
    world.nodes["ethereum"].seen.clear()


def bound_by_another_journal(world):
    asyncio.run(world_load(world))
    process = world.process()
    scope = process.journal.payments.scopes("2026-q3")[0]
    process.close()
    for block in world.nodes["ethereum"].blocks:
        block.after.digests[world.payer, bytes.fromhex(scope.id)] = b"\x77" * 32
    world.nodes["ethereum"].ledger.digests[world.payer, bytes.fromhex(scope.id)] = b"\x77" * 32


async def world_load(world):
    mend = no_allowance(world)
    with pytest.raises(PreparationError):
        await world.pay()
    mend()


def empty_file(world):
    text = world.source.read_text()
    world.source.write_text("")
    return lambda: world.source.write_text(text)


def only_bad_rows(world):
    text = world.source.read_text()
    world.pay_to(("a", payee(1), "-1"), ("b", "0x12", "1"))
    return lambda: world.source.write_text(text)


def three(world):
    """Write a file of three people; return what each is owed."""
    world.pay_to(*[(f"emp-{n}", payee(n), str(n + 1)) for n in range(3)])
    return [(payee(n), (n + 1) * UNITS) for n in range(3)]


def smaller_batches(monkeypatch):
    """Let a second re-send of an item be one on its own."""
    monkeypatch.setattr(settle, "MAX_ITEMS", 8)

"""What `cwf contracts` does, on real nodes: deploy, allow by permit, adopt, and limit gas."""

import asyncio

import httpx
import pytest

from airflow_cwf import wiring
from airflow_cwf.actions.adopt import adopt_unused
from airflow_cwf.actions.deploy import allow_batch_payment, deploy_contracts, deployments_of
from airflow_cwf.actions.lease import OpenLane
from airflow_cwf.actions.limit_gas import NODE_INTERFACE, limit_batch_gas
from airflow_cwf.core.batches import BatchItem
from airflow_cwf.core.errors import ConfigError, LaneStoppedError, PreparationError
from airflow_cwf.core.journal_rows import Lease
from airflow_cwf.core.states import LaneState
from airflow_cwf.localnet.anvil import DEV_ACCOUNTS
from airflow_cwf.localnet.processes import LocalProcesses
from airflow_cwf.localnet.world import DEPLOYER, PAYER, build_world

pytestmark = pytest.mark.chain

RETURNS_A_MILLION = "0x620f424060005260016020526001604052606060" + "00f3"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    with LocalProcesses(folder / "logs") as processes:
        yield build_world(processes, folder=folder, employees=12, chains=("arbitrum",))


def within(world, act):
    async def stay():
        settings = wiring.settings_from_environment(world.environment)
        async with wiring.runtime(settings) as runtime:
            return await act(runtime)

    return asyncio.run(stay())


def test_deploying_again_finds_the_contracts_at_their_addresses(world):
    deployer = wiring.private_key_signer(DEPLOYER.private_key)

    async def act(runtime):
        first = await deployments_of("arbitrum", runtime=runtime)
        return first, await deploy_contracts("arbitrum", deployer=deployer, runtime=runtime)

    before, after = within(world, act)
    assert before == after
    assert [found.state for found in after] == ["deployed", "deployed"]


def test_a_permit_sets_an_exact_allowance_and_costs_the_payer_no_nonce(world):
    submitter = wiring.private_key_signer(DEPLOYER.private_key)

    async def act(runtime):
        token = runtime.chains["arbitrum"].token("USDC")
        for amount in (3_000_000, 2_000_001):
            allowed = await allow_batch_payment(
                "arbitrum", token=token, amount=amount, submitter=submitter, runtime=runtime
            )
        return allowed, await runtime.client("arbitrum").nonce(PAYER.address.lower(), "latest")

    assert within(world, act) == (2_000_001, 0)


def test_a_token_without_permit_is_named(world):
    submitter = wiring.private_key_signer(DEPLOYER.private_key)

    async def act(runtime):
        chain = runtime.chains["arbitrum"]
        other = type(chain.token("USDC"))("NOPE", "0x" + "11" * 20, 6)
        await allow_batch_payment(
            "arbitrum", token=other, amount=1, submitter=submitter, runtime=runtime
        )

    with pytest.raises(PreparationError, match="NOPE on arbitrum has no EIP-2612 permit"):
        within(world, act)


def test_the_payer_itself_may_not_submit_what_the_journal_does_not_know(world):
    async def act(runtime):
        token = runtime.chains["arbitrum"].token("USDC")
        await allow_batch_payment(
            "arbitrum", token=token, amount=1, submitter=runtime.signer, runtime=runtime
        )

    with pytest.raises(ConfigError, match="is a payer of this journal"):
        within(world, act)


def test_adopting_twice_changes_nothing(world):
    async def act(runtime):
        return await adopt_unused("arbitrum", runtime=runtime)

    assert within(world, act).state is LaneState.OPEN


def test_an_account_with_history_is_not_adopted_as_unused(world, tmp_path):
    used = DEV_ACCOUNTS[1]
    other = dict(world.environment, CWF_HOME=str(tmp_path))
    keystore = tmp_path / "used.json"
    key = bytes.fromhex(used.private_key.removeprefix("0x"))
    keystore.write_text(wiring.write_keystore(key, "x", scrypt_n=2**12))
    password = tmp_path / "password"
    password.write_text("x")
    other |= {"CWF_SIGNER": str(keystore), "CWF_SIGNER_PASSWORD_FILE": str(password)}
    settings = wiring.settings_from_environment(other)
    wiring.migrate_journal(settings)

    async def act():
        async with wiring.runtime(settings) as runtime:
            await adopt_unused("arbitrum", runtime=runtime)

    with pytest.raises(LaneStoppedError, match="is not unused"):
        asyncio.run(act())


def test_what_arbitrum_takes_for_posting_is_added_to_the_gas_limit(world):
    items = (BatchItem(0, "0x" + "22" * 20, 5),)
    data = bytes(500)

    async def act(runtime):
        chain = runtime.chains["arbitrum"]
        lease = Lease(chain.caip2, runtime.signer.address, 0, "test")
        lane = OpenLane(chain, runtime.client("arbitrum"), runtime, lease, "0x" + "33" * 20, 3)
        return await limit_batch_gas(lane, items, data)

    plain = within(world, act)
    url = world.chains["arbitrum"].url
    request = {"jsonrpc": "2.0", "id": 1, "method": "anvil_setCode"}
    httpx.post(
        url, json={**request, "params": [NODE_INTERFACE, RETURNS_A_MILLION]}, trust_env=False
    )
    try:
        assert within(world, act) == plain + 1_250_000
    finally:
        httpx.post(url, json={**request, "params": [NODE_INTERFACE, "0x"]}, trust_env=False)

"""Deploy the project's contracts, and let one spend exactly what a payroll needs.

Both are sent by a deployer whose account no journal knows: its nonces are its own business,
and doing either twice does no harm. The payer only signs a permit (EIP-2612), off chain.
"""

from dataclasses import dataclass

from airflow_cwf.actions.quote import quote
from airflow_cwf.core.chains import Chain, Token
from airflow_cwf.core.contracts import (
    SALT,
    ContractArtifact,
    anchor_address,
    batch_payment_address,
)
from airflow_cwf.core.create2 import DETERMINISTIC_DEPLOYER
from airflow_cwf.core.erc20 import (
    decode_uint,
    encode_allowance,
    encode_domain_separator,
    encode_nonces,
    encode_permit,
    permit_digest,
)
from airflow_cwf.core.errors import CallRevertedError, ConfigError, PreparationError, RpcError
from airflow_cwf.core.fees import parse_strategy
from airflow_cwf.core.ports import ChainClient, Signer
from airflow_cwf.core.runtime import Runtime
from airflow_cwf.core.transactions import Call, UnsignedTransaction

CALL_GAS = 200_000
DEPLOY_GAS_PER_BYTE = 200
DEPLOY_GAS = 300_000
WAIT_S = 300.0
PERMIT_S = 3600


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where one of the project's contracts stands on a chain, and what is there."""

    chain: str
    name: str
    """`BatchPayment` or `WorkflowAnchor`."""
    contract: str
    """Its address."""
    state: str
    """`deployed`, `absent`, or `other code`."""


async def deployments_of(chain_name: str, *, runtime: Runtime) -> list[Deployment]:
    """Return what stands at the addresses of the project's contracts on a chain."""
    client = runtime.client(chain_name)
    found = []
    for artifact, address in _contracts(runtime.chains[chain_name], runtime):
        code = await client.code(address)
        state = {artifact.code: "deployed", b"": "absent"}.get(code, "other code")
        found.append(Deployment(chain_name, artifact.name, address, state))
    return found


async def deploy_contracts(
    chain_name: str, *, deployer: Signer, runtime: Runtime
) -> list[Deployment]:
    """Deploy the project's contracts through the deterministic deployer, those that are absent.

    Raises:
        PreparationError: the chain lacks the deterministic deployer, or the entry's address
            holds other code.
        ConfigError: the deployer is an account of the journal.
    """
    chain = runtime.chains[chain_name]
    client = runtime.client(chain_name)
    before = await deployments_of(chain_name, runtime=runtime)
    for found, (artifact, address) in zip(before, _contracts(chain, runtime), strict=True):
        if found.state == "deployed":
            continue
        if found.state != "absent" or address == chain.batch_payment:
            message = (
                f"The chain table names {address} for {artifact.name}, and {found.state} stands "
                "there. Correct the table, or take the address out to use the deterministic one."
            )
            raise PreparationError(message, chain=chain.caip2)
        if not await client.code(DETERMINISTIC_DEPLOYER):
            message = f"{chain.name} lacks the deterministic deployer {DETERMINISTIC_DEPLOYER}."
            raise PreparationError(message, chain=chain.caip2)
        gas = DEPLOY_GAS + DEPLOY_GAS_PER_BYTE * len(artifact.init_code) * 2
        call = Call(DETERMINISTIC_DEPLOYER, SALT + artifact.init_code, gas)
        await _send(chain, client, call, deployer, runtime)
    return await deployments_of(chain_name, runtime=runtime)


def _contracts(chain: Chain, runtime: Runtime) -> list[tuple[ContractArtifact, str]]:
    payment, anchor = runtime.batch_payment, runtime.workflow_anchor
    return [(payment, batch_payment_address(chain, payment)), (anchor, anchor_address(anchor))]


async def allow_batch_payment(
    chain_name: str, *, token: Token, amount: int, submitter: Signer, runtime: Runtime
) -> int:
    """Allow `BatchPayment` to spend exactly `amount` of the payer's token; return the allowance.

    The payer signs an EIP-2612 permit and `submitter` pays for sending it, so that the payer's
    nonces stay the engine's alone.

    Raises:
        PreparationError: the token has no permit, or the permit was refused.
    """
    chain = runtime.chains[chain_name]
    client = runtime.client(chain_name)
    payer = runtime.signer
    contract = batch_payment_address(chain, runtime.batch_payment)
    deadline = (await client.block("latest")).timestamp + PERMIT_S
    try:
        separator = await client.call(token.address, encode_domain_separator())
        nonce = decode_uint(await client.call(token.address, encode_nonces(payer.address)))
    except (CallRevertedError, ValueError) as error:
        message = f"{token.symbol} on {chain.name} has no EIP-2612 permit."
        raise PreparationError(message, chain=chain.caip2) from error
    digest = permit_digest(
        domain_separator=separator,
        owner=payer.address,
        spender=contract,
        value=amount,
        nonce=nonce,
        deadline=deadline,
    )
    data = encode_permit(
        owner=payer.address,
        spender=contract,
        value=amount,
        deadline=deadline,
        signature=payer.sign_digest(digest),
    )
    await _send(chain, client, Call(token.address, data, CALL_GAS), submitter, runtime)
    return decode_uint(await client.call(token.address, encode_allowance(payer.address, contract)))


async def _send(
    chain: Chain, client: ChainClient, call: Call, sender: Signer, runtime: Runtime
) -> None:
    """Send one call of an account that no journal knows, and wait until it is included."""
    if runtime.journal.lanes.lane(chain.caip2, sender.address) is not None:
        message = (
            f"{sender.address} is a payer of this journal; a nonce used from elsewhere would stop "
            "its lane. Use another account for deployments."
        )
        raise ConfigError(message)
    fees = await quote(client, parse_strategy("fast"), cap=runtime.policy.max_fee_per_gas)
    nonce = await client.nonce(sender.address, "pending")
    signed = runtime.codec.sign(UnsignedTransaction(chain.eip155_id, nonce, call, fees), sender)
    await client.broadcast(signed)
    deadline = runtime.clock.now() + WAIT_S
    while runtime.clock.now() < deadline:
        receipt = (await client.receipts([signed.hash])).get(signed.hash)
        if receipt is not None:
            if not receipt.succeeded:
                message = f"The transaction {signed.hash} reverted."
                raise PreparationError(message, chain=chain.caip2)
            return
        await runtime.clock.sleep(min(2.0, chain.block_time_s / 2))
    message = f"The transaction {signed.hash} was sent and is not included yet; run this again."
    raise RpcError(message, chain=chain.caip2)

"""`cwf contracts`: deploy the contracts, allow payments, and look what stands where."""

import asyncio
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from airflow_cwf.cli.failure import explained

if TYPE_CHECKING:
    from airflow_cwf.actions.deploy import Deployment

contracts = typer.Typer(name="contracts", help="The lock on chain.", no_args_is_help=True)

Chains = Annotated[list[str], typer.Option("--chain", help="Name of a chain; may be repeated.")]
DeployerKeystore = Annotated[
    Path, typer.Option("--deployer", help="Keystore of an account that pays gas; not the payer's.")
]
DeployerPassword = Annotated[
    Path, typer.Option("--password-file", help="File with the passphrase of that keystore.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contracts.command()
def status(*, chain: Chains, as_json: AsJson = False) -> None:
    """Say whether the contracts of this version stand on each chain; exit 0 only if they do."""
    with explained():
        found = asyncio.run(_status(chain))
    _show(found, as_json=as_json)


@contracts.command()
def deploy(
    *,
    chain: Chains,
    deployer: DeployerKeystore,
    password_file: DeployerPassword,
    as_json: AsJson = False,
) -> None:
    """Deploy the contracts at their one address (CREATE2); nothing happens where they stand."""
    with explained():
        found = asyncio.run(_deploy(chain, str(deployer), str(password_file)))
    _show(found, as_json=as_json)


@contracts.command()
def allow(
    *,
    chain: Annotated[str, typer.Option(help="Name of the chain.")],
    amount: Annotated[str, typer.Option(help="Exact amount, e.g. 1250.50")],
    deployer: DeployerKeystore,
    password_file: DeployerPassword,
    token: Annotated[str, typer.Option(help="Symbol in the chain table.")] = "USDC",  # noqa: S107 - a symbol
) -> None:
    """Let BatchPayment spend exactly AMOUNT of the payer's token.

    The payer signs an EIP-2612 permit, and the other account submits it.
    """
    with explained():
        typer.echo(asyncio.run(_allow(chain, token, amount, str(deployer), str(password_file))))


async def _status(names: list[str]) -> "list[Deployment]":
    from airflow_cwf.actions.deploy import deployments_of
    from airflow_cwf.wiring import runtime, settings_from_environment

    async with runtime(settings_from_environment(os.environ)) as ports:
        return [found for name in names for found in await deployments_of(name, runtime=ports)]


async def _deploy(names: list[str], keystore: str, password_file: str) -> "list[Deployment]":
    from airflow_cwf.actions.deploy import deploy_contracts
    from airflow_cwf.wiring import runtime, settings_from_environment, signer_from_file

    deployer = signer_from_file(keystore, password_file)
    async with runtime(settings_from_environment(os.environ)) as ports:
        return [
            found
            for name in names
            for found in await deploy_contracts(name, deployer=deployer, runtime=ports)
        ]


async def _allow(name: str, symbol: str, amount: str, keystore: str, password_file: str) -> str:
    from airflow_cwf.actions.deploy import allow_batch_payment
    from airflow_cwf.core.errors import InputError
    from airflow_cwf.core.money import AmountError, format_amount, parse_amount
    from airflow_cwf.wiring import runtime, settings_from_environment, signer_from_file

    submitter = signer_from_file(keystore, password_file)
    async with runtime(settings_from_environment(os.environ)) as ports:
        ports.client(name)
        token = ports.chains[name].token(symbol)
        try:
            units = parse_amount(amount, decimals=token.decimals)
        except AmountError as error:
            message = f"--amount: {error.reason}."
            raise InputError(message) from error
        allowed = await allow_batch_payment(
            name, token=token, amount=units, submitter=submitter, runtime=ports
        )
    shown = format_amount(allowed, decimals=token.decimals)
    return f"{name}: BatchPayment may spend {shown} {symbol} of the payer."


def _show(found: "list[Deployment]", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(deployment) for deployment in found], indent=2))
    else:
        table = Table("chain", "contract", "address", "state")
        for deployment in found:
            table.add_row(deployment.chain, deployment.name, deployment.contract, deployment.state)
        Console().print(table)
    if any(deployment.state != "deployed" for deployment in found):
        raise typer.Exit(1)

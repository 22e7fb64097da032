"""`cwf journal`: make the journal, and open an unused account's lane."""

import asyncio
import os
from typing import Annotated

import typer

from airflow_cwf.cli.failure import explained

journal = typer.Typer(name="journal", help="Make and look after the journal.", no_args_is_help=True)


@journal.command()
def migrate() -> None:
    """Make the journal, or bring its schema to this version; makes the secret the first time."""
    from airflow_cwf.wiring import migrate_journal, settings_from_environment

    with explained():
        settings = settings_from_environment(os.environ)
        migrate_journal(settings)
        typer.echo(f"The journal in {settings.home} is ready.")


@journal.command()
def adopt(
    *,
    chain: Annotated[list[str], typer.Option(help="Name of a chain; may be repeated.")],
    unused: Annotated[
        bool, typer.Option("--unused", help="The key has never signed anything on that chain.")
    ] = False,
) -> None:
    """Open the payer's lane on a chain where its key has signed nothing yet."""
    if not unused:
        typer.echo(
            "Only accounts that have signed nothing yet can be adopted so far: say --unused if "
            "that is so.",
            err=True,
        )
        raise typer.Exit(1)
    with explained():
        asyncio.run(_adopt(chain))


async def _adopt(names: list[str]) -> None:
    from airflow_cwf.actions.adopt import adopt_unused
    from airflow_cwf.wiring import runtime, settings_from_environment

    async with runtime(settings_from_environment(os.environ)) as ports:
        for name in names:
            lane = await adopt_unused(name, runtime=ports)
            typer.echo(f"{name}: the lane of {lane.sender} is {lane.state}.")

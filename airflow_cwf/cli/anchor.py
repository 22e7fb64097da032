"""`cwf anchor`: append all records that wait to the log, now."""

import asyncio
import json
import os
from typing import Annotated, Any

import typer

from airflow_cwf.cli.failure import explained


def anchor(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print the batches as JSON.")] = False
) -> None:
    """Append every record that waits to the log on CWF_ANCHOR_CHAIN, and wait until it is final."""
    with explained():
        batches = asyncio.run(_anchor())
    if as_json:
        typer.echo(json.dumps(batches, indent=2))
        return
    for batch in batches:
        typer.echo(f"{batch['records']} records in block {batch['block']}: {batch['tx_hash']}")
    if not batches:
        typer.echo("Nothing waits.")


async def _anchor() -> list[dict[str, Any]]:
    from airflow_cwf.actions.advance import anchor_all
    from airflow_cwf.core.errors import ConfigError
    from airflow_cwf.wiring import runtime, settings_from_environment

    async with runtime(settings_from_environment(os.environ)) as ports:
        if ports.anchor_chain is None:
            message = "Set CWF_ANCHOR_CHAIN to the chain on which records are to be anchored."
            raise ConfigError(message)
        return await anchor_all(ports)

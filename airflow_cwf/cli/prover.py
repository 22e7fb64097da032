"""`cwf prover`: install the programs and keys that make proofs."""

import os
from pathlib import Path
from typing import Annotated

import typer

from airflow_cwf.cli.failure import explained

prover = typer.Typer(name="prover", help="What makes proofs.", no_args_is_help=True)


@prover.callback()
def _group() -> None:
    """Keep `install` a word of its own while it is the only command."""


@prover.command()
def install(
    offline: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Copy from another machine's prover folder; download nothing."
        ),
    ] = None,
    into: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Default: `prover` in CWF_HOME.")
    ] = None,
) -> None:
    """Fetch snarkjs and circom2 from npm and bring in the pinned keys; may be repeated.

    Both programs are under GPL-3.0 and run as separate processes. Keys named a development key are
    built here from published secrets: anybody can forge under them.
    """
    from airflow_cwf.wiring import settings_from_environment
    from airflow_cwf.wiring.prover import install_prover

    with explained():
        place = into or Path(settings_from_environment(os.environ).home) / "prover"
        install_prover(place.absolute(), offline=offline, report=typer.echo)

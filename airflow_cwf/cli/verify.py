"""`cwf verify`: thirteen numbered checks of a record or a metadata, one line each."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from airflow_cwf.actions.verify import Line, State, VerificationReport
from airflow_cwf.actions.verify import verify as verify_evidence
from airflow_cwf.core.errors import ConfigError
from airflow_cwf.core.evidence.receipts import MAX_FILE_BYTES
from airflow_cwf.core.evidence.record import MAX_METADATA_BYTES
from airflow_cwf.core.ports import ChainClient

_STYLES: Final[Mapping[State, str]] = {
    State.HELD: "green",
    State.FALSE: "bold red",
    State.UNKNOWN: "yellow",
    State.NOT_CHECKED: "dim",
}
_CANNOT_KNOW: Final = 2


def verify(
    path: Annotated[Path, typer.Argument(help="A metadata or a record (JSON).")],
    receipts: Annotated[
        list[Path] | None,
        typer.Option("--receipts", help="Receipts of one agent; give it once per file."),
    ] = None,
    rpc: Annotated[
        list[str] | None,
        typer.Option(metavar="CHAIN=URL", help="Your node for a chain (name or CAIP-2)."),
    ] = None,
    *,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no node.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check evidence of a run. Exit 0: all that was asked held; 1: false; 2: cannot be known.

    Names, addresses and amounts are never printed.
    """
    target = _read(path, limit=MAX_METADATA_BYTES)
    files = [_read(file, limit=MAX_FILE_BYTES) for file in receipts or ()]
    chains = {} if offline else _connect(rpc or ())
    report = asyncio.run(
        verify_evidence(target, receipts_files=files, chains=chains, offline=offline)
    )
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2))
    else:
        _show(report)
    raise typer.Exit(report.exit_code)


def _read(path: Path, *, limit: int) -> bytes:
    """Read a file, at most one byte more than is allowed: the reader then refuses it."""
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        _stop(f"{path} cannot be read: {error.strerror}. This version verifies files only.")


def _connect(endpoints: Sequence[str]) -> dict[str, ChainClient]:
    if not endpoints:
        return {}
    # Imported here: a verification without nodes needs no adapter.
    from airflow_cwf.wiring import connect_chain, load_chains

    try:
        chains = load_chains(os.environ.get("CWF_CHAINS_FILE"))
        named = {chain.name: chain for chain in chains.values()}
        named |= {chain.caip2: chain for chain in chains.values()}
        urls: dict[str, list[str]] = {}
        for endpoint in endpoints:
            name, _, url = endpoint.partition("=")
            if name not in named or not url:
                known = ", ".join(sorted(chains))
                _stop(f"--rpc takes CHAIN=URL with one of these chains: {known}.")
            urls.setdefault(named[name].caip2, []).append(url)
        return {caip2: connect_chain(named[caip2], urls[caip2]) for caip2 in urls}
    except ConfigError as error:
        _stop(str(error))


def _show(report: VerificationReport) -> None:
    console = Console(highlight=False)
    for line in report.lines:
        console.print(_render(line), soft_wrap=True)
    if report.workflow_id is not None:
        console.print(f"workflow_id {report.workflow_id}", soft_wrap=True)
        console.print(f"coreDigest  {report.core_digest}", soft_wrap=True)
    console.print(_verdict(report), soft_wrap=True)


def _render(line: Line) -> Text:
    return Text.assemble(
        f"{line.number:>2}  ",
        (f"{line.state.value:<12}", _STYLES[line.state]),
        f"{line.name:<29}{line.text}",
    )


def _verdict(report: VerificationReport) -> Text:
    if report.exit_code == 1:
        return Text("FALSE: this evidence does not hold.", style=_STYLES[State.FALSE])
    if report.exit_code == _CANNOT_KNOW:
        return Text("UNKNOWN: something asked for cannot be known.", style=_STYLES[State.UNKNOWN])
    if report.proved:
        return Text("HELD: every check asked for.", style=_STYLES[State.HELD])
    return Text.assemble(
        ("HELD: every check asked for. ", _STYLES[State.HELD]),
        "State recorded: this run is NOT YET PROVED, signed or anchored, so only the receipts "
        "and the chains speak for it.",
    )


def _stop(message: str) -> NoReturn:
    Console(stderr=True, highlight=False).print(Text(message), soft_wrap=True)
    raise typer.Exit(_CANNOT_KNOW)

"""`cwf verify`: thirteen numbered checks, one line each."""

import asyncio
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from airflow_cwf.actions.verify import Line, State, Terms, VerificationReport
from airflow_cwf.actions.verify_fetch import batch_json, verify_append, verify_cid, verify_file
from airflow_cwf.core.anchors import Head
from airflow_cwf.core.chains import Chain
from airflow_cwf.core.errors import ConfigError, VerificationError
from airflow_cwf.core.evidence.cid import Cid, parse_cid
from airflow_cwf.core.evidence.receipts import MAX_FILE_BYTES
from airflow_cwf.core.evidence.trust import Trust
from airflow_cwf.core.ports import ChainClient, ContentStore

_STYLES: Final[Mapping[State, str]] = {
    State.HELD: "green",
    State.FALSE: "bold red",
    State.UNKNOWN: "yellow",
    State.NOT_CHECKED: "dim",
}
_CANNOT_KNOW: Final = 2
_PIECE_BYTES: Final = 2**16
_TRANSACTION: Final = re.compile(r"0x[0-9a-f]{64}")
_SINCE: Final = re.compile(r"(0|[1-9][0-9]{0,77}):0x([0-9a-f]{64})")


def verify(  # noqa: PLR0913, PLR0917 - one parameter per option of the command
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH|CID|TX [BATCH]...",
            help="A metadata, record, receipt file, CAR or batch; a CID; or the transaction of an "
            "append. Further paths are batches of the same log, for --since.",
        ),
    ],
    receipts: Annotated[
        list[Path] | None,
        typer.Option("--receipts", help="Receipts of one agent; give it once per file."),
    ] = None,
    rpc: Annotated[
        list[str] | None,
        typer.Option(metavar="CHAIN=URL", help="Your node for a chain (name or CAIP-2)."),
    ] = None,
    trust: Annotated[
        Path | None, typer.Option(help="Keys, contracts and submitters that you believe.")
    ] = None,
    batch: Annotated[Path | None, typer.Option(help="The batch that TX appended.")] = None,
    ipfs: Annotated[
        str | None, typer.Option(metavar="URL", help="RPC API of your IPFS node (port 5001).")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="SIZE:ROOT", help="A head of the log you saw before.")
    ] = None,
    *,
    dev: Annotated[bool, typer.Option("--dev", help="Accept development keys.")] = False,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Accept a record that nobody signed.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check evidence of a run. Exit 0: all that was asked held; 1: false; 2: cannot be known.

    Names, payees and amounts of payments are never printed.
    """
    chains = _load_chains()
    terms = Terms(
        receipts_files=[_read(file, limit=MAX_FILE_BYTES) for file in receipts or ()],
        batches=[_batch(Path(path)) for path in targets[1:]],
        chains={} if offline else _connect(rpc or (), chains),
        natives={chain.caip2: chain.native for chain in chains.values()},
        trust=_load_trust(trust),
        since=None if since is None else _head(since),
        dev=dev,
        unsigned=unsigned,
        offline=offline,
    )
    store = None if offline or ipfs is None else _connect_ipfs(ipfs)
    report = asyncio.run(_verify(targets[0], terms, store=store, batch=batch))
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2))
    else:
        _show(report)
    raise typer.Exit(report.exit_code)


async def _verify(
    target: str, terms: Terms, *, store: ContentStore | None, batch: Path | None
) -> VerificationReport:
    if _TRANSACTION.fullmatch(target):
        if batch is None:
            return await verify_append(target, terms, store=store)
        return await verify_file(_pieces(batch), terms, store=store, tx_hash=target)
    if batch is not None:
        _stop("--batch belongs to a transaction: cwf verify TX --batch FILE.")
    cid = _cid(target)
    if cid is not None:
        return await verify_cid(cid, terms, store=store)
    return await verify_file(_pieces(Path(target)), terms, store=store)


def _cid(target: str) -> Cid | None:
    try:
        return parse_cid(target)
    except VerificationError:
        return None


def _pieces(path: Path) -> Iterator[bytes]:
    """Yield a file piece by piece; how much of it is taken is for the reader to bound."""
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece
    except OSError as error:
        _stop(f"{path} cannot be read: {error.strerror}.")


def _read(path: Path, *, limit: int) -> bytes:
    """Read a file, a little more than is allowed: the reader then refuses it."""
    data = bytearray()
    for piece in _pieces(path):
        data += piece
        if len(data) > limit:
            break
    return bytes(data)


def _batch(path: Path) -> bytes:
    try:
        return batch_json(_pieces(path))
    except VerificationError as error:
        _stop(f"{path} is no batch: {error}")


def _head(text: str) -> Head:
    match = _SINCE.fullmatch(text)
    if match is None:
        _stop("--since takes SIZE:ROOT, a number and 0x with 64 lower-case hex digits.")
    return Head(int(match[1]), bytes.fromhex(match[2]))


def _load_chains() -> dict[str, Chain]:
    from airflow_cwf.wiring import load_chains

    try:
        return load_chains(os.environ.get("CWF_CHAINS_FILE"))
    except ConfigError as error:
        _stop(str(error))


def _load_trust(path: Path | None) -> Trust:
    from airflow_cwf.wiring.verification import load_trust

    try:
        return load_trust(path)
    except ConfigError as error:
        _stop(str(error))


def _connect_ipfs(url: str) -> ContentStore:
    from airflow_cwf.wiring.verification import connect_ipfs

    try:
        return connect_ipfs(url)
    except ConfigError as error:
        _stop(str(error))


def _connect(endpoints: Sequence[str], chains: Mapping[str, Chain]) -> dict[str, ChainClient]:
    # Imported here: a verification without nodes needs no adapter.
    from airflow_cwf.wiring import connect_chain

    named = {chain.name: chain for chain in chains.values()}
    named |= {chain.caip2: chain for chain in chains.values()}
    urls: dict[str, list[str]] = {}
    for endpoint in endpoints:
        name, _, url = endpoint.partition("=")
        if name not in named or not url:
            known = ", ".join(sorted(chains))
            _stop(f"--rpc takes CHAIN=URL with one of these chains: {known}.")
        urls.setdefault(named[name].caip2, []).append(url)
    try:
        return {caip2: connect_chain(named[caip2], urls[caip2]) for caip2 in urls}
    except ConfigError as error:
        _stop(str(error))


def _show(report: VerificationReport) -> None:
    console = Console(highlight=False)
    for line in report.lines:
        console.print(_render(line), soft_wrap=True)
    for name in report.records:
        console.print(f"workflow_id {name.workflow_id}", soft_wrap=True)
        console.print(f"coreDigest  {name.core_digest}", soft_wrap=True)
    for note in report.notes:
        console.print(Text(note), soft_wrap=True)
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
        return Text(_what_is_unknown(report), style=_STYLES[State.UNKNOWN])
    if report.proved:
        return Text("HELD: every check asked for.", style=_STYLES[State.HELD])
    return Text.assemble(
        ("HELD: every check asked for. ", _STYLES[State.HELD]),
        "State recorded: this run is NOT YET PROVED, signed or anchored, so only the receipts "
        "and the chains speak for it.",
    )


def _what_is_unknown(report: VerificationReport) -> str:
    if any(line.state is State.UNKNOWN for line in report.lines):
        return "UNKNOWN: something asked for cannot be known."
    return "UNKNOWN: nobody signed this record, so nobody is known to stand for it (--unsigned)."


def _stop(message: str) -> NoReturn:
    Console(stderr=True, highlight=False).print(Text(message), soft_wrap=True)
    raise typer.Exit(_CANNOT_KNOW)

"""`cwf payroll check`: what a payments file would pay, before anybody is asked to pay it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from airflow_cwf.actions.check import PaymentCheck, PaymentSum, check_payments
from airflow_cwf.core.errors import ConfigError, InputError
from airflow_cwf.core.money import format_amount
from airflow_cwf.core.payments import RowProblem

__all__ = ["payroll"]

_SHOWN: Final = 50
_ROWS_REPORTED: Final = 1
_UNREADABLE: Final = 2

payroll = typer.Typer(name="payroll", help="Look at payments files.", no_args_is_help=True)


@payroll.callback()
def _payroll() -> None:
    """Look at payments files."""


@payroll.command()
def check(
    file: Annotated[str, typer.Argument(help="Payments file (CSV): a path, or s3://... and such.")],
    *,
    chains: Annotated[
        Path | None,
        typer.Option(
            help="Chain table that extends the one built in.", exists=True, dir_okay=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Check a payments file, without a chain, a key or a network.

    Exit status: 0 if every row would pay, 1 if rows are reported, 2 if the file cannot be read.
    """
    # Here, so that the other commands do not pay for what the wiring imports.
    from airflow_cwf.wiring import load_chains, read_source

    try:
        result = check_payments(
            read_source(file), chains=load_chains(str(chains) if chains else None)
        )
    except (InputError, ConfigError) as error:
        _refuse(str(error), as_json=as_json)
    if as_json:
        typer.echo(json.dumps(_as_json(result), indent=2))
    else:
        _print(result)
    if not result.is_clean:
        raise typer.Exit(_ROWS_REPORTED)


def _refuse(message: str, *, as_json: bool) -> NoReturn:
    if as_json:
        typer.echo(json.dumps({"ok": False, "error": message}, indent=2))
    else:
        typer.echo(message, err=True)
    raise typer.Exit(_UNREADABLE)


def _as_json(result: PaymentCheck) -> dict[str, object]:
    return {
        "ok": result.is_clean,
        "rows": result.book.rows,
        "payments": len(result.book.payments),
        "sums": [
            {
                "chain": each.chain,
                "token": each.token,
                "payments": each.payments,
                "amount": _amount(each),
            }
            for each in result.sums
        ],
        "problems": [asdict(problem) for problem in result.book.problems],
    }


def _print(result: PaymentCheck) -> None:
    console = Console()
    book = result.book
    if result.sums:
        console.print(_sums_table(result.sums))
    if book.problems:
        console.print(_problems_table(book.problems[:_SHOWN]))
        if len(book.problems) > _SHOWN:
            console.print(f"+{len(book.problems) - _SHOWN} more; --json lists all")
    console.print(
        f"{book.rows} rows: {len(book.payments)} would pay, {len(book.problems)} would not."
    )


def _sums_table(sums: tuple[PaymentSum, ...]) -> Table:
    table = Table(title="What would be paid")
    table.add_column("chain")
    table.add_column("token")
    table.add_column("payments", justify="right")
    table.add_column("sum", justify="right")
    for each in sums:
        table.add_row(each.chain, each.token, f"{each.payments:,}", _amount(each))
    return table


def _problems_table(problems: tuple[RowProblem, ...]) -> Table:
    table = Table(title="What would not be paid")
    table.add_column("line", justify="right")
    table.add_column("reference", overflow="fold")
    table.add_column("reason", overflow="fold")
    for problem in problems:
        # Text, not str: a file's brackets are not markup.
        table.add_row(str(problem.line), Text(problem.reference), Text(problem.reason))
    return table


def _amount(each: PaymentSum) -> str:
    return format_amount(each.amount, decimals=each.decimals)

"""How `cwf demo` looks: a live view while it runs, and tables for 80 columns at the end."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from airflow_cwf.core.money import format_amount

if TYPE_CHECKING:
    from airflow_cwf.localnet.payday import Progress

USDC_DECIMALS: Final = 6
NATIVE_DECIMALS: Final = 18
GWEI_DECIMALS: Final = 9
BAR_WIDTH: Final = 16
NARROW: Final = frozenset({"agent", "chain", "items", "paid", "failed", "tx", "fee", "reference"})
TASK_MARKS: Final = {
    "success": ("✓", "green"),
    "failed": ("✗", "red"),
    "upstream_failed": ("✗", "red"),
    "running": ("▸", "yellow"),
    "awaiting_input": ("?", "yellow"),
    "skipped": ("-", "dim"),
}
CHECK_STYLES: Final = {"held": "green", "false": "red", "unknown": "yellow"}


def progress_table(seen: "Progress", natives: Mapping[str, str]) -> Group:
    """Return tasks and chains as they stand, for a live display.

    Args:
        seen: what the watcher saw last.
        natives: symbol of each chain's coin.
    """
    tasks = Text("  ")
    for task in sorted(seen.tasks, key=lambda t: (t.task_id, t.map_index)):
        mark, style = TASK_MARKS.get(task.state or "", ("·", "dim"))
        named = task.rendered_map_index
        name = named if named and not named.isdigit() else task.task_id
        tasks.append(f"{mark} {name}  ", style=style)
    table = _table("chain", "", "paid", "in flight", "failed", "tx", "fee")
    for name, chain in seen.chains.items():
        table.add_row(
            name,
            ProgressBar(total=max(chain.items, 1), completed=chain.settled, width=BAR_WIDTH),
            f"{chain.settled:,} of {chain.items:,}",
            _number(chain.sent),
            _number(chain.refused),
            _number(chain.transactions),
            coins(chain.fee_wei, natives[name]),
        )
    return Group(tasks, table)


def print_report(console: Console, report: Mapping[str, Any]) -> None:
    """Print the tables, then the verdict and where to look."""
    console.print()
    console.print(_agents_table(report["agents"]))
    console.print(_bad_rows_table(report["bad_rows"]))
    console.print(_checks_table(report["verify"]))
    for name in ("workflow_id", "cid", "anchor"):
        console.print(f"{name:<12}{report[name]}", soft_wrap=True)
    console.print()
    for line in headline(report):
        console.print(line, soft_wrap=True)


def headline(report: Mapping[str, Any]) -> Iterable[str]:
    """Yield what matters most, as lines of markup."""
    balances, paths = report["balances"], report["paths"]
    paid, payable = balances["paid_people"], balances["payable_people"]
    amount = format_amount(balances["paid_units"], decimals=USDC_DECIMALS)
    style = "bold green" if report["ok"] else "bold red"
    yield (
        f"[{style}]Paid {paid:,} of {payable:,} people, {_nobody_or(balances['overpaid_people'])} "
        f"twice or too much[/]"
    )
    yield f"and {amount} USDC in all, by the balances on chain. It took {report['seconds']:.0f} s."
    if report["state"] != "success":
        yield f"[red]The DAG run ended as {report['state']}.[/] The logs are in {paths['logs']}."
        yield from (f"  {a['agent_name']}: {escape(str(a['error']))}" for a in report["agents"]
                    if a["error"])  # fmt: skip
    if report["verify"]["exit_code"] != 0:
        yield f"[red]`cwf verify` does not hold[/] (exit {report['verify']['exit_code']})."
    yield f"Everything lies in {paths['folder']}; start with report.json."
    if paths["metadata"]:
        yield f"Check it yourself: cwf verify {paths['metadata']} --trust {paths['trust']} --dev"


def coins(wei: int, native: str) -> str:
    """Return an amount of a chain's coin: `0.0012 ETH`, and `12 gwei ETH` of very small ones."""
    if 0 < wei < 10**13:
        return f"{format_amount(wei, decimals=GWEI_DECIMALS)} gwei {native}"
    return f"{format_amount(wei, decimals=NATIVE_DECIMALS)} {native}"


def _nobody_or(number: int) -> str:
    return "nobody" if not number else f"{number:,}"


def _number(number: int) -> str:
    return f"{number:,}" if number else "-"


def _table(*headers: str, title: str | None = None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
    table.title, table.title_justify, table.title_style = title, "left", "bold"
    for header in headers:
        justify: Any = (
            "right" if header in {"items", "paid", "failed", "tx", "in flight"} else "left"
        )
        table.add_column(header, justify=justify, no_wrap=header in NARROW, overflow="fold")
    return table


def _agents_table(agents: list[dict[str, Any]]) -> Group:
    """Return a row per agent; columns that hold nothing are left out, reasons stand below."""
    unresolved = any(agent["unresolved"] for agent in agents)
    headers = ["agent", "items", "paid", "failed", *(["open"] if unresolved else [])]
    table = _table(*headers, "tx", "fee", "time", title="What each agent did")
    for agent in agents:
        table.add_row(
            agent["agent_name"],
            _number(agent["items"]),
            _number(agent["settled"]),
            _number(agent["failed"]),
            *([_number(agent["unresolved"])] if unresolved else []),
            _number(agent["transactions"]),
            coins(agent["fee_gwei"] * 10**9, agent["native"]) if agent["native"] else "-",
            f"{agent['seconds']:.1f} s",
        )
    reasons = [
        Text(f"  {agent['agent_name']} did not pay {number}: {reason}")
        for agent in agents
        for reason, number in agent["reasons"].items()
    ]
    payers = [agent for agent in agents if agent["native"]]
    if payers:
        table.add_section()
        sums = [sum(a[name] for a in payers) for name in ("items", "settled", "failed")]
        opened = [_number(sum(a["unresolved"] for a in payers))] if unresolved else []
        sent = _number(sum(a["transactions"] for a in payers))
        table.add_row("payments in all", *map(_number, sums), *opened, sent, "", "", style="bold")
    return Group(table, *reasons)


def _bad_rows_table(rows: list[dict[str, Any]]) -> Table:
    table = _table(
        "reference", "chain", "mistake", "what became of it",
        title="\nThe rows that are wrong on purpose",
    )  # fmt: skip
    for row in rows:
        mistake = row["kind"].replace("_", " ")
        table.add_row(row["reference"], row["chain"], mistake, row["outcome"])
    return table


def _checks_table(verification: Mapping[str, Any]) -> Group:
    """Return what `cwf verify` said; what it could not look at stands in one line."""
    table = _table("", "", "", "", title="What `cwf verify` says")
    table.show_header = False
    skipped = []
    for check in verification["checks"]:
        if check["state"] == "not checked":
            skipped.append(check["name"])
            continue
        state = Text(check["state"], style=CHECK_STYLES[check["state"]])
        table.add_row(str(check["number"]), state, check["name"], check["text"])
    left = [Text(f"  Not checked: {', '.join(skipped)}.")] if skipped else []
    return Group(table, *left)

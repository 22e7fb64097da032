"""The command `cwf`."""

import typer

from airflow_cwf.cli.anchor import anchor
from airflow_cwf.cli.contracts import contracts
from airflow_cwf.cli.demo import demo
from airflow_cwf.cli.journal import journal
from airflow_cwf.cli.payroll import payroll
from airflow_cwf.cli.proof import proof
from airflow_cwf.cli.prover import prover
from airflow_cwf.cli.verify import verify

app = typer.Typer(
    name="cwf",
    help="On-chain work as an Airflow DAG: nobody is paid twice, every run can be checked.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(anchor)
app.command()(demo)
app.command()(verify)
app.add_typer(payroll, name="payroll")
app.add_typer(contracts, name="contracts")
app.add_typer(journal, name="journal")
app.add_typer(proof, name="proof")
app.add_typer(prover, name="prover")


def main() -> None:
    """Run the command."""
    app()

"""Screen payees: load the sanctions list, note which one it was, and refuse whom it names."""

from airflow_cwf.core.intents import Plan
from airflow_cwf.core.journal_rows import Screening
from airflow_cwf.core.runtime import Runtime
from airflow_cwf.core.screening import SanctionsList
from airflow_cwf.core.states import PAYABLE, Reason


async def load_list(runtime: Runtime, *, run: str) -> SanctionsList:
    """Load the sanctions list and record source, date and digest for the run.

    Raises:
        SanctionsListError: absent, too old, or unreadable: nothing may be signed.
        ConfigError: no list is configured.
    """
    listed = await runtime.sanctions.load()
    runtime.journal.runs.save_screening(
        run, Screening(listed.source, listed.published, listed.sha256)
    )
    return listed


async def screen(plan: Plan, *, run: str, runtime: Runtime) -> tuple[SanctionsList, int]:
    """Refuse every payable item of `plan` whose payee is listed; return list and their number.

    Safety does not rest on this: `settle` screens each item itself just before it signs.
    """
    listed = await load_list(runtime, run=run)
    payments = runtime.journal.payments
    hits = 0
    for scope in plan.scopes:
        items = [item for item in plan.items_of(scope.id) if listed.lists(item.payee)]
        rows = {row.key: row for row in payments.items(scope.id)}
        payments.refuse([i for i in items if rows[i.key].state in PAYABLE], Reason.SANCTIONED)
        hits += len(items)
    return listed, hits

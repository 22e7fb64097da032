"""Every 50 blocks of the anchor chain: append all records that wait to the log.

For installations whose payroll DAGs do not anchor by themselves (`[cwf] anchor_chain` is read by
both). Needs a triggerer. What waits is read from the journal: nothing is anchored twice or left
out, however often triggerer or task are killed.
"""

from airflow.sdk import Asset, AssetWatcher, dag
from airflow.sdk.configuration import conf

from airflow_cwf.operators.anchor import AnchorRecordsOperator
from airflow_cwf.triggers.blocks import BlockIntervalTrigger

CHAIN = conf.get("cwf", "anchor_chain", fallback="") or "ethereum"
CLOCK = Asset(
    "cwf_anchor_clock",
    watchers=[
        AssetWatcher(name="blocks", trigger=BlockIntervalTrigger(f"evm_{CHAIN}", 50, chain=CHAIN))
    ],
)


@dag(schedule=[CLOCK], catchup=False, max_active_runs=1, tags=["cwf", "anchor"])
def anchor_every_n_blocks() -> None:
    """Anchor all records that wait."""
    AnchorRecordsOperator(task_id="anchor", clock=CLOCK, retries=3)


anchor_every_n_blocks()

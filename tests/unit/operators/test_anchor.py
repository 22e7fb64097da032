"""Both operators that anchor, over a world in memory: clock, cursor, deferral, faults."""

import json
from collections import defaultdict
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_cwf import wiring
from airflow_cwf.core.errors import ConfigError, ProverError, TransportError, UnresolvedError
from airflow_cwf.operators import anchor as module
from airflow_cwf.operators.agent import ConcurrentAgentOperator
from airflow_cwf.operators.anchor import AnchorRecordsOperator
from airflow_cwf.operators.workflow import AggregateWorkflowOperator
from airflow_cwf.triggers.blocks import CURSOR, BlockIntervalTrigger
from tests.fakes.anchoring import Archive
from tests.unit.operators.quiet_agents import QuietAgent

CLOCK, OTHER_CLOCK = Asset("clock"), Asset("other_clock")


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A world in memory behind the operators' connections."""
    made = Archive(tmp_path / "world")

    @asynccontextmanager
    async def process(_settings):
        runtime = made.world.process()
        try:
            yield runtime
        finally:
            runtime.close()

    monkeypatch.setattr(wiring, "runtime", process)
    monkeypatch.setenv("AIRFLOW__CWF__ANCHOR_CHAIN", "ethereum")
    return made


class Store(dict):
    """An asset's state, and every value that it was ever set to."""

    def __init__(self, **values):
        super().__init__(values)
        self.history = []

    def set(self, key, value):
        self.history.append(value)
        self[key] = value


# --- AnchorRecordsOperator ------------------------------------------------------------------------


def ticks(*blocks):
    return [
        SimpleNamespace(extra={"from_trigger": True, "payload": {"block": b, "every": 50}})
        for b in blocks
    ]


def tick_context(events, stores):
    return {
        "triggering_asset_events": defaultdict(list, events),
        "asset_state_store": stores,
    }


def anchor_at(*events, cursor=None, clock=CLOCK):
    store = Store() if cursor is None else Store(**{CURSOR: cursor})
    operator = AnchorRecordsOperator(task_id="anchor", clock=clock)
    result = operator.execute(tick_context({clock: list(events)}, {clock: store}))
    return result, store


def test_a_tick_anchors_what_waits_and_moves_the_cursor_to_its_block(archive):
    archive.publish("r1", "r2")
    (batch,), store = anchor_at(*ticks(50, 100), cursor=0)
    assert batch["records"] == 2
    assert store.history == [100]
    archive.check_log(records=2)


@pytest.mark.parametrize(
    ("events", "cursor"),
    [
        (ticks(50), 100),
        (ticks(100), 100),
        ([], 100),
        ([], None),
        ([SimpleNamespace(extra={})], 100),
        ([SimpleNamespace(extra={"payload": "by hand"})], None),
        ([SimpleNamespace(extra={"payload": {"block": "9"}})], None),
    ],
)
def test_the_cursor_never_goes_back_and_an_event_without_a_block_moves_nothing(
    archive, events, cursor
):
    archive.publish("r1")
    result, store = anchor_at(*events, cursor=cursor)
    assert len(result) == 1
    assert store.history == []


def test_a_cursor_that_is_no_number_is_put_right(archive):
    assert anchor_at(*ticks(50), cursor="x")[1].history == [50]


def test_the_cursor_stays_while_the_append_is_not_final(archive):
    archive.publish("r1")
    del archive.node.codes[archive.node.anchor]
    store = Store(**{CURSOR: 50})
    operator = AnchorRecordsOperator(task_id="anchor", clock=CLOCK)
    with pytest.raises(AirflowFailException, match="cwf contracts deploy"):
        operator.execute(tick_context({CLOCK: ticks(100)}, {CLOCK: store}))
    assert store.history == []


def test_without_a_clock_it_anchors_at_once(archive):
    archive.publish("r1")
    assert len(AnchorRecordsOperator(task_id="anchor").execute({})) == 1
    archive.check_log(records=1)


def test_two_clocks_anchor_once_and_each_has_its_own_cursor(archive):
    archive.publish("r1")
    first, one = anchor_at(*ticks(50))
    second, other = anchor_at(*ticks(30), clock=OTHER_CLOCK)
    assert [len(first), len(second)] == [1, 0]
    assert [one.history, other.history] == [[50], [30]]
    archive.check_log(records=1)


def test_the_clock_is_among_the_inlets_or_airflow_would_not_give_its_state():
    assert AnchorRecordsOperator(task_id="anchor", clock=CLOCK).inlets == [CLOCK]


def test_without_an_anchor_chain_both_operators_say_which_setting_names_it(monkeypatch):
    monkeypatch.delenv("AIRFLOW__CWF__ANCHOR_CHAIN", raising=False)
    with pytest.raises(ConfigError, match=r"`\[cwf\] anchor_chain`"):
        AnchorRecordsOperator(task_id="anchor").execute({})


def test_an_unknown_gas_strategy_is_refused_when_the_dag_is_read():
    with pytest.raises(ValueError, match="strategy"):
        AnchorRecordsOperator(task_id="anchor", gas_strategy="fastest")


# --- AggregateWorkflowOperator --------------------------------------------------------------------


@pytest.fixture
def work(archive, context_of):
    """Return a function that makes the aggregate of a run whose one agent is done."""

    def make(*, expected=("a",), **options):
        with DAG("d", schedule=None):
            task = ConcurrentAgentOperator.for_agents(
                task_id="work", agents=[QuietAgent(agent_name=n) for n in expected], task="label"
            )
            prove = AggregateWorkflowOperator(task_id="prove", outputs=[task.output], **options)
        task >> prove
        agent = ConcurrentAgentOperator(
            task_id="work", agent=QuietAgent(agent_name="a").spec(), task="label"
        )
        agent.execute(context_of(agent))
        return prove, context_of(prove, work_0="success", work_1="success")

    return make


def test_a_short_wait_is_polled_until_the_next_multiple(archive, work):
    archive.node.mine(3)
    prove, context = work(every_n_blocks=10, deferrable=True)
    result = prove.execute(context)
    assert result["anchors"][0]["block"] > 10  # the append follows the block waited for
    assert result["cid"] == archive.rows()[0][2]
    archive.check_log(records=1)


def test_every_block_may_be_waited_for(archive, work):
    prove, context = work(every_n_blocks=1)
    prove.execute(context)
    archive.check_log(records=1)


def test_a_long_wait_is_deferred_and_what_is_carried_is_json(archive, work):
    archive.node.mine(7)
    prove, context = work(every_n_blocks=50, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        prove.execute(context)
    told = deferred.value
    assert told.method_name == "anchor"
    path, arguments = told.trigger.serialize()
    assert path.endswith("BlockIntervalTrigger")
    assert (arguments["until"], arguments["chain"]) == (50, "ethereum")
    assert arguments["conn_id"] == "evm_ethereum"
    kwargs = json.loads(json.dumps(told.kwargs))
    assert kwargs == told.kwargs
    assert told.timeout.total_seconds() > 43 * 4
    assert archive.rows()[0][1] == "published"
    archive.world.clock.advance(50 * 4)
    event = {"chain": "ethereum", "every": 50, "block": 50, "head": 57}
    first = getattr(prove, told.method_name)(context, event=event, **kwargs)
    assert first["anchors"][0]["records"] == 1
    again = getattr(prove, told.method_name)(context, event=event, **kwargs)
    assert again == first | {"anchors": []}
    archive.check_log(records=1)


@pytest.mark.parametrize(
    ("default", "deferrable", "defers"),
    [
        ("True", None, True),
        ("False", None, False),
        ("True", False, False),
        ("False", True, True),
        (None, None, False),
    ],
)
def test_default_deferrable_decides_where_the_task_does_not(
    archive, work, monkeypatch, default, deferrable, defers
):
    if default is not None:
        monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", default)
    prove, context = work(every_n_blocks=50, deferrable=deferrable)
    if defers:
        with pytest.raises(TaskDeferred):
            prove.execute(context)
    else:
        prove.execute(context)
        archive.check_log(records=1)


def test_the_tasks_own_connection_is_the_triggers_too(archive, work):
    prove, context = work(every_n_blocks=50, deferrable=True, evm_conn_id="my_node")
    with pytest.raises(TaskDeferred) as deferred:
        prove.execute(context)
    assert isinstance(deferred.value.trigger, BlockIntervalTrigger)
    assert deferred.value.trigger.conn_id == "my_node"


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_run_that_is_not_whole_is_anchored_before_it_turns_red(archive, work, deferrable):
    prove, context = work(expected=("a", "b"), every_n_blocks=50, deferrable=deferrable)
    with pytest.raises((AirflowFailException, TaskDeferred)) as raised:
        prove.execute(context)
    if deferrable:
        with pytest.raises(AirflowFailException, match="b did not report"):
            prove.anchor(context, None, **raised.value.kwargs)
    else:
        assert "b did not report" in str(raised.value)
    archive.check_log(records=1)


def test_a_prover_that_dies_leaves_the_run_recorded_and_clearing_proves_it(archive, work):
    class Dies:
        def prove(self, statement):
            raise ProverError("The prover was ended by signal 9.")

    good, archive.world.prover = archive.world.prover, Dies()
    prove, context = work(every_n_blocks=1)
    with pytest.raises(ProverError, match="signal 9"):
        prove.execute(context)
    assert archive.rows()[0][1] == "recorded"
    archive.world.prover = good
    prove.execute(context)
    archive.check_log(records=1)


def test_a_record_that_another_run_took_along_is_told_as_such(archive, work):
    prove, context = work(every_n_blocks=50, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        prove.execute(context)
    archive.anchor()
    assert prove.anchor(context, None, **deferred.value.kwargs)["anchors"] == []
    archive.check_log(records=1)


def test_a_chain_that_stands_still_is_not_waited_for_without_end(archive, work, monkeypatch):
    monkeypatch.setattr(module, "STILL_S", 60.0)
    archive.node.is_mining = False
    prove, context = work(every_n_blocks=10)
    with pytest.raises(UnresolvedError, match=r"no block .* 60 s; its last is 0, and 10 is"):
        prove.execute(context)
    assert archive.rows()[0][1] == "published"


def test_a_node_that_fails_while_it_is_polled_is_asked_again(archive, work):
    asked = []

    def fail_twice(method):
        if method == "block":
            asked.append(method)
            if len(asked) in {2, 3}:
                raise TransportError("The node did not answer.", chain="eip155:1")

    archive.node.on_call = fail_twice
    prove, context = work(every_n_blocks=10)
    prove.execute(context)
    archive.check_log(records=1)


def test_no_interval_of_no_blocks():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        AggregateWorkflowOperator(task_id="prove", outputs=[], every_n_blocks=0)

"""Runs whose agents have ended and that wait to be aggregated, proved and anchored."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from airflow_cwf.actions.advance import anchor_all, prove_and_publish
from airflow_cwf.actions.aggregate import Aggregated, aggregate, anchor_destination
from airflow_cwf.actions.run_agent import run_agent
from airflow_cwf.agents import BaseAgent
from airflow_cwf.core.agents import AgentContext
from airflow_cwf.core.anchor_log import BatchRow, log_name
from airflow_cwf.core.anchors import Head
from airflow_cwf.core.evidence.batch_document import LogId, compose_batch, growth_of
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.evidence.cid import parse_cid, raw_cid
from airflow_cwf.core.evidence.log import log_leaves, verify_entry
from airflow_cwf.core.evidence.merkle import tree_root
from airflow_cwf.core.evidence.record import parse_document, record_of
from airflow_cwf.core.fees import parse_strategy
from tests.fakes.runtime import FakeRuntime, FakeWorld


class IdleAgent(BaseAgent):
    """Does nothing, well."""

    def __init__(self, *, agent_name: str = "IdleAgent") -> None:
        super().__init__(chain=None, agent_name=agent_name)

    def execute(self, task: object, *, gas_price: object = None) -> None:
        return None


class Archive:
    """A world's runs, and what a stranger would check of them.

    Args:
        folder: where the world lives.
        anchor_chain: None: records are proved and stay where they are.
    """

    def __init__(self, folder: Path, *, anchor_chain: str | None = "ethereum") -> None:
        self.world = FakeWorld(folder, anchor_chain=anchor_chain)
        self.node = self.world.nodes["ethereum"]

    def end_agents(self, *runs: str, agents: Sequence[BaseAgent] = ()) -> None:
        """Let the agents of these runs do their work."""

        async def work() -> None:
            runtime = self.world.process()
            for run in runs:
                for agent in agents or [IdleAgent()]:
                    context = context_of(runtime, run)
                    await run_agent(agent, "t", team=[agent], context=context)
            runtime.close()

        asyncio.run(work())

    def record(
        self,
        run: str,
        *,
        runtime: FakeRuntime | None = None,
        agents: Sequence[BaseAgent] = (),
    ) -> Aggregated:
        """Aggregate a run, in a process of its own unless one is given."""
        ports = runtime or self.world.process()
        try:
            return aggregate(agents or [IdleAgent()], context=context_of(ports, run))
        finally:
            if runtime is None:
                ports.close()

    def publish(self, *runs: str, agents: Sequence[BaseAgent] = ()) -> list[str]:
        """End, aggregate, prove and publish runs; return their CIDs."""
        self.end_agents(*runs, agents=agents)
        return [self.prove(run, agents=agents) for run in runs]

    def prove(self, run: str, *, agents: Sequence[BaseAgent] = ()) -> str:
        """Aggregate, prove and publish a run whose agents have ended; return its CID."""

        async def work() -> str:
            runtime = self.world.process()
            try:
                row = self.record(run, runtime=runtime, agents=agents).row
                return await prove_and_publish(row, runtime)
            finally:
                runtime.close()

        return asyncio.run(work())

    def anchor(self, runtime: FakeRuntime | None = None) -> list[dict[str, Any]]:
        return asyncio.run(self.anchored(runtime))

    async def anchored(self, runtime: FakeRuntime | None = None) -> list[dict[str, Any]]:
        """Anchor all that waits, in a process of its own unless one is given."""
        ports = runtime or self.world.process()
        try:
            return await anchor_all(ports)
        finally:
            ports.close()

    def compose(self) -> None:
        """Compose a batch, and die before anything of it is sent."""
        runtime = self.world.process()
        destination = anchor_destination(runtime)
        assert destination is not None
        anchors, log = runtime.journal.anchors, LogId(**destination)
        name = log_name(log)
        known = [parse_cid(record.cid) for record in anchors.leaves(name)]
        waiting = anchors.waiting(name, limit=1_000)
        records = [parse_cid(record.cid) for record in waiting]
        batch = compose_batch(log, leaves=log_leaves(known), records=records)
        growth = batch.growth
        row = BatchRow(name, growth.old_size, growth.size, batch.data, None, None)
        assert anchors.compose(row, waiting)
        runtime.close()

    def rows(self) -> list[tuple[str, str, str | None, int | None]]:
        """Return workflow id, state, CID and position of every record, by position."""
        query = "SELECT workflow_id, state, cid, position FROM workflows ORDER BY position, run"
        with closing(sqlite3.connect(self.world.folder / "home/journal.db")) as database:
            return database.execute(query).fetchall()

    def metadata_file(self, workflow_id: str) -> Path:
        (place,) = (self.world.folder / "artifacts/runs").glob(f"**/{workflow_id}/metadata.json")
        return place

    def check_log(self, *, records: int) -> None:
        """Everything is anchored once, without a gap, and chain, journal and files agree."""
        rows = self.rows()
        assert [row[3] for row in rows] == list(range(records))
        assert {row[1] for row in rows} == {"anchored"}
        assert len({row[2] for row in rows}) == records
        leaves = log_leaves([parse_cid(str(row[2])) for row in rows])
        assert self.node.ledger.heads[self.world.payer] == Head(records, tree_root(leaves))
        sizes = self.node.appends()
        assert [old for old, _ in sizes] == [0, *(size for _, size in sizes[:-1])]
        for workflow_id, _, cid, position in rows:
            document = parse_document(self.metadata_file(workflow_id).read_bytes())
            record = raw_cid(canonical_bytes(record_of(document)))
            assert str(record) == document["cid"] == cid
            anchor: Any = document["anchor"]
            assert anchor["position"] == position
            verify_entry(
                record,
                position=anchor["position"],
                path=[bytes.fromhex(part[2:]) for part in anchor["path"]],
                growth=growth_of(anchor),
            )
            assert (anchor["old_size"], anchor["size"]) in sizes
            self._check_files(workflow_id, str(cid), anchor["batch"])

    def _check_files(self, workflow_id: str, cid: str, batch: str) -> None:
        artifacts = self.world.folder / "artifacts"
        car = (artifacts / f"records/{cid}.car").read_bytes()
        assert self.metadata_file(workflow_id).with_name("record.car").read_bytes() == car
        assert (artifacts / f"batches/{batch}.car").exists()


def context_of(runtime: FakeRuntime, run: str) -> AgentContext:
    return AgentContext(runtime, run, parse_strategy("optimal"))

"""A world in memory: a clock that mines, chains, and the real journal, codec and signer.

`FakeWorld.process()` is one process: a runtime of its own over what outlives processes, that is
the journal's file, the artifacts and the chains.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import event

from airflow_cwf import wiring
from airflow_cwf.actions.load import load_payments
from airflow_cwf.actions.run_agent import run_agent
from airflow_cwf.agents import BaseAgent, ComplianceAgent, PaymentAgent
from airflow_cwf.core.agents import AgentContext, Task
from airflow_cwf.core.chains import Chain, Token
from airflow_cwf.core.contracts import anchor_address, batch_payment_address
from airflow_cwf.core.fees import parse_strategy
from airflow_cwf.core.intents import Scope
from airflow_cwf.core.journal_rows import ItemRow
from airflow_cwf.core.policies import Policy
from airflow_cwf.core.ports import ChainClient, Prover
from airflow_cwf.core.schemas import WorkflowMetadata
from airflow_cwf.core.settings import Settings, SignerSettings
from airflow_cwf.wiring.runtime import WiredRuntime
from airflow_cwf.workflow import ConcurrentWorkflow
from tests.fakes.chain import FakeChain
from tests.fakes.clock import START, FakeClock
from tests.fakes.lists import FixedList
from tests.fakes.provers import FormalProver

PAYER_KEY = "07" * 32
PAYROLL = "2026-q3"
IDS = {"ethereum": 1, "polygon": 137, "arbitrum": 42161}
TOKEN = "0x" + "a0" * 20
UNITS = 10**6


class FakeRuntime(WiredRuntime):
    """The wired runtime, with the world's clock, chains and list in their places."""

    def __init__(self, world: "FakeWorld") -> None:
        super().__init__(world.settings, http=None)  # type: ignore[arg-type] # no network here
        self.world = world
        self.clock = world.clock
        vars(self)["prover"] = world.prover
        if world.listed is not None:
            vars(self)["sanctions"] = world.listed
        journal = self.journal
        # Only what survives a power cut is given up, and half of a test's time with it.
        event.listen(journal._database.engine, "connect", _do_not_wait_for_the_disk)
        journal.close()  # the connections of before
        # Leases live by the database's clock; here it is the world's.
        journal._database.now = lambda _connection: world.clock.now()  # type: ignore[method-assign]

    def close(self) -> None:
        self.journal.close()

    def client(self, chain: str) -> ChainClient:
        return self.world.nodes[chain] if chain in self.world.nodes else super().client(chain)


def _do_not_wait_for_the_disk(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


class FakeWorld:
    """People, a treasury and chains, ready to be paid."""

    def __init__(
        self,
        folder: Path,
        *,
        chains: Sequence[str] = ("ethereum",),
        block_time: float = 4.0,
        policy: Policy | None = None,
        anchor_chain: str | None = None,
    ) -> None:
        self.folder = folder
        self.block_time = block_time
        home = folder / "home"
        home.mkdir(parents=True)
        for name, content in blank_home().items():
            (home / name).write_bytes(content)
        self.clock = FakeClock()
        self.artifact = wiring.load_contract("BatchPayment")
        self.prover: Prover = FormalProver()
        self.chains = {
            name: Chain(
                name=name,
                caip2=f"eip155:{IDS[name]}",
                native="ETH",
                block_time_s=block_time,
                tokens={"USDC": Token("USDC", TOKEN, 6)},
            )
            for name in chains
        }
        self.nodes = {name: self._node(name) for name in chains}
        self.settings = Settings(
            home=str(home),
            artifacts=str(folder / "artifacts"),
            journal_url=f"sqlite:///{home / 'journal.db'}",
            chains=self.chains,
            endpoints={},
            signer=SignerSettings(kind="private_key", secret=PAYER_KEY),
            policy=policy or Policy(),
            anchor_chain=anchor_chain,
        )
        self.listed: FixedList | None = FixedList(self.clock)
        self.payer = wiring.private_key_signer(PAYER_KEY).address
        self.source = folder / "payroll.csv"
        self.clock.listeners.append(self._mine)
        journal = self.process().journal
        for name, chain in self.chains.items():
            journal.lanes.adopt(chain.caip2, self.payer, first_nonce=0)
            self.fund(name)
        journal.close()

    @property
    def contract(self) -> str:
        return self.nodes[next(iter(self.nodes))].contract

    def fund(self, name: str, *, units: int = 10**15, allowance: int = 10**15) -> None:
        """Give the treasury exactly this; no block is needed for it."""
        node = self.nodes[name]
        for ledger in (node.ledger, *(block.after for block in node.blocks)):
            ledger.balances[self.payer] = units
            ledger.allowances[self.payer, node.contract] = allowance
            ledger.coins.setdefault(self.payer, 10**20)

    def pay_to(self, *rows: tuple[str, str, str], chain: str = "ethereum") -> None:
        """Write the payments file: reference, payee and amount of each row; all on one chain."""
        self.write([(reference, chain, payee, amount) for reference, payee, amount in rows])

    def write(self, rows: Sequence[tuple[str, str, str, str]]) -> None:
        lines = ["reference,chain,address,amount,currency"]
        lines += [f"{ref},{chain},{payee},{amount},USDC" for ref, chain, payee, amount in rows]
        self.source.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def process(self) -> FakeRuntime:
        return FakeRuntime(self)

    def agent(self, chain: str = "ethereum", **options: object) -> PaymentAgent:
        return PaymentAgent(chain=chain, source=str(self.source), payroll_id=PAYROLL, **options)

    def run(
        self,
        *agents: BaseAgent,
        run_id: str = "r1",
        task: Task = "pay",
        runtime: FakeRuntime | None = None,
        **options: object,
    ) -> WorkflowMetadata:
        """Run a workflow in a process of its own, to its end."""
        return asyncio.run(self.arun(*agents, run_id=run_id, task=task, runtime=runtime, **options))

    async def arun(
        self,
        *agents: BaseAgent,
        run_id: str = "r1",
        task: Task = "pay",
        runtime: FakeRuntime | None = None,
        **options: object,
    ) -> WorkflowMetadata:
        team = agents or (ComplianceAgent(), *(self.agent(name) for name in self.chains))
        with_options = {"settings": self.settings, **options}
        workflow = ConcurrentWorkflow(team, **with_options)  # type: ignore[arg-type]
        PROCESS.set(runtime or self.process())
        return await workflow.arun(task, run_id=run_id)

    async def pay(
        self,
        agent: BaseAgent | None = None,
        *,
        team: Sequence[BaseAgent] = (),
        run_id: str = "r1",
        runtime: FakeRuntime | None = None,
        max_failed: int = 0,
        **limits: Any,
    ) -> Mapping[str, Any]:
        """Load the file and run one agent, as a task does; return its output.

        Raises:
            CwfError: what makes the task red.
        """
        runtime = runtime or self.process()
        agent = agent or self.agent()
        try:
            loaded = load_payments(
                self.source.read_bytes(), payroll_id=PAYROLL, run=run_id, runtime=runtime
            )
            context = AgentContext(runtime, run_id, parse_strategy("optimal"), **limits)
            evidence = await run_agent(
                agent,
                loaded.reference(),
                team=team or [agent],
                context=context,
                max_failed=max_failed,
            )
            return evidence.output
        finally:
            runtime.close()

    def output(self, agent: str = "PaymentAgent@ethereum", run_id: str = "r1") -> Mapping[str, Any]:
        """Return the output that an agent left in the journal."""
        journal = self.process().journal
        try:
            stored = journal.runs.agents(run_id)[agent].output
        finally:
            journal.close()
        assert stored is not None
        output: Mapping[str, Any] = stored["output"]
        return output

    def signatures(self) -> int:
        """Return how many transactions the journal has ever recorded."""
        with closing(sqlite3.connect(self.folder / "home/journal.db")) as database:
            return int(database.execute("SELECT count(*) FROM attempts").fetchone()[0])

    def states(self) -> list[tuple[str, str | None]]:
        """Return state and reason of the payroll's items, sorted."""
        return sorted((row.state.value, row.reason) for row in self.rows())

    def rows(self) -> list[ItemRow]:
        """Return the journal's items of the payroll, by chain and index."""
        journal = self.process().journal
        try:
            scopes: list[Scope] = journal.payments.scopes(PAYROLL)
            return [row for scope in scopes for row in journal.payments.items(scope.id)]
        finally:
            journal.close()

    def _node(self, name: str) -> FakeChain:
        chain = self.chains[name]
        anchor = wiring.load_contract("WorkflowAnchor")
        return FakeChain(
            chain.caip2,
            contract=batch_payment_address(chain, self.artifact),
            contract_code=self.artifact.code,
            token=TOKEN,
            anchor=(anchor_address(anchor), anchor.code),
            now=START,
        )

    def _mine(self, now: float) -> None:
        for node in self.nodes.values():
            while node.is_mining and node.now + self.block_time <= now:
                node.now += self.block_time
                node.mine()
            if not node.is_mining:
                node.now = now


PROCESS: ContextVar[FakeRuntime] = ContextVar("PROCESS")


@asynccontextmanager
async def entered(_settings: Settings) -> AsyncIterator[FakeRuntime]:
    """Stand in for `wiring.runtime`: yield the process that `FakeWorld.arun` is about."""
    process = PROCESS.get()
    try:
        yield process
    finally:
        process.close()


@cache
def blank_home() -> dict[str, bytes]:
    """Return the files of a fresh home; migrating once is enough for all tests."""
    with TemporaryDirectory() as folder:
        settings = Settings(
            home=folder,
            artifacts=folder,
            journal_url=f"sqlite:///{folder}/journal.db",
            chains={},
            endpoints={},
        )
        wiring.migrate_journal(settings)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def payee(number: int) -> str:
    """Return an address of somebody; all lower case, so without a checksum."""
    return "0x" + f"{0xB0B0000 + number:040x}"

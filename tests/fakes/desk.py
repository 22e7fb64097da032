"""A payroll of one payer on one chain in a real journal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import event, text

from airflow_cwf.adapters.journal import SqlJournal
from airflow_cwf.core.intents import (
    PlanItem,
    Scope,
    asset_id,
    hashed_key,
    item_digest,
    scope_digest,
    scope_id,
)
from airflow_cwf.core.journal_rows import (
    ItemOutcome,
    ItemRow,
    Lease,
    NewTransaction,
    RecordedTransaction,
    TransactionItem,
)
from airflow_cwf.core.states import ItemState
from airflow_cwf.core.transactions import Call, FeeQuote, SignedTransaction, TransactionReceipt

SECRET = bytes(range(32))
CHAIN = "eip155:31337"
PAYER, CONTRACT, TOKEN = ("0x" + digit * 40 for digit in "123")
PAYEE = "0x" + "4" * 40
FEES = FeeQuote(max_fee_per_gas=10**10, max_priority_fee_per_gas=10**9, block=7)


def a_scope(*, payroll: str = "payroll", part: int = 0, keys: Sequence[str] = ()) -> Scope:
    number = scope_id(payroll_id=payroll, caip2=CHAIN, payer=PAYER, contract=CONTRACT, part=part)
    digest = scope_digest(SECRET, number, keys)
    return Scope(number, payroll, CHAIN, PAYER, CONTRACT, TOKEN, part, digest)


def items_of(scope: Scope, count: int, *, amount: int = 1_000_000) -> list[PlanItem]:
    names = [f"employee-{scope.part}-{number}" for number in range(count)]
    return [
        PlanItem(
            key=hashed_key(SECRET, f"{scope.payroll_id}/{name}"),
            revision=0,
            digest=digest_of(amount),
            scope=scope.id,
            index=index,
            reference=name,
            payee=PAYEE,
            amount=amount,
        )
        for index, name in enumerate(names)
    ]


def digest_of(amount: int) -> str:
    return item_digest(caip2=CHAIN, asset=asset_id(CHAIN, TOKEN), payee=PAYEE, amount=amount)


def with_amount(item: PlanItem, amount: int, *, revision: int = 0) -> PlanItem:
    return replace(item, amount=amount, digest=digest_of(amount), revision=revision)


def signed(name: str) -> SignedTransaction:
    return SignedTransaction("0x" + name.encode().hex().rjust(64, "0"), name.encode())


def receipt_of(transaction: RecordedTransaction, *, succeeded: bool = True) -> TransactionReceipt:
    return TransactionReceipt(
        hash=transaction.attempts[-1].signed.hash,
        sender=transaction.sender,
        block_number=9,
        block_hash="0x" + "b" * 64,
        succeeded=succeeded,
        gas_used=21_000,
        effective_gas_price=10**9,
        l1_fee=5,
        logs=(),
    )


@dataclass
class Desk:
    """One worker at a journal."""

    path: Path
    journal: SqlJournal

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def another(self, *, timeout_s: float = 30.0) -> "Desk":
        return Desk(self.path, SqlJournal(f"{self.url}?timeout={timeout_s}", secret=SECRET))

    def freeze(self, count: int, *, amount: int = 1_000_000, part: int = 0) -> list[PlanItem]:
        items = items_of(a_scope(part=part), count, amount=amount)
        scope = a_scope(part=part, keys=[item.key for item in items])
        self.journal.payments.freeze([scope], items)
        return items

    def reserve(
        self, items: Sequence[PlanItem], *, cap: int | None = None, budget: str = "run/r/USDC"
    ) -> list[PlanItem]:
        return self.journal.payments.reserve(items, budget=budget, cap=cap, decimals=6)

    def used(self, budget: str = "run/r/USDC") -> int:
        query = text("SELECT used FROM budgets WHERE budget = :budget")
        with self.journal._database.reading() as connection:
            return int(connection.execute(query, {"budget": budget}).scalar_one())

    def lease(self, owner: str = "worker", *, ttl_s: float = 60.0) -> Lease:
        if self.journal.lanes.lane(CHAIN, PAYER) is None:
            self.journal.lanes.adopt(CHAIN, PAYER, first_nonce=0)
        return self.journal.lanes.acquire(CHAIN, PAYER, owner=owner, ttl_s=ttl_s)

    def record(
        self, lease: Lease, items: Sequence[PlanItem], *, scope: str | None = None
    ) -> RecordedTransaction:
        nonce = self.journal.lanes.next_nonce(CHAIN, lease.sender)
        transaction = NewTransaction(
            nonce=nonce,
            call=Call(CONTRACT, b"pay", 100_000),
            kind="batch",
            run="r",
            agent="a",
            scope=scope or (items[0].scope if items else None),
            items=tuple(TransactionItem(i.key, i.revision, i.index, i.digest) for i in items),
        )
        name = f"{lease.epoch}-{nonce}-{items[0].key[:6] if items else ''}"
        return self.journal.lanes.record(lease, transaction, signed(name), FEES)

    def finalise(
        self,
        lease: Lease,
        transaction: RecordedTransaction,
        state: ItemState,
        *,
        counts: bool = False,
    ) -> None:
        outcomes = [
            ItemOutcome(item.key, item.revision, state, counts_as_resend=counts)
            for item in transaction.items
        ]
        self.journal.lanes.finalise(lease, transaction.id, receipt_of(transaction), outcomes)

    def rows(self, *, part: int = 0) -> list[ItemRow]:
        return self.journal.payments.items(a_scope(part=part).id)

    def states(self, *, part: int = 0) -> set[ItemState]:
        return {row.state for row in self.rows(part=part)}

    def dump(self) -> list[str]:
        """Return every row of every table, to see that a refusal changed nothing."""
        with self.journal._database.reading() as connection:
            names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
            return [
                f"{name}{tuple(row)}"
                for (name,) in names.all()
                for row in connection.execute(text(f'SELECT * FROM "{name}"'))
            ]


def on_every_connection(desk: Desk, statement: str) -> None:
    """Run `statement` on each connection that is opened from now on."""
    desk.journal.close()
    event.listen(
        desk.journal._database.engine,
        "connect",
        lambda connection, _record: connection.execute(statement).close(),
    )

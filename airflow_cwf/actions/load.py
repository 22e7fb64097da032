"""Load payments: read the rows, freeze their manifests, write the plan.

What a later step pays is the plan by its digest; the file is not read again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow_cwf.core.chains import Chain
from airflow_cwf.core.contracts import batch_payment_address
from airflow_cwf.core.errors import InputError
from airflow_cwf.core.intents import (
    Plan,
    PlanItem,
    Scope,
    asset_id,
    encode_plan,
    hashed_key,
    item_digest,
    plan_digest,
    scope_digest,
    scope_id,
    sums_by_scope,
)
from airflow_cwf.core.journal import plan_artifact
from airflow_cwf.core.journal_rows import ItemRow
from airflow_cwf.core.money import format_amount
from airflow_cwf.core.payment_files import parse_csv
from airflow_cwf.core.payments import (
    Payment,
    RowProblem,
    parse_payroll_id,
    payment_key,
    validate_rows,
)
from airflow_cwf.core.runtime import Runtime
from airflow_cwf.core.states import NEVER_SIGNED, ItemState

CONFLICT = "conflict"
MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plan, and what was left out of it."""

    plan: Plan
    problems: tuple[RowProblem, ...]
    rows: int
    report: str
    """Where the problems are written, for people."""
    summary: str
    """Sums without personal data."""

    def reference(self) -> dict[str, object]:
        """Return what goes between tasks: small, and without personal data."""
        return {
            "payroll_id": self.plan.payroll_id,
            "plan_digest": self.plan.digest,
            "scopes": [scope.id for scope in self.plan.scopes],
            "counts": {
                "rows": self.rows,
                "items": len(self.plan.items),
                "rejected": len(self.problems),
            },
            "report": self.report,
            "summary": self.summary,
        }


@dataclass(frozen=True, slots=True)
class _Sorting:
    """How the file's payments stand to what the journal holds."""

    fresh: list[PlanItem]
    scopes: list[Scope]
    unchanged: list[PlanItem]
    corrected: list[PlanItem]
    revised: list[PlanItem]
    problems: list[RowProblem]


def load_payments(data: bytes, *, payroll_id: str, run: str, runtime: Runtime) -> Loaded:
    """Validate a payments file, freeze new keys, and store the plan.

    Loading the same file again gives the same plan. Keys that a manifest holds keep their
    index; new ones form the next part of their scope. A changed payment is a correction if
    nothing was ever signed for it, a new revision if it failed at finality, and else a
    reported conflict.

    Args:
        data: the file's bytes.
        payroll_id: names the payroll for ever: the same person is paid once under it.
        run: the run that loads.
        runtime: ports.

    Raises:
        InputError: the file cannot be read, or holds no payable row.
        JournalError: the journal is not usable, or another load was faster.
    """
    payroll_id = parse_payroll_id(payroll_id)
    book = validate_rows(parse_csv(data), chains=runtime.chains)
    sorting = _sort(book.payments, payroll_id=payroll_id, runtime=runtime)
    problems = tuple(sorted((*book.problems, *sorting.problems), key=lambda p: p.line))
    items = [*sorting.unchanged, *sorting.corrected, *sorting.revised, *sorting.fresh]
    if not items:
        why = f"; the first: line {problems[0].line}: {problems[0].reason}" if problems else ""
        message = f"The file holds no payable row ({len(problems)} reported{why}). Nothing to pay."
        raise InputError(message)

    journal = runtime.journal
    journal.payments.freeze(sorting.scopes, sorting.fresh)
    journal.payments.correct(sorting.corrected, sorting.revised)
    plan = _plan(payroll_id, items, journal.payments.scopes(payroll_id))
    runtime.artifacts.write(plan_artifact(plan), encode_plan(plan))
    report = runtime.artifacts.write(f"plans/{plan.digest}.rejected.json", _report(problems))
    journal.runs.start_run(
        run,
        task={"action": "pay", "params": {"payroll_id": payroll_id}},
        plan_digest=plan.digest,
        now=runtime.clock.now(),
    )
    summary = summarise(plan, chains=runtime.chains, rejected=len(problems))
    return Loaded(plan, problems, book.rows, report, summary)


def summarise(plan: Plan, *, chains: Mapping[str, Chain], rejected: int) -> str:
    """Return one line of counts and sums, without personal data."""
    sums = sums_by_scope(plan.items)
    by_chain: dict[tuple[str, str], tuple[int, int, int]] = {}
    for scope in plan.scopes:
        name, symbol, decimals = _names(scope, chains)
        count, amount, _ = by_chain.get((name, symbol), (0, 0, decimals))
        here = len(plan.items_of(scope.id))
        by_chain[name, symbol] = (count + here, amount + sums.get(scope.id, 0), decimals)
    parts = [
        f"{count} on {name} ({format_amount(amount, decimals=decimals)} {symbol})"
        for (name, symbol), (count, amount, decimals) in sorted(by_chain.items())
        if count
    ]
    left_out = f"; {rejected} rows rejected" if rejected else ""
    return f"{len(plan.items)} payments of {plan.payroll_id}: {', '.join(parts)}{left_out}"


def _names(scope: Scope, chains: Mapping[str, Chain]) -> tuple[str, str, int]:
    chain = next(chain for chain in chains.values() if chain.caip2 == scope.chain)
    token = next(token for token in chain.tokens.values() if token.address == scope.token)
    return chain.name, token.symbol, token.decimals


def _sort(payments: Sequence[Payment], *, payroll_id: str, runtime: Runtime) -> _Sorting:
    journal = runtime.journal
    payer = runtime.signer.address
    keys = {
        payment: hashed_key(journal.secret, payment_key(payroll_id, payment.reference))
        for payment in payments
    }
    places = journal.payments.places(list(keys.values()))
    known = {scope.id: scope for scope in journal.payments.scopes(payroll_id)}
    if any(scope not in known for scope, _ in places.values()):
        message = (
            f"Payments of {payroll_id} were loaded before under another spelling of that payroll "
            "id. Nothing was loaded now; use the spelling of the first time."
        )
        raise InputError(message)
    rows = {row.key: row for scope in known for row in journal.payments.items(scope)}
    sorting = _Sorting([], [], [], [], [], [])
    fresh: list[tuple[Payment, str]] = []
    for payment, key in keys.items():
        if key not in places:
            fresh.append((payment, key))
        else:
            _compare(payment, rows[key], known[places[key][0]], runtime, payer, sorting)
    _place(fresh, payroll_id=payroll_id, payer=payer, known=known, runtime=runtime, out=sorting)
    return sorting


def _compare(
    payment: Payment, row: ItemRow, scope: Scope, runtime: Runtime, payer: str, out: _Sorting
) -> None:
    chain = runtime.chains[payment.chain]
    token = chain.token(payment.token).address
    here = (chain.caip2, payer, batch_payment_address(chain, runtime.batch_payment), token)
    if here != (scope.chain, scope.payer, scope.contract, scope.token):
        reason = (
            "this payment belongs to another chain, payer, token or contract under the same "
            "payroll id; it cannot move before its place there is closed"
        )
        out.problems.append(RowProblem(payment.line, payment.reference, MOVED, reason))
        return
    digest = _digest(payment, scope)
    revision = row.revision
    if digest == row.digest:
        target = out.unchanged
    elif row.state in NEVER_SIGNED and not row.signed:
        target = out.corrected
    elif row.state in {ItemState.FAILED, ItemState.RESERVED, ItemState.REFUSED}:
        revision += 1
        target = out.revised
    else:
        reason = (
            "another payment under this reference is settled or in flight; it stays as it is "
            f"({row.state})"
        )
        out.problems.append(RowProblem(payment.line, payment.reference, CONFLICT, reason))
        return
    target.append(_item(payment, row.key, revision, digest, scope.id, row.index))


def _place(
    fresh: Sequence[tuple[Payment, str]],
    *,
    payroll_id: str,
    payer: str,
    known: Mapping[str, Scope],
    runtime: Runtime,
    out: _Sorting,
) -> None:
    """Give new keys their place: the next part of their scope, in order of keys."""
    groups: dict[tuple[str, str, str], list[tuple[Payment, str]]] = {}
    for payment, key in fresh:
        chain = runtime.chains[payment.chain]
        group = (
            chain.name,
            batch_payment_address(chain, runtime.batch_payment),
            chain.token(payment.token).address,
        )
        groups.setdefault(group, []).append((payment, key))
    for (name, contract, token), members in sorted(groups.items()):
        caip2 = runtime.chains[name].caip2
        taken = [
            scope.part
            for scope in [*known.values(), *out.scopes]
            if (scope.chain, scope.payer, scope.contract) == (caip2, payer, contract)
        ]
        part = max(taken, default=-1) + 1
        number = scope_id(
            payroll_id=payroll_id, caip2=caip2, payer=payer, contract=contract, part=part
        )
        members.sort(key=lambda member: payment_key(payroll_id, member[0].reference))
        digest = scope_digest(runtime.journal.secret, number, [key for _, key in members])
        scope = Scope(number, payroll_id, caip2, payer, contract, token, part, digest)
        out.scopes.append(scope)
        out.fresh.extend(
            _item(payment, key, 0, _digest(payment, scope), scope.id, index)
            for index, (payment, key) in enumerate(members)
        )


def _digest(payment: Payment, scope: Scope) -> str:
    return item_digest(
        caip2=scope.chain,
        asset=asset_id(scope.chain, scope.token),
        payee=payment.payee,
        amount=payment.amount,
    )


def _item(
    payment: Payment, key: str, revision: int, digest: str, scope: str, index: int
) -> PlanItem:
    return PlanItem(
        key=key,
        revision=revision,
        digest=digest,
        scope=scope,
        index=index,
        reference=payment.reference,
        payee=payment.payee,
        amount=payment.amount,
    )


def _plan(payroll_id: str, items: Sequence[PlanItem], scopes: Sequence[Scope]) -> Plan:
    used = {item.scope for item in items}
    order = sorted(items, key=lambda item: (item.scope, item.index))
    return Plan(
        payroll_id=payroll_id,
        digest=plan_digest(payroll_id, order),
        scopes=tuple(scope for scope in scopes if scope.id in used),
        items=tuple(order),
    )


def _report(problems: Sequence[RowProblem]) -> bytes:
    rows = [
        {"line": p.line, "reference": p.reference, "code": p.code, "reason": p.reason}
        for p in problems
    ]
    return json.dumps(rows, indent=1, ensure_ascii=False).encode()

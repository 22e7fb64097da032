"""Payments as the engine knows them: keys, items, scopes, manifests, plans (ADR 0001).

A *key* is the business identity of one payment and is known to the journal only by its HMAC.
An *item* is (key, revision, digest): exactly what moves. A *scope* is one payroll on one chain
from one payer through one contract; its *manifest* is the list of its keys, in order, frozen
when they are loaded. A *plan* is what is screened, approved and paid.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from airflow_cwf.core.errors import InputError, VerificationError
from airflow_cwf.core.evidence.canonical import canonical_bytes
from airflow_cwf.core.hashes import hmac_sha256, sha3_256

PLAN_FORMAT: Final = "cwf-plan/1"
HEX_32: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Scope:
    """One payroll on one chain from one payer through one contract, and its frozen manifest."""

    id: str
    payroll_id: str
    chain: str
    """CAIP-2."""
    payer: str
    contract: str
    token: str
    part: int
    digest: str
    """Binds the manifest on chain; hex of 32 bytes."""


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One payment of a plan, with the personal data that only the plan file holds."""

    key: str
    """HMAC of the business key, hex."""
    revision: int
    digest: str
    scope: str
    index: int
    reference: str
    payee: str
    amount: int
    """Smallest unit of the scope's token."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is screened, approved and paid: items over all scopes of a payroll."""

    payroll_id: str
    digest: str
    scopes: tuple[Scope, ...]
    items: tuple[PlanItem, ...]

    def scopes_on(self, caip2: str) -> tuple[Scope, ...]:
        """Return the scopes of one chain, by part."""
        return tuple(scope for scope in self.scopes if scope.chain == caip2)

    def items_of(self, scope_id: str) -> tuple[PlanItem, ...]:
        """Return one scope's items, by index."""
        return tuple(item for item in self.items if item.scope == scope_id)


def asset_id(caip2: str, token: str) -> str:
    """Return the CAIP-19 id of an ERC-20 token."""
    return f"{caip2}/erc20:{token}"


def hashed_key(secret: bytes, key: str) -> str:
    """Return the journal's name of a business key: HMAC-SHA-256, hex.

    The secret lies outside the journal, so that erasing names from elsewhere is enough to
    make the journal anonymous, while never-twice outlives the erasure.
    """
    return hmac_sha256(secret, key.encode()).hex()


def item_digest(*, caip2: str, asset: str, payee: str, amount: int) -> str:
    """Return the digest of exactly what moves, hex; nothing else enters it."""
    return sha3_256(canonical_bytes([caip2, asset, payee, str(amount)])).hex()


def scope_id(*, payroll_id: str, caip2: str, payer: str, contract: str, part: int) -> str:
    """Return the id of a scope, hex of 32 bytes."""
    return sha3_256(
        canonical_bytes(["cwf-scope/1", payroll_id, caip2, payer, contract, part])
    ).hex()


def scope_digest(secret: bytes, scope: str, keys: Iterable[str]) -> str:
    """Return the digest of a manifest, in order of its indexes, hex of 32 bytes.

    Salted with HMAC(secret, scope): whoever has the secret and the source file can compute it
    again after a loss; nobody else learns anything from it. It covers keys only, so a corrected
    address still fits under it.
    """
    salt = hmac_sha256(secret, bytes.fromhex(scope))
    body = b"".join(bytes.fromhex(key) for key in keys)
    return sha3_256(b"cwf-manifest/1\x00" + salt + body).hex()


def plan_digest(payroll_id: str, items: Iterable[PlanItem]) -> str:
    """Return the digest of a plan: its (key, revision, digest) triples in order of keys."""
    rows = sorted((item.key, item.revision, item.digest) for item in items)
    body = b"".join(
        bytes.fromhex(key) + revision.to_bytes(4, "big") + bytes.fromhex(digest)
        for key, revision, digest in rows
    )
    return sha3_256(b"cwf-plan/1\x00" + sha3_256(payroll_id.encode()) + body).hex()


def encode_plan(plan: Plan) -> bytes:
    """Return the plan as the bytes of its (private) file."""
    scopes = [
        [s.id, s.payroll_id, s.chain, s.payer, s.contract, s.token, s.part, s.digest]
        for s in plan.scopes
    ]
    place = {scope.id: number for number, scope in enumerate(plan.scopes)}
    items = [
        [i.key, i.revision, i.digest, place[i.scope], i.index, i.reference, i.payee, str(i.amount)]
        for i in plan.items
    ]
    document = {
        "format": PLAN_FORMAT,
        "payroll_id": plan.payroll_id,
        "digest": plan.digest,
        "scopes": scopes,
        "items": items,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def decode_plan(data: bytes, *, expected_digest: str) -> Plan:
    """Parse a plan file and check that it is the plan asked for.

    Every scope's id is recomputed from what it stands for, every item's digest from what would
    move, and the plan's digest from the items, so a changed file never pays anything but what
    was approved. What no digest covers (an item's place, the digest of a manifest) only the
    journal knows: it refuses to reserve or record an item at another place.

    Raises:
        InputError: the bytes are not a plan, or are another one.
    """
    try:
        plan = _plan_of(json.loads(data))
        _check_scopes(plan)
        _check_items(plan)
        digest = plan_digest(plan.payroll_id, plan.items)
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        RecursionError,
        VerificationError,
    ) as error:
        # The class only: some of these errors repeat what they read, and that holds names.
        message = f"The plan file is damaged ({type(error).__name__}); load the payments again."
        raise InputError(message) from None
    if not digest == plan.digest == expected_digest:
        message = "The plan file is not the plan asked for; load and approve the payments again."
        raise InputError(message)
    return plan


def _check_scopes(plan: Plan) -> None:
    if len({scope.id for scope in plan.scopes}) != len(plan.scopes):
        message = "The plan file names a scope twice; load the payments again."
        raise InputError(message)
    for scope in plan.scopes:
        number = scope_id(
            payroll_id=plan.payroll_id,
            caip2=scope.chain,
            payer=scope.payer,
            contract=scope.contract,
            part=scope.part,
        )
        if (scope.payroll_id, scope.id) != (plan.payroll_id, number):
            message = f"The plan file was changed at scope {scope.part}; load the payments again."
            raise InputError(message)


def _check_items(plan: Plan) -> None:
    if len({item.key for item in plan.items}) != len(plan.items):
        message = "The plan file names a payment twice; load the payments again."
        raise InputError(message)
    scopes = {scope.id: scope for scope in plan.scopes}
    for item in plan.items:
        scope = scopes[item.scope]
        digest = item_digest(
            caip2=scope.chain,
            asset=asset_id(scope.chain, scope.token),
            payee=item.payee,
            amount=item.amount,
        )
        if digest != item.digest:
            message = f"The plan file was changed at item {item.index}; load the payments again."
            raise InputError(message)


def _plan_of(document: dict[str, Any]) -> Plan:
    if document["format"] != PLAN_FORMAT:
        message = "another format"
        raise ValueError(message)
    scopes = tuple(_scope_of(row) for row in document["scopes"])
    items = tuple(_item_of(row, scopes) for row in document["items"])
    return Plan(_text(document["payroll_id"]), _text(document["digest"]), scopes, items)


def _scope_of(row: list[Any]) -> Scope:
    number, payroll_id, chain, payer, contract, token, part, digest = row
    return Scope(
        id=_hash(number),
        payroll_id=_text(payroll_id),
        chain=_text(chain),
        payer=_text(payer),
        contract=_text(contract),
        token=_text(token),
        part=_count(part),
        digest=_hash(digest),
    )


def _item_of(row: list[Any], scopes: Sequence[Scope]) -> PlanItem:
    key, revision, digest, place, index, reference, payee, amount = row
    return PlanItem(
        key=_hash(key),
        revision=_count(revision),
        digest=_hash(digest),
        scope=scopes[_count(place)].id,
        index=_count(index),
        reference=_text(reference),
        payee=_text(payee),
        amount=_amount(amount),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        message = "text belongs here"
        raise TypeError(message)
    return value


def _hash(value: object) -> str:
    text = _text(value)
    if HEX_32.fullmatch(text) is None:  # a key of another length could hide the next item
        message = "32 bytes of hex belong here"
        raise ValueError(message)
    return text


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        message = "a count belongs here"
        raise TypeError(message)
    return value


def _amount(value: object) -> int:
    text = _text(value)
    amount = int(text)
    if amount <= 0 or str(amount) != text:
        message = "an amount belongs here"
        raise ValueError(message)
    return amount


def sums_by_scope(items: Sequence[PlanItem]) -> dict[str, int]:
    """Return the amount per scope id, in the token's smallest unit."""
    sums: dict[str, int] = {}
    for item in items:
        sums[item.scope] = sums.get(item.scope, 0) + item.amount
    return sums

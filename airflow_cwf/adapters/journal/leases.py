"""Lanes and their leases in SQL: who may sign, by the database's clock and an epoch."""

from sqlalchemy import Connection, and_, insert, or_, select, update

from airflow_cwf.adapters.journal import tables as t
from airflow_cwf.adapters.journal.database import Database
from airflow_cwf.core.errors import (
    LaneBusyError,
    LaneStoppedError,
    StaleLeaseError,
    WrongChainError,
)
from airflow_cwf.core.journal_rows import Lane, Lease
from airflow_cwf.core.states import LaneState


class SqlLeases:
    """The part of `core.journal.LaneBook` that is about lanes, not transactions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pin_genesis(self, chain: str, genesis: str) -> None:
        """Remember a chain's genesis hash at first use; another one later is an error."""
        query = select(t.chains.c.genesis).where(t.chains.c.chain == chain)
        with self._database.writing() as connection:
            known = connection.execute(query).scalar_one_or_none()
            if known is None:
                connection.execute(insert(t.chains).values(chain=chain, genesis=genesis))
                known = genesis
        if known != genesis:
            message = (
                f"The node serves a chain whose genesis is {genesis[:10]}.., but this journal "
                f"knows {known[:10]}.. under that chain id. Nothing was signed. Point the "
                "connection at the right network, or give the other network a journal of its own."
            )
            raise WrongChainError(message, chain=chain)

    def lane(self, chain: str, sender: str) -> Lane | None:
        """Return a lane, or None if the journal has never heard of it."""
        query = select(t.lanes).where(_is(chain, sender))
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return Lane(row.chain, row.sender, LaneState(row.state), row.reason, row.first_nonce)

    def adopt(self, chain: str, sender: str, *, first_nonce: int) -> None:
        """Open a lane whose account has never signed on the chain."""
        message = f"The journal has {sender} on {chain} already; adopting is for new accounts."
        with self._database.writing(conflict=message) as connection:
            connection.execute(
                insert(t.lanes).values(
                    chain=chain,
                    sender=sender,
                    state=LaneState.OPEN,
                    first_nonce=first_nonce,
                    epoch=0,
                    lease_until=0.0,
                )
            )

    def stop(self, chain: str, sender: str, reason: str) -> None:
        """Stop a lane until a person has looked."""
        with self._database.writing() as connection:
            connection.execute(
                update(t.lanes)
                .where(_is(chain, sender))
                .values(state=LaneState.STOPPED, reason=reason)
            )

    def acquire(self, chain: str, sender: str, *, owner: str, ttl_s: float) -> Lease:
        """Take the lane's lease for `ttl_s` seconds of database time."""
        with self._database.writing() as connection:
            now = self._database.now(connection)
            taken = connection.execute(
                update(t.lanes)
                .where(
                    _is(chain, sender),
                    t.lanes.c.state == LaneState.OPEN,
                    or_(t.lanes.c.lease_until <= now, t.lanes.c.owner == owner),
                )
                .values(owner=owner, epoch=t.lanes.c.epoch + 1, lease_until=now + ttl_s)
            )
            row = connection.execute(select(t.lanes).where(_is(chain, sender))).one_or_none()
        if taken.rowcount == 1 and row is not None:
            return Lease(chain, sender, row.epoch, owner)
        if row is None or row.state != LaneState.OPEN:
            why = "the journal has never seen it" if row is None else row.reason or row.state
            message = f"The lane of {sender} is stopped: {why}."
            raise LaneStoppedError(message, chain=chain)
        message = (
            f"Another worker is signing for {sender} on {chain}; its lease ends in "
            f"{max(0.0, row.lease_until - now):.0f} s at the latest. Trying again is safe."
        )
        raise LaneBusyError(message)

    def renew(self, lease: Lease, *, ttl_s: float) -> None:
        """Prolong a lease, if it is still ours."""
        with self._database.writing() as connection:
            now = self._database.now(connection)
            changed = connection.execute(
                update(t.lanes).where(_held(lease)).values(lease_until=now + ttl_s)
            )
            if changed.rowcount != 1:
                raise_stale(lease)

    def release(self, lease: Lease) -> None:
        """Give the lease up, if it is still ours."""
        with self._database.writing() as connection:
            connection.execute(
                update(t.lanes).where(_held(lease)).values(owner=None, lease_until=0.0)
            )


def fence(connection: Connection, lease: Lease) -> None:
    """Refuse to write for a lane that has passed to another worker (inside its transaction).

    Raises:
        StaleLeaseError: the epoch has moved on.
    """
    held = connection.execute(
        update(t.lanes).where(_held(lease)).values(epoch=t.lanes.c.epoch)
    )  # an update, so that PostgreSQL locks the row until the commit
    if held.rowcount != 1:
        raise_stale(lease)


def check_open(connection: Connection, lease: Lease) -> None:
    """Refuse to sign on a lane that was stopped while this worker held it.

    Raises:
        LaneStoppedError: says why.
    """
    query = select(t.lanes.c.state, t.lanes.c.reason).where(_is(lease.chain, lease.sender))
    row = connection.execute(query).one()
    if row.state != LaneState.OPEN:
        message = (
            f"The lane of {lease.sender} was stopped ({row.reason or row.state}); nothing was sent."
        )
        raise LaneStoppedError(message, chain=lease.chain)


def raise_stale(lease: Lease) -> None:
    """Raise `StaleLeaseError` for `lease`."""
    message = (
        f"This worker lost the lane of {lease.sender} on {lease.chain} to another one; it "
        "recorded nothing further. The other worker goes on."
    )
    raise StaleLeaseError(message)


def _is(chain: str, sender: str):  # type: ignore[no-untyped-def] # noqa: ANN202 - an SQL expression
    return and_(t.lanes.c.chain == chain, t.lanes.c.sender == sender)


def _held(lease: Lease):  # type: ignore[no-untyped-def] # noqa: ANN202 - an SQL expression
    return and_(
        _is(lease.chain, lease.sender),
        t.lanes.c.epoch == lease.epoch,
        t.lanes.c.owner == lease.owner,
    )

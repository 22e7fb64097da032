"""The journal as a whole: three books over one database, and the secret beside it."""

import time

from sqlalchemy import insert, select

from airflow_cwf.adapters.journal import tables as t
from airflow_cwf.adapters.journal.anchors import SqlAnchorBook
from airflow_cwf.adapters.journal.database import Database
from airflow_cwf.adapters.journal.payments import SqlPaymentBook
from airflow_cwf.adapters.journal.runs import SqlRunBook
from airflow_cwf.adapters.journal.transactions import SqlLaneBook
from airflow_cwf.core.errors import JournalError
from airflow_cwf.core.hashes import sha3_256


class SqlJournal:
    """`core.journal.Journal` over SQL.

    Args:
        url: an SQLAlchemy URL.
        secret: 32 bytes from outside the database; another secret than the one the journal
            was made with is refused, since it would name every key anew.
    """

    def __init__(self, url: str, *, secret: bytes) -> None:
        self._database = Database(url)
        self.secret = secret
        self.payments = SqlPaymentBook(self._database)
        self.lanes = SqlLaneBook(self._database)
        self.runs = SqlRunBook(self._database)
        self.anchors = SqlAnchorBook(self._database)

    def open(self) -> None:
        """Check schema and secret.

        Raises:
            JournalError: another schema version, or another secret.
        """
        self._database.check_schema()
        query = select(t.journal.c.secret_fingerprint)
        with self._database.reading() as connection:
            known = connection.execute(query).scalar_one_or_none()
        self._check_secret(known)

    def migrate(self) -> None:
        """Bring the schema to this version; a new journal takes the fingerprint of the secret.

        Both stand in one commit, so a crash leaves neither.

        Raises:
            JournalError: a newer schema, another secret, or a database that cannot be written.
        """
        self._database.make_file()
        with self._database.writing() as connection:
            self._database.upgrade(connection)
            known = connection.execute(select(t.journal.c.secret_fingerprint)).scalar_one_or_none()
            if known is None:
                connection.execute(
                    insert(t.journal).values(
                        id=1, secret_fingerprint=self._fingerprint(), created_at=time.time()
                    )
                )
            else:
                self._check_secret(known)
        self.open()

    def close(self) -> None:
        """Close the database's connections."""
        self._database.engine.dispose()

    def _check_secret(self, known: str | None) -> None:
        if known != self._fingerprint():
            message = (
                "The secret in the cwf home is not the one this journal was made with, so no key "
                "could be recognised. Nothing was signed. Restore the secret file that belongs "
                "to this journal."
            )
            raise JournalError(message)

    def _fingerprint(self) -> str:
        return sha3_256(b"cwf-secret/1\x00" + self.secret).hex()

"""The journal's database: one engine, two ways in (`reading`, `writing`), one schema version."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from airflow_cwf.core.errors import JournalError

BUSY_TIMEOUT_S = 30


class Database:
    """A SQLite (default) or PostgreSQL database.

    SQLite runs in WAL mode with synchronous=FULL, and every writing transaction begins
    IMMEDIATE: with the driver's default, two writers that read before they write overran a cap
    of 1000 by 30 (measured). A commit that has returned survives a power cut.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection for reads."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection inside a write transaction, committed at the end.

        Raises:
            JournalError: the database stayed locked or became unreachable.
        """
        try:
            connecting = self.engine.connect().execution_options(cwf_writes=True)
            with connecting as connection, connection.begin():
                yield connection
        except OperationalError as error:
            # The driver's text names no data: only what it could not do.
            message = (
                f"The journal could not be written ({error.orig}). Nothing is lost: what was "
                "not recorded was not sent. Mend the database and run the task again."
            )
            raise JournalError(message) from error

    def now(self, connection: Connection) -> float:
        """Return the database's clock in Unix seconds: the only one that leases use."""
        if connection.dialect.name == "sqlite":
            query = "SELECT (julianday('now') - 2440587.5) * 86400.0"
        else:
            query = "SELECT extract(epoch FROM clock_timestamp())"
        return float(connection.execute(text(query)).scalar_one())

    def check_schema(self) -> None:
        """Refuse any schema but this version's.

        Raises:
            JournalError: says which version stands there and what to run.
        """
        wanted = ScriptDirectory.from_config(_alembic(self.engine)).get_current_head()
        try:
            with self.reading() as connection:
                found = MigrationContext.configure(connection).get_current_revision()
        except SQLAlchemyError as error:
            message = f"The journal's database cannot be opened ({type(error).__name__})."
            raise JournalError(message) from error
        if found != wanted:
            message = (
                f"The journal's schema is {found or 'empty'}, this version needs {wanted}. "
                "Run `cwf journal migrate`; workers never migrate by themselves."
            )
            raise JournalError(message)

    def migrate(self) -> None:
        """Bring the schema to this version."""
        with self.writing() as connection:
            config = _alembic(self.engine)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _alembic(engine: Engine) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["engine"] = engine
    return config


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, json_serializer=json.dumps, pool_pre_ping=True)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The journal's file is private from its first byte.
        os.close(os.open(parsed.database, os.O_CREAT | os.O_RDWR, 0o600))
    engine = create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:  # noqa: ANN401 - driver's type
        connection.isolation_level = None  # SQLAlchemy's `begin` event decides, not the driver
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("cwf_writes"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine

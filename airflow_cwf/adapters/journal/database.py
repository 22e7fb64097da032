"""The journal's database: one engine, two ways in (`reading`, `writing`), one schema version."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    SQLAlchemyError,
)

from airflow_cwf.core.errors import JournalError

BUSY_TIMEOUT_S: Final = 30
"""How long a write waits for another one; `?timeout=` in a SQLite URL overrides it."""
CONFLICT: Final = (
    "Another worker wrote the same thing at the same moment; nothing was changed. Run the task "
    "again."
)


class Database:
    """A SQLite (default) or PostgreSQL database.

    SQLite runs in WAL mode with synchronous=FULL, and every writing transaction begins
    IMMEDIATE: with the driver's default, two writers that read before they write overran a cap
    of 1000 by 30 (measured). A commit that has returned survives a power cut. Only `migrate`
    makes the file; a worker that is pointed at the wrong place finds nothing and leaves nothing.
    """

    def __init__(self, url: str) -> None:
        parsed = _parse(url)
        self._file = _file(parsed)
        self.engine = _engine(parsed, self._file)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection for reads; SQLite shows it one snapshot.

        Raises:
            JournalError: the database cannot be read.
        """
        try:
            with self.engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            message = (
                f"The journal could not be read ({_words(error)}). Nothing was signed or changed "
                f"by this. {_advice(error)}"
            )
            raise JournalError(message) from error

    @contextmanager
    def writing(self, *, conflict: str = CONFLICT) -> Iterator[Connection]:
        """Yield a connection inside a write transaction, committed at the end.

        Args:
            conflict: what to say when a uniqueness rule of the schema refuses the write.

        Raises:
            JournalError: the database stayed locked, is full, read-only, damaged or unreachable,
                or a rule of the schema refused the write. Nothing of the transaction remains.
        """
        try:
            connecting = self.engine.connect().execution_options(cwf_writes=True)
            with connecting as connection, connection.begin():
                yield connection
        except IntegrityError as error:
            raise JournalError(conflict) from error
        except SQLAlchemyError as error:
            message = (
                f"The journal could not be written ({_words(error)}). Nothing is lost: what was "
                f"not recorded was not sent. {_advice(error)}"
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
        if self._file is not None and not self._file.exists():
            message = (
                f"There is no journal at {self._file}. If this payer has never had one, run "
                "`cwf journal migrate`; else point the settings at the one that it has."
            )
            raise JournalError(message)
        with self.reading() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
        _refuse_newer(found)
        wanted = _scripts().get_current_head()
        if found != wanted:
            message = (
                f"The journal's schema is {found or 'empty'}, this version needs {wanted}. "
                "Run `cwf journal migrate`; workers never migrate by themselves."
            )
            raise JournalError(message)

    def make_file(self) -> None:
        """Make SQLite's file, if there is none: private from its first byte."""
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._file, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            message = f"The journal's file {self._file} cannot be made ({error.strerror})."
            raise JournalError(message) from error

    def upgrade(self, connection: Connection) -> None:
        """Bring the schema to this version, inside the caller's write transaction.

        Raises:
            JournalError: it is of a newer version.
        """
        _refuse_newer(MigrationContext.configure(connection).get_current_revision())
        config = _alembic()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _refuse_newer(found: str | None) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    if found is not None and found not in known:
        message = (
            f"The journal's schema is {found}, which this version does not know: a newer one made "
            "it. Nothing was changed. Upgrade airflow-cwf here; a journal is never downgraded."
        )
        raise JournalError(message)


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_alembic())


def _alembic() -> Config:
    config = Config()
    place = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", place.replace("%", "%%"))
    return config


def _words(error: SQLAlchemyError) -> str:
    """Return the driver's own text where it names no data: only what it could not do."""
    if isinstance(error, OperationalError) or type(error) is DatabaseError:
        return str(error.orig).strip().split("\n", maxsplit=1)[0]
    return type(error.orig if isinstance(error, DBAPIError) else error).__name__


def _advice(error: SQLAlchemyError) -> str:
    if type(error) is DatabaseError:  # SQLite: the file is damaged, or is none of its own
        return (
            "The file is damaged. Keep it, and do not put an older copy in its place: that would "
            "have forgotten what was sent since."
        )
    return "Mend the database and run the task again; that is safe."


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        message = "The journal's URL is not one that SQLAlchemy can read; its text is not repeated."
        raise JournalError(message) from error
    file = parsed.database or ""
    if _is_sqlite(parsed) and (file in {"", ":memory:"} or file.startswith("file:")):
        message = (
            "A journal in memory, or under a `file:` URI, cannot promise that nobody is paid "
            "twice. Name a file: sqlite:////path/to/journal.db."
        )
        raise JournalError(message)
    return parsed


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _file(url: URL) -> Path | None:
    return Path(url.database or "").absolute() if _is_sqlite(url) else None


def _engine(url: URL, file: Path | None) -> Engine:
    if file is None:
        return create_engine(url, pool_pre_ping=True, hide_parameters=True)
    timeout = url.query.get("timeout", str(BUSY_TIMEOUT_S))
    place = url.set(
        database=file.as_uri(), query={"mode": "rw", "uri": "true", "timeout": timeout}
    )  # `rw` opens a file, `rwc` would make one
    engine = create_engine(place, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:  # noqa: ANN401 - driver's type
        connection.isolation_level = None  # SQLAlchemy's `begin` event decides, not the driver
        cursor = connection.cursor()
        mode = cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()
        if mode != "wal":
            message = (
                f"The journal's file system gives SQLite only the mode {mode!r}, not WAL; several "
                "workers could not share it. Put the journal on a local disk."
            )
            raise JournalError(message)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("cwf_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine

"""Schema, secret and place of the journal, and what its failures say."""

import stat
from urllib.parse import quote

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from airflow_cwf.adapters.journal import SqlJournal
from airflow_cwf.adapters.journal.tables import metadata
from airflow_cwf.core.errors import JournalError
from tests.fakes.desk import SECRET, a_scope, items_of, on_every_connection


def test_the_migrations_make_exactly_the_tables(desk):
    with desk.journal._database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_partial_indexes_of_the_migrations_are_those_of_the_tables(desk):
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE '%WHERE%'"
    with desk.journal._database.reading() as connection:
        found = dict(connection.exec_driver_sql(query).all())
    wanted = {
        index.name: str(index.dialect_options["sqlite"]["where"])
        for table in metadata.tables.values()
        for index in table.indexes
        if index.dialect_options["sqlite"]["where"] is not None
    }
    assert len(wanted) == 2
    assert {name: sql.split("WHERE ")[1] for name, sql in found.items()} == wanted


def test_every_commit_waits_for_the_disk_and_writers_wait_for_each_other(desk):
    with desk.journal._database.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000


def test_files_and_folder_are_their_owner_s_alone(tmp_path):
    path = tmp_path / "home" / "journal.db"
    journal = SqlJournal(f"sqlite:///{path}", secret=SECRET)
    journal.migrate()
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "journal.db",
        "journal.db-shm",
        "journal.db-wal",
    ]
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    journal.close()


def test_migrating_again_changes_nothing(desk):
    desk.freeze(2)
    before = desk.dump()
    desk.journal.migrate()
    assert desk.dump() == before


def test_processes_that_migrate_at_once_make_one_journal(tmp_path, processes):
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    both = [processes(lambda: SqlJournal(url, secret=SECRET).migrate()) for _ in range(3)]
    for process in both:
        process.join()
        assert process.exitcode == 0
    SqlJournal(url, secret=SECRET).open()


def test_a_place_without_a_journal_is_named_and_left_as_it_is(tmp_path):
    path = tmp_path / "mistyped" / "journal.db"
    journal = SqlJournal(f"sqlite:///{path}", secret=SECRET)
    with pytest.raises(JournalError, match=f"no journal at {path}.*`cwf journal migrate`"):
        journal.open()
    with pytest.raises(JournalError, match="could not be read"):
        journal.payments.scopes("payroll")
    assert not path.parent.exists()


def test_an_empty_file_is_no_journal_and_workers_do_not_make_it_one(tmp_path):
    path = tmp_path / "journal.db"
    path.touch()
    journal = SqlJournal(f"sqlite:///{path}", secret=SECRET)
    with pytest.raises(JournalError, match=r"schema is empty.*`cwf journal migrate`"):
        journal.open()
    with journal._database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar() == 0


@pytest.mark.parametrize("call", ["open", "migrate"])
def test_a_newer_schema_is_refused_and_not_touched(desk, call):
    with desk.journal._database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    before = desk.dump()
    with pytest.raises(JournalError, match="9999, which this version does not know"):
        getattr(desk.journal, call)()
    assert desk.dump() == before


@pytest.mark.parametrize("call", ["open", "migrate"])
def test_another_secret_is_refused(desk, call):
    other = SqlJournal(desk.url, secret=b"\xff" * 32)
    with pytest.raises(JournalError, match="not the one this journal was made with") as caught:
        getattr(other, call)()
    assert "ff" * 8 not in str(caught.value)
    desk.journal.open()


def test_no_repr_shows_the_secret_and_no_row_holds_it(desk):
    assert SECRET.hex() not in repr(vars(desk.journal.payments)) + repr(desk.journal)
    assert not any(SECRET.hex() in row for row in desk.dump())


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?uri=true"])
def test_a_journal_that_would_forget_is_refused(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(JournalError, match="cannot promise"):
        SqlJournal(url, secret=SECRET)
    assert list(tmp_path.iterdir()) == []


def test_a_url_that_cannot_be_read_is_not_repeated():
    with pytest.raises(JournalError) as caught:
        SqlJournal("postgres//user:hunter2@host", secret=SECRET)
    assert "hunter2" not in str(caught.value)


def test_a_place_with_signs_that_urls_use_is_a_place(tmp_path):
    path = tmp_path / "a folder%20?#1" / "journal.db"
    journal = SqlJournal(f"sqlite:///{quote(str(path))}", secret=SECRET)
    journal.migrate()
    journal.close()
    assert path.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "home").write_text("a file")
    journal = SqlJournal(f"sqlite:///{tmp_path / 'home' / 'journal.db'}", secret=SECRET)
    with pytest.raises(JournalError, match=r"journal\.db cannot be made"):
        journal.migrate()


def refusal(error):
    """Return all that a log would show of an error, and check that it holds no parameters."""
    shown = []
    while error is not None:
        shown.append(str(error))
        error = error.__cause__
    text = " ".join(shown)
    assert not any(item.key in text or item.digest in text for item in items_of(a_scope(), 3))
    return shown[0]


def test_a_full_disk_changes_nothing_and_says_what_is_safe(desk):
    with desk.journal._database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    before = desk.dump()
    on_every_connection(desk, f"PRAGMA max_page_count={pages}")
    with pytest.raises(JournalError) as caught:
        desk.freeze(2_000)
    words = refusal(caught.value)
    assert "disk is full" in words
    assert "what was not recorded was not sent" in words
    assert desk.dump() == before


def test_a_read_only_database_can_be_read_and_refuses_to_be_written(desk):
    items = desk.freeze(3)
    on_every_connection(desk, "PRAGMA query_only=ON")
    assert len(desk.rows()) == 3
    with pytest.raises(JournalError) as caught:
        desk.reserve(items)
    assert "readonly database" in refusal(caught.value)


def test_a_database_that_stays_locked_says_so_and_goes_on_later(desk):
    items = desk.freeze(3)
    impatient = desk.another(timeout_s=0.05)
    with desk.journal._database.writing():
        assert len(impatient.rows()) == 3  # a writer does not stop readers
        with pytest.raises(JournalError) as caught:
            impatient.reserve(items)
    assert "database is locked" in refusal(caught.value)
    assert "that is safe" in refusal(caught.value)
    assert impatient.reserve(items) == []


@pytest.mark.parametrize("what", ["head", "body"])
def test_a_damaged_file_is_kept_and_no_older_copy_recommended(desk, what):
    items = desk.freeze(300)
    desk.journal.close()
    data = bytearray(desk.path.read_bytes())
    start = 0 if what == "head" else 4096
    data[start:] = b"\xa5" * (len(data) - start)
    desk.path.write_bytes(data)
    for call in (desk.rows, lambda: desk.reserve(items), desk.journal.open):
        with pytest.raises(JournalError) as caught:
            call()
        assert "do not put an older copy in its place" in refusal(caught.value)


def test_a_broken_rule_of_the_schema_shows_no_parameters(desk):
    desk.freeze(3)
    with pytest.raises(JournalError) as caught:
        desk.freeze(3)
    assert "nothing was changed" in refusal(caught.value)


def test_statements_are_logged_without_their_parameters(desk, caplog):
    with caplog.at_level("INFO", logger="sqlalchemy.engine"):
        items = desk.another().freeze(2, part=1)
    assert "INSERT" in caplog.text
    assert items[0].key not in caplog.text


def test_a_reader_sees_one_moment(desk):
    desk.freeze(1)
    with desk.journal._database.reading() as connection:
        count = "SELECT count(*) FROM items"
        assert connection.exec_driver_sql(count).scalar() == 1
        desk.another().freeze(1, part=1)
        assert connection.exec_driver_sql(count).scalar() == 1

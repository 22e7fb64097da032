"""The journal over SQLAlchemy Core: SQLite by default."""

from airflow_cwf.adapters.journal.sql import SqlJournal

__all__ = ["SqlJournal"]

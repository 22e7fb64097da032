"""Alembic's entry: runs the migrations on the connection that `Database.migrate` holds."""

from alembic import context

from airflow_cwf.adapters.journal.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the caller's transaction is the only one
)
context.run_migrations()

"""How commands end when something is wrong: one sentence on stderr, exit status 1."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from airflow_cwf.core.errors import CwfError


@contextmanager
def explained() -> Iterator[None]:
    """Turn an error that this package raises on purpose into its sentence and exit status 1."""
    try:
        yield
    except CwfError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error

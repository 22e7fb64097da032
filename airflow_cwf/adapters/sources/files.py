"""Payments files on disk or in an object store."""

from urllib.parse import urlsplit

from upath import UPath

from airflow_cwf.core.errors import InputError

__all__ = ["MAX_BYTES", "read_source"]

MAX_BYTES = 64 * 1024 * 1024


def read_source(path_or_uri: str) -> bytes:
    """Return the bytes of a payments file.

    Blocks; an object store needs its own fsspec package (`s3fs`, `gcsfs`, `adlfs`) and finds its
    credentials the way that package does. Web addresses are refused: what stands behind one can
    change between check and payment.

    Args:
        path_or_uri: `payroll.csv`, `file:///...`, `s3://bucket/key`, ...

    Raises:
        InputError: the file is missing, unreadable, larger than 64 MiB, or the scheme is not
            supported. The message names it without credentials, query and fragment.
    """
    place = _without_secrets(path_or_uri)
    if not path_or_uri.strip():
        raise InputError("No payments file was named. Nothing was loaded.")
    if urlsplit(path_or_uri).scheme.lower() in {"http", "https"}:
        message = (
            f"{place} is a web address; copy the payments file to disk or an object store first. "
            "Nothing was loaded."
        )
        raise InputError(message)
    try:
        with UPath(path_or_uri).open("rb") as file:
            data = bytes(file.read(MAX_BYTES + 1))
    except FileNotFoundError as error:
        message = f"There is no payments file at {place}. Nothing was loaded."
        raise InputError(message) from _public_cause(error, path_or_uri, place)
    except (OSError, ValueError, ImportError) as error:
        message = (
            f"The payments file at {place} cannot be read ({type(error).__name__}); check the "
            "path, the permissions and that its store is installed. Nothing was loaded."
        )
        raise InputError(message) from _public_cause(error, path_or_uri, place)
    if len(data) > MAX_BYTES:
        message = (
            f"The payments file at {place} is larger than {MAX_BYTES // 1024**2} MiB; split it. "
            "Nothing was loaded."
        )
        raise InputError(message)
    return data


def _without_secrets(path_or_uri: str) -> str:
    """Return the text without user, password, query and fragment; a plain path is left alone."""
    if "://" not in path_or_uri:
        return path_or_uri
    parts = urlsplit(path_or_uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _public_cause(error: Exception, path_or_uri: str, place: str) -> Exception | None:
    """Keep the cause unless its text may repeat a secret of the URI."""
    return error if place == path_or_uri else None

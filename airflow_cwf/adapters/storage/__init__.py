"""A private file store on a local folder or any file system that fsspec knows."""

import os
import secrets
from pathlib import Path
from typing import Final

from upath import UPath

from airflow_cwf.core.errors import ConfigError

OUTSIDE: Final = frozenset({"", ".", ".."})
"""Parts of a path that do not name something below."""


class UpathArtifacts:
    """`core.ports.Artifacts` under one folder or URI.

    Local files are written beside their place and renamed, so that a reader, or a machine that
    lost its power, sees the old bytes or the new ones. Files and folders are their owner's alone.
    Elsewhere a write is as atomic as the store makes it; object stores put an object as a whole.
    """

    def __init__(self, root: str) -> None:
        self._root = UPath(root)

    def write(self, path: str, data: bytes) -> str:
        """Store `data` under a relative path; return the place for people to read.

        Raises:
            ConfigError: the store cannot be written; the old bytes are still there.
        """
        target = self._at(path)
        try:
            if target.protocol in {"", "file", "local"}:
                _replace(Path(target.path), data)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
        except OSError as error:
            message = (
                f"The artifacts store could not write {path} ({_words(error)}); what was there "
                "before is unchanged. Make room or correct `[cwf] artifacts_path`, and run the "
                "task again."
            )
            raise ConfigError(message) from error
        return str(target)

    def read(self, path: str) -> bytes:
        """Return the bytes at a relative path.

        Raises:
            ConfigError: there is no such file, or it cannot be read.
        """
        target = self._at(path)
        try:
            return bytes(target.read_bytes())
        except OSError as error:
            message = (
                f"There is no {path} in the artifacts store ({type(error).__name__}). Workers must "
                "share one store: set `[cwf] artifacts_path` to a shared folder or bucket."
            )
            raise ConfigError(message) from error

    def _at(self, path: str) -> UPath:
        parts = path.split("/")
        if any(part in OUTSIDE or not part.isprintable() or "\\" in part for part in parts):
            message = f"{path!r} is not a path inside the artifacts store."
            raise ConfigError(message)
        return self._root.joinpath(*parts)


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _replace(target: Path, data: bytes) -> None:
    _make_private(target.parent)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync(target.parent)


def _make_private(folder: Path) -> None:
    """Make `folder` and what is missing above it, for their owner alone."""
    if not folder.is_dir():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _sync(folder: Path) -> None:
    """Make the rename itself survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

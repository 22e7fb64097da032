"""A private file store on a local folder or any file system that fsspec knows."""

import os
import secrets
from pathlib import Path

from upath import UPath

from airflow_cwf.core.errors import ConfigError


class UpathArtifacts:
    """`core.ports.Artifacts` under one folder or URI.

    Local files are written beside their place and renamed, so that a reader sees the old bytes
    or the new ones; they are readable by their owner only.
    """

    def __init__(self, root: str) -> None:
        self._root = UPath(root)

    def write(self, path: str, data: bytes) -> str:
        """Store `data` under a relative path; return the place for people to read."""
        target = self._at(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.protocol in {"", "file"}:
            _replace(Path(target.path), data)
        else:
            target.write_bytes(data)
        return str(target)

    def read(self, path: str) -> bytes:
        """Return the bytes at a relative path."""
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
        if any(part in {"", ".", ".."} or "\\" in part for part in parts):
            message = f"{path!r} is not a path inside the artifacts store."
            raise ConfigError(message)
        return self._root.joinpath(*parts)


def _replace(target: Path, data: bytes) -> None:
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)

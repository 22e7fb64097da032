"""Child processes that end when their owner ends, however it ends.

Each child runs in a session of its own, so Ctrl-C reaches only the owner, which then stops its
children in reverse order. Should the owner die without a chance to do so (kill -9), a *guard*
does it: a tiny Python process that reads the owner's end of a pipe and ends every session it was
told of as soon as the pipe closes. `prctl(PR_SET_PDEATHSIG)` would need `preexec_fn`, which is
unsafe beside threads; it fires when the *thread* that started the child ends, exists on Linux
only, and reaches one process where the guard reaches all descendants.

Limits: a child that moves to another session escapes; the guard itself can be killed.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self, TypeVar

from airflow_cwf.core.errors import CwfError
from airflow_cwf.localnet import guard

GRACE_S: Final = 10.0
"""How long a process may take to end by itself before it is killed."""

_LOG_TAIL_BYTES: Final = 4_000

_Result = TypeVar("_Result")


def free_port() -> int:
    """Return a TCP port that is free on 127.0.0.1 now; another program may take it meanwhile."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class ChildProcess:
    """One started program."""

    name: str
    log: Path
    """Its standard output and error."""
    popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Process id, and the id of its session."""
        return self.popen.pid

    @property
    def is_running(self) -> bool:
        """Whether the program has not ended."""
        return self.popen.poll() is None

    def log_tail(self) -> str:
        """Return the last few kilobytes of the log."""
        return self.log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")

    def require_running(self) -> None:
        """Raise if the program ended.

        Raises:
            CwfError: with exit code, place and end of the log.
        """
        code = self.popen.poll()
        if code is not None:
            message = (
                f"The local process `{self.name}` ended by itself (exit code {code}); "
                f"see {self.log}:\n{self.log_tail()}"
            )
            raise CwfError(message)


class LocalProcesses:
    """Starts programs and ends all of them, last started first, when the `with` block is left.

    In the main thread SIGTERM and SIGHUP leave the block too (as `SystemExit`, so that `finally`
    clauses run). Not safe for use by several threads at once.
    """

    def __init__(self, logs: Path) -> None:
        """Keep one log file per program in `logs`, a folder that is made on entry."""
        self.logs = logs
        self._children: list[ChildProcess] = []
        self._guard: subprocess.Popen[bytes] | None = None
        self._replaced: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        """Start the guard and take over SIGTERM and SIGHUP."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self._guard = subprocess.Popen(  # noqa: S603 - our own constant program
            [sys.executable, "-I", "-S", guard.__file__, str(GRACE_S)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                self._replaced[number] = signal.signal(number, _leave)
            # Python has no handler where the parent ignores Ctrl-C, as a shell's background does.
            interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
            self._replaced[signal.SIGINT] = interrupt
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop everything; if this is interrupted, the guard finishes it."""
        try:
            self.stop_all()
        finally:
            for number, handler in self._replaced.items():
                signal.signal(number, handler)
            self._replaced.clear()
            self._dismiss_guard()

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
    ) -> ChildProcess:
        """Start `command`; it gets no input, and writes to `<logs>/<name>.log`.

        Args:
            name: names the log file; unique among the running ones.
            command: program and arguments; no shell is involved.
            env: the whole environment; None hands down this process's own.

        Raises:
            CwfError: the program cannot be started.
        """
        path = self.logs / f"{name}.log"
        with path.open("ab") as log:
            try:
                popen = subprocess.Popen(  # noqa: S603 - the caller's program, and no shell
                    [os.fspath(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=env,
                )
            except OSError as error:
                message = f"The local process `{name}` cannot be started: {error}."
                raise CwfError(message) from error
        child = ChildProcess(name, path, popen)
        self._children.append(child)
        self._tell_guard(f"+{child.pid}")
        return child

    def run(
        self, name: str, command: Sequence[str | Path], *, env: Mapping[str, str], timeout_s: float
    ) -> None:
        """Run a program to its end.

        Raises:
            CwfError: it fails, or takes longer than `timeout_s`; then it was stopped.
        """
        child = self.start(name, command, env=env)
        with suppress(subprocess.TimeoutExpired):
            child.popen.wait(timeout=timeout_s)
        code = child.popen.poll()
        self.stop(child)
        if code != 0:
            ending = f"took more than {timeout_s:g} s" if code is None else f"failed ({code})"
            message = f"`{name}` {ending}; see {child.log}:\n{child.log_tail()}"
            raise CwfError(message)

    def stop(self, child: ChildProcess, *, grace_s: float = GRACE_S) -> None:
        """End `child` and everything in its session: SIGTERM, then SIGKILL."""
        guard.signal_session(child.pid, signal.SIGTERM)
        try:
            with suppress(subprocess.TimeoutExpired):
                child.popen.wait(timeout=grace_s)
        finally:
            guard.signal_session(child.pid, signal.SIGKILL)
        child.popen.wait()
        self._tell_guard(f"-{child.pid}")
        if child in self._children:
            self._children.remove(child)

    def stop_all(self) -> None:
        """End all programs, last started first."""
        for child in reversed(list(self._children)):
            self.stop(child)

    def require_running(self) -> None:
        """Raise for the first program that ended by itself.

        Raises:
            CwfError: with exit code, place and end of its log.
        """
        for child in self._children:
            child.require_running()

    def _tell_guard(self, line: str) -> None:
        pipe = self._guard.stdin if self._guard else None
        if pipe is None:
            raise CwfError("Local processes are started inside `with LocalProcesses(...)` only.")
        # Had someone ended the guard, the ordinary ways to stop would still work.
        with suppress(BrokenPipeError):
            pipe.write(f"{line}\n".encode())
            pipe.flush()

    def _dismiss_guard(self) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            with suppress(BrokenPipeError):
                self._guard.stdin.close()
            self._guard.wait()
            self._guard = None


def wait_for(
    what: str,
    probe: Callable[[], _Result | None],
    *,
    timeout_s: float,
    interval_s: float = 0.1,
) -> _Result:
    """Call `probe` until it returns something other than None, and return that.

    Args:
        what: what is awaited, for the error message: `anvil-polygon answers`.
        probe: one quick look; its exceptions end the waiting.
        timeout_s: seconds after which to give up.
        interval_s: seconds between two looks.

    Raises:
        CwfError: nothing came within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while True:
        result = probe()
        if result is not None:
            return result
        if time.monotonic() >= deadline:
            message = f"Waited {timeout_s:g} s in vain until {what}."
            raise CwfError(message)
        pause.wait(interval_s)


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)

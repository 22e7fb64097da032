"""Ends an owner's programs when the owner is gone; run as a file, so it imports only Python's own.

Whole sessions are ended, not process groups: Airflow gives every task a group of its own, but
leaves it in the session of the scheduler. A number stays a session's while any member lives.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc/self")


def signal_session(session: int, number: int) -> bool:
    """Send a signal (0: none) to every process of a session; return whether there is one."""
    found = False
    for pid in _all_pids():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == session:
                os.kill(pid, number)
                found = True
    return found


def main(lines: Iterable[str], grace_s: float) -> None:
    """Read `+SESSION` and `-SESSION` until the owner's end closes, then end what is left.

    The signals that end an owner reach its guard too; they are ignored.
    """
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sessions: dict[int, None] = {}
    for line in lines:
        if line.startswith("+"):
            sessions[int(line[1:])] = None
        else:
            sessions.pop(int(line[1:]), None)
    left = [session for session in sessions if signal_session(session, signal.SIGTERM)]
    deadline = time.monotonic() + grace_s
    pause = threading.Event()
    while left and time.monotonic() < deadline:
        pause.wait(0.05)
        left = [session for session in left if signal_session(session, 0)]
    for session in left:
        signal_session(session, signal.SIGKILL)


def _all_pids() -> list[int]:
    if _PROC.exists():
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    listing = subprocess.run(["/bin/ps", "-axo", "pid="], capture_output=True, check=True)
    return [int(pid) for pid in listing.stdout.split()]


if __name__ == "__main__":
    main(sys.stdin, float(sys.argv[1]))

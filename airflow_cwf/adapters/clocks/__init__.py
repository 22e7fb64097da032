"""The machine's own clock."""

import asyncio
import time


class SystemClock:
    """`core.ports.Clock` over the system."""

    def now(self) -> float:
        """Return Unix seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Let other work go on for `seconds`."""
        await asyncio.sleep(seconds)

"""The machine's clock."""

import asyncio
import time

from airflow_cwf.adapters.clocks import SystemClock


def test_it_tells_unix_seconds():
    before = time.time()
    assert before <= SystemClock().now() <= time.time()


def test_others_work_while_it_sleeps():
    order = []

    async def sleeper():
        await SystemClock().sleep(0.02)
        order.append("awake")

    async def both():
        sleeping = asyncio.create_task(sleeper())
        await asyncio.sleep(0)
        order.append("meanwhile")
        await sleeping

    asyncio.run(both())
    assert order == ["meanwhile", "awake"]

"""Tasks end with their block, and the first failure is the one that is told."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from rozaneh.core import tasks
from rozaneh.core.errors import Fault, FaultKind


async def forever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("ended")


async def fail() -> None:
    raise Fault(FaultKind.QUOTA, "no more")


def test_tasks_end_with_the_block() -> None:
    async def run() -> list[str]:
        ended: list[str] = []
        async with tasks.background() as beside:
            beside.start(forever(ended), "forever")
            await asyncio.sleep(0)
        return ended

    assert asyncio.run(run()) == ["ended"]


def test_a_tasks_fault_ends_the_block_and_comes_out_bare() -> None:
    async def run() -> None:
        async with tasks.background() as beside:
            beside.start(fail(), "fail")
            await asyncio.Event().wait()

    with pytest.raises(Fault, match="no more"):
        asyncio.run(run())


def test_a_single_other_failure_comes_out_bare() -> None:
    async def run() -> None:
        async with tasks.background():
            raise LookupError("x")

    with pytest.raises(LookupError):
        asyncio.run(run())


def test_every_repeats() -> None:
    async def run() -> int:
        count = 0

        async def step() -> None:
            nonlocal count
            count += 1
            if count == 3:
                raise LookupError

        with pytest.raises(LookupError):
            await tasks.every(0.0, step)
        return count

    assert asyncio.run(run()) == 3


def test_signals_call_back_and_are_put_back() -> None:
    async def run() -> int:
        seen = asyncio.Event()
        undo = tasks.on_signals(seen.set)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(seen.wait(), 5)
        undo()
        return 1

    before = signal.getsignal(signal.SIGTERM)
    assert asyncio.run(run()) == 1
    assert signal.getsignal(signal.SIGTERM) == before

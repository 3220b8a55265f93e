"""Structured concurrency in one place: a task lives inside a group, and a group ends with its block.

``asyncio.create_task`` is not used elsewhere: a task that nobody waits for swallows its own failure.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from rozaneh.core.errors import Fault


class Background:
    """Tasks that serve a block and are cancelled when it ends; the first failure cancels the block."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: list[asyncio.Task[Any]] = []

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start ``work`` beside the block."""
        task = self._group.create_task(work, name=name)
        self._tasks.append(task)
        return task

    def cancel(self) -> None:
        """Ask every task that is still running to end."""
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def background() -> AsyncIterator[Background]:
    """A block with tasks beside it: they end with it, and their first failure ends it.

    Raises:
        Fault: the first one raised by the block or a task beside it, taken out of its exception group.
    """
    try:
        async with asyncio.TaskGroup() as group:
            beside = Background(group)
            try:
                yield beside
            finally:
                beside.cancel()
    except BaseExceptionGroup as failures:
        fault = first_fault(failures)
        if fault is not None:
            raise fault from None
        if len(failures.exceptions) == 1:
            raise failures.exceptions[0] from None
        raise


def first_fault(group: BaseExceptionGroup[BaseException]) -> Fault | None:
    """The first ``Fault`` in a (nested) group, or None."""
    for failure in group.exceptions:
        if isinstance(failure, Fault):
            return failure
        if isinstance(failure, BaseExceptionGroup):
            nested = first_fault(failure)
            if nested is not None:
                return nested
    return None


async def every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do ``work`` again and again with ``seconds`` between the end of one and the start of the next; never returns."""
    while True:
        await work()
        await asyncio.sleep(seconds)


def on_signals(callback: Callable[[], None]) -> Callable[[], None]:
    """Call ``callback`` in the running loop for each SIGINT and SIGTERM; the returned function undoes it."""
    loop = asyncio.get_running_loop()
    wanted = (signal.SIGINT, signal.SIGTERM)
    try:
        for number in wanted:
            loop.add_signal_handler(number, callback)
    except NotImplementedError:  # pragma: no cover - Windows has no loop signals; the ordinary handler does there
        old = {n: signal.signal(n, lambda *_: loop.call_soon_threadsafe(callback)) for n in wanted}

        def restore() -> None:
            for number, handler in old.items():
                signal.signal(number, handler)

        return restore

    def undo() -> None:
        for number in wanted:
            with suppress(ValueError, RuntimeError):
                loop.remove_signal_handler(number)

    return undo

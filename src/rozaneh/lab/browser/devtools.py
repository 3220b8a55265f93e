"""A small client of Chromium's DevTools protocol over its pipe: commands, answers, events, each with a deadline.

With `--remote-debugging-pipe` the browser reads commands from descriptor 3 and writes answers to descriptor 4, each a
JSON object followed by a zero byte. No port is opened, so nothing else in the world can talk to the browser.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections import deque
from typing import Any

Message = dict[str, Any]

_MAX_MESSAGE = 64 << 20  # a screenshot is a few hundred kilobytes of base64
_MAX_EVENTS = 10_000


class DevToolsError(Exception):
    """The browser refused a command, ended, or did not answer in time."""


class DevTools:
    """The lab's end of the pipe."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out = to_browser
        self._in = from_browser
        os.set_blocking(from_browser, False)
        self._poller = select.poll()
        self._poller.register(from_browser, select.POLLIN)
        self._number = 0
        self._pending = bytearray()
        self._messages: deque[Message] = deque()
        self._events: deque[Message] = deque(maxlen=_MAX_EVENTS)

    def close(self) -> None:
        """Closes both ends, upon which the browser leaves too."""
        os.close(self._out)
        os.close(self._in)

    def call(
        self, method: str, params: Message | None = None, *, session: str | None = None, timeout: float = 15.0
    ) -> Message:
        """Sends one command and returns its result."""
        self._number += 1
        number = self._number
        command: Message = {"id": number, "method": method, "params": params or {}}
        if session is not None:
            command["sessionId"] = session
        self._write(json.dumps(command).encode() + b"\0")
        limit = time.monotonic() + timeout
        while True:
            message = self._next(limit, f"{method} was not answered in {timeout:g} s")
            if message.get("id") == number:
                if "error" in message:
                    raise DevToolsError(f"{method}: {message['error'].get('message')}")
                result: Message = message["result"]
                return result
            if "method" in message:
                self._events.append(message)

    def event(self, method: str, *, session: str, timeout: float) -> Message:
        """The next event called `method` in `session`, also one that came earlier and was not asked for yet."""
        for message in list(self._events):
            if message["method"] == method and message.get("sessionId") == session:
                self._events.remove(message)
                params: Message = message.get("params", {})
                return params
        limit = time.monotonic() + timeout
        while True:
            message = self._next(limit, f"{method} did not come in {timeout:g} s")
            if message.get("method") == method and message.get("sessionId") == session:
                params = message.get("params", {})
                return params
            if "method" in message:
                self._events.append(message)

    def forget_events(self, session: str) -> list[Message]:
        """Takes the events of `session` that nobody asked for."""
        taken = [message for message in self._events if message.get("sessionId") == session]
        for message in taken:
            self._events.remove(message)
        return taken

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._out, view) :]
        except BrokenPipeError as error:
            raise DevToolsError("the browser ended") from error

    def _next(self, limit: float, complaint: str) -> Message:
        while not self._messages:
            left = limit - time.monotonic()
            if left <= 0 or not self._poller.poll(left * 1000):
                raise DevToolsError(complaint)
            chunk = os.read(self._in, 1 << 20)
            if not chunk:
                raise DevToolsError("the browser ended")
            self._pending += chunk
            if len(self._pending) > _MAX_MESSAGE:
                raise DevToolsError("the browser sent a message without an end")
            *whole, rest = bytes(self._pending).split(b"\0")
            self._pending = bytearray(rest)
            self._messages.extend(json.loads(part) for part in whole)
        return self._messages.popleft()

"""Counts how often something happened lately, key by key: the sliding windows of primitive E7.

A window answers two questions about a key: how many events lie within the last `seconds` (`add`, `count`), and how many
of the latest form a burst, each no more than `gap` seconds after the one before (`burst`). Memory is bounded, in keys
and in events of one key; the key that was quiet longest goes first.
"""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Hashable

MAX_KEYS = 65_536
MAX_EVENTS = 4_096  # of one key; more than any published threshold by far


class Windows:
    """Events by key; the clock is whatever the caller counts in, and never runs backwards."""

    def __init__(self, seconds: float, *, keys: int = MAX_KEYS, events: int = MAX_EVENTS) -> None:
        if not seconds > 0:
            raise ValueError(f"a window lasts longer than {seconds:g} s")
        self._seconds = seconds
        self._keys = keys
        self._events = events
        self._seen: dict[Hashable, deque[float]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, key: Hashable, now: float) -> int:
        """Notes one event; returns how many there are in the window, this one included."""
        times = self._seen.pop(key, None)  # put back behind all others: the quietest stays first
        if times is None:
            if len(self._seen) >= self._keys:
                del self._seen[next(iter(self._seen))]
            times = deque(maxlen=self._events)
        self._seen[key] = times
        times.append(now)
        self._forget(times, now)
        return len(times)

    def count(self, key: Hashable, now: float) -> int:
        """How many events of `key` lie in the window that ends now."""
        times = self._seen.get(key)
        if times is None:
            return 0
        self._forget(times, now)
        if not times:
            del self._seen[key]
            return 0
        return len(times)

    def burst(self, key: Hashable, now: float, gap: float) -> int:
        """How many events in the window, counted back from the latest, follow one another within `gap` seconds."""
        if not self.count(key, now):
            return 0
        size, later = 0, None
        for time in reversed(self._seen[key]):
            if later is not None and later - time > gap:
                break
            size, later = size + 1, time
        return size

    def clear(self, key: Hashable) -> None:
        """Forgets a key, as a box does that has acted on it."""
        self._seen.pop(key, None)

    def _forget(self, times: deque[float], now: float) -> None:
        oldest = now - self._seconds
        while times and times[0] <= oldest:
            times.popleft()


def subnet(address: bytes, bits4: int = 24, bits6: int = 48) -> bytes:
    """The network a packed address lies in, packed: its first `bits4` (IPv4) or `bits6` (IPv6) bits."""
    bits = bits4 if len(address) == 4 else bits6
    return ipaddress.ip_network((address, bits), strict=False).network_address.packed

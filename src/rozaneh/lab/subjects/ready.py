"""Waits until a program is ready, by looking and never by asking it: no packet is sent for it.

A port counts when the kernel's own table of the node's sockets has it (proc_net: `/proc/PID/net/tcp` shows the network
namespace of PID), output when the program's log has it. Between two looks it sleeps in a poll on the program itself,
so that a program that ends is noticed at once.
"""

from __future__ import annotations

import ipaddress
import os
import re
import select
import struct
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from rozaneh.lab.nodes import Node
from rozaneh.lab.processes import NotReady, Process

T = TypeVar("T")

_FIRST_LOOK_S, _LONGEST_S = 0.004, 0.05
# include/net/tcp_states.h
_LISTEN, _CLOSE = "0A", "07"
_TAIL = 2000
# Every address, in IPv4 and IPv6.
_EVERY = ("0" * 8, "0" * 32)


def split(text: str) -> tuple[str, int]:
    """The address (empty: any) and the port in `PORT` or `ADDRESS:PORT`, IPv6 in brackets."""
    address, _, port = text.rpartition(":")
    return address.strip("[]"), int(port)


def listens(node: Node, kind: str, port: int, address: str = "") -> bool:
    """Whether a socket of the node listens on that TCP port, or has that UDP port, at `address` or at every address."""
    state = _LISTEN if kind == "tcp" else _CLOSE
    wanted = {f"{host}:{port:04X}" for host in (_in_table(address), *_EVERY)} if address else set()
    for family in ("", "6"):
        try:
            lines = Path(f"/proc/{node.pid}/net/{kind}{family}").read_text(encoding="ascii").splitlines()[1:]
        except OSError:  # a machine without IPv6 has no second table
            continue
        for line in lines:
            fields = line.split()
            local = fields[1]
            if fields[3] == state and (local in wanted if address else local.endswith(f":{port:04X}")):
                return True
    return False


def _in_table(address: str) -> str:
    """An address as the kernel's table writes it: words of 32 bits in the machine's own order."""
    packed = ipaddress.ip_address(address).packed
    return "".join(f"{word:08X}" for word in struct.unpack(f"={len(packed) // 4}I", packed))


class Watch:
    """One running program of a subject and the sign it gives when it is ready."""

    def __init__(self, node: Node, process: Process, log: Path, skip: int = 0) -> None:
        self.node = node
        self.process = process
        self._log = log
        # Only what this start wrote counts: a restarted program goes on in the same file.
        self._skip = skip

    def port(self, kind: str, where: str, limit: float) -> None:
        """Returns when `where` (`split` reads it) is there; `NotReady` when the program or the time ends first."""
        address, port = split(where)
        self._until(lambda: listens(self.node, kind, port, address) or None, f"{kind} port {where}", limit)

    def output(self, pattern: str, limit: float) -> dict[str, str]:
        """Returns the named groups of `pattern` when it is found in what the program wrote."""
        sought = re.compile(pattern)

        def look() -> re.Match[str] | None:
            return sought.search(self.text())

        found = self._until(look, f"output {pattern!r}", limit)
        return {name: value for name, value in found.groupdict().items() if value is not None}

    def text(self) -> str:
        """What this program wrote so far."""
        try:
            return self._log.read_bytes()[self._skip :].decode(errors="replace")
        except OSError:
            return ""

    def _until(self, look: Callable[[], T | None], what: str, limit: float) -> T:
        end = time.monotonic() + limit
        pause = _FIRST_LOOK_S
        with closing(_Ending(self.process)) as ending:
            while True:
                found = look()
                if found is not None:
                    return found
                left = end - time.monotonic()
                if left <= 0:
                    raise NotReady(self._story(f"showed no {what} in {limit:g} s"))
                if ending.within(min(pause, left)):
                    raise NotReady(self._story("ended before it was ready"))
                pause = min(pause * 2, _LONGEST_S)

    def _story(self, what: str) -> str:
        return f"{self.process.name} {what}: {self.text()[-_TAIL:].strip() or 'it wrote nothing'}"


class _Ending:
    """The end of a program as something to wait for, without reaping it."""

    def __init__(self, process: Process) -> None:
        self._descriptor = os.pidfd_open(process.pid)
        self._poller = select.poll()
        self._poller.register(self._descriptor, select.POLLIN)

    def within(self, seconds: float) -> bool:
        """Whether it has ended, after at most `seconds`."""
        return bool(self._poller.poll(seconds * 1000))

    def close(self) -> None:
        """Gives the descriptor back."""
        os.close(self._descriptor)

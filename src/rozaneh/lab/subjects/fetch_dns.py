"""Asks a resolver for a name over plain UDP, as the stub resolver of any program does, and checks the answer."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence

from rozaneh.lab import dnsmessage
from rozaneh.lab.nodes import Node
from rozaneh.lab.subjects.fetch import Fetched

# resolv.conf(5): the answer is waited for this long before the question is asked again.
_ATTEMPT_S = 2.0


def resolve(node: Node, name: str, resolver: str, wanted: Sequence[str], limit_s: float) -> Fetched:
    """Asks for the A records (AAAA where `wanted` has only IPv6) of `name`; right is an answer with just `wanted`.

    The first answer counts, as it does for a stub resolver, whoever sent it.
    """
    addresses = sorted(address for address in wanted if ":" not in address) or sorted(wanted)
    kind = dnsmessage.AAAA if addresses and ":" in addresses[0] else dnsmessage.A
    began = time.monotonic()
    answer = node.call(lambda: ask(name, kind, resolver, limit_s))
    passed = time.monotonic() - began
    if answer is None:
        return Fetched(False, 0, passed, None, f"no answer from {resolver} in {limit_s:g} s")
    code, found = read(answer)
    if code < 0:
        return Fetched(False, len(answer), passed, passed, f"an answer from {resolver} that is none")
    if code != dnsmessage.NOERROR or sorted(found) != addresses:
        said = ", ".join(found) if found else f"response code {code}"
        return Fetched(False, len(answer), passed, passed, f"{name} is {said}, not {', '.join(addresses) or 'known'}")
    return Fetched(True, len(answer), passed, passed)


def read(answer: bytes) -> tuple[int, list[str]]:
    """Response code and addresses of an answer; code -1 for bytes that are none."""
    try:
        return dnsmessage.read_answers(answer)
    except (ValueError, LookupError, OSError, struct.error):
        return -1, []


def ask(name: str, kind: int, resolver: str, limit_s: float) -> bytes | None:
    """Sends the question until an answer comes or the time is over; runs where its packets shall start."""
    family = socket.AF_INET6 if ":" in resolver else socket.AF_INET
    end = time.monotonic() + limit_s
    ident = 0x1000
    with socket.socket(family, socket.SOCK_DGRAM) as asker:
        asker.connect((resolver, 53))
        while (left := end - time.monotonic()) > 0:
            ident += 1
            try:
                asker.send(dnsmessage.write_query(ident, name, kind))
                asker.settimeout(min(_ATTEMPT_S, left))
                message = asker.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                # Somebody says that it cannot be reached: asked again after the same pause.
                time.sleep(min(_ATTEMPT_S, max(0.0, end - time.monotonic())))
                continue
            if message[:2] == ident.to_bytes(2, "big"):
                return message
    return None

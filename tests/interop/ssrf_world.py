"""A machine where every address answers: whatever an engine dials here is reached, and written down.

Run as a program inside a network namespace of its own (``python -m tests.interop.ssrf_world``): all of IPv4 and IPv6
is routed to the loopback interface, one listener waits on one port of every address, for TCP and UDP, and a DNS server
answers every name with what the table says, or with 127.0.0.1. Engines get the table's spellings by every entry they
have; what came of it is printed as one JSON object.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

from tests.interop.programs import association
from tests.interop.rig import ALICE, Running, client_document, direct_document, edge_document, make_identity, until, way

TABLE = Path(__file__).parents[1] / "data" / "ssrf_targets.json"
#: Public addresses of the table that controls are sent to.
PUBLIC = ["8.8.8.8", "2001:4860:4860::8888"]
#: All public addresses of the table; nothing else may ever be reached.
REACHABLE = [*PUBLIC, "8.8.4.4", "1.1.1.1"]
#: Public by every registry, but the edge's own.
OWN = ["9.9.9.9", "2620:fe::9"]
WAIT = 15.0
ALIASES = {"cname.test.": ["localhost."], "chain.test.": ["link.chain.test.", "end.chain.test."]}


def raise_world() -> None:
    """Loopback up, and every address local."""
    for argv in (
        ["ip", "link", "set", "lo", "up"],
        ["ip", "route", "add", "local", "0.0.0.0/0", "dev", "lo"],
        ["ip", "-6", "route", "add", "local", "::/0", "dev", "lo"],
        # Answers can be sent from this one.
        ["ip", "-6", "address", "add", f"{PUBLIC[1]}/128", "dev", "lo", "nodad"],
    ):
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)


def plain(ip: str) -> str:
    """An address as text, mapped ones as the IPv4 address they are to the kernel."""
    address = ipaddress.ip_address(ip.split("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


class Names(threading.Thread):
    """The DNS server."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        super().__init__(daemon=True)
        self.answers = {r["spelling"].lower().rstrip(".") + ".": r["resolves_to"] for r in rows if r["kind"] == "name"}
        self.answers["link.chain.test."] = self.answers["end.chain.test."] = self.answers["chain.test."]
        self.turns: Counter[str] = Counter()
        self.asked: set[str] = set()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.sock.getsockname()[1]}"

    def run(self) -> None:
        while True:
            data, peer = self.sock.recvfrom(4096)
            # What cannot be read is not answered.
            with suppress(dns.exception.DNSException):
                self.sock.sendto(self.answer(data), peer)

    def answer(self, data: bytes) -> bytes:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text()
        key = name.lower()
        self.asked.add(key)
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA | dns.flags.RA
        kind = dns.rdatatype.to_text(question.rdtype)
        # A name that nobody thought of is the worst one.
        addresses = self.answers.get(key, ["127.0.0.1"])
        if key.endswith(".rebind.test."):
            addresses = [addresses[self.turns[key, kind] % len(addresses)]]
            self.turns[key, kind] += 1
        owner = name
        for alias in ALIASES.get(key, []):
            reply.answer.append(dns.rrset.from_text(owner, 0, "IN", "CNAME", alias))
            owner = alias
        wanted = [ip for ip in addresses if (":" in ip) == (kind == "AAAA")]
        if wanted and kind in ("A", "AAAA"):
            reply.answer.append(dns.rrset.from_text(owner, 0, "IN", kind, *wanted))
        return reply.to_wire()


class Listener:
    """Every address, one port, TCP and UDP."""

    def __init__(self) -> None:
        self.reached: Counter[str] = Counter()
        self.tcp = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.tcp.bind(("::", 0))
        self.tcp.listen(512)
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        self.udp.bind(("::", self.port))
        for work in (self.accept, self.receive):
            threading.Thread(target=work, daemon=True).start()

    def accept(self) -> None:
        while True:
            connection, _ = self.tcp.accept()
            with connection:
                self.reached["tcp " + plain(connection.getsockname()[0])] += 1
                connection.settimeout(WAIT)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nREACHED")
                # Unread bytes would turn the end into a reset, which overtakes the answer.
                connection.shutdown(socket.SHUT_WR)
                drain(connection)

    def receive(self) -> None:
        while True:
            data, extra, _, peer = self.udp.recvmsg(2048, 256)
            info = next(d for level, kind, d in extra if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO))
            self.reached["udp " + plain(socket.inet_ntop(socket.AF_INET6, info[:16]))] += 1
            # From the address that was asked: a reply of another would not be taken for one.
            self.udp.sendmsg([data], [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)], 0, peer)


# ---- the entries ----


def strict(spelling: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, where a strict parser takes the spelling for one."""
    try:
        return ipaddress.ip_address(spelling)
    except ValueError:
        return None


def socks_address(spelling: str, *, numeric: bool) -> bytes | None:
    """Type and address as SOCKS5 has them (RFC 1928 section 5); ``None`` where the spelling has no such form."""
    if numeric:
        address = strict(spelling)
        if address is None or getattr(address, "scope_id", None):
            return None
        return bytes([1 if address.version == 4 else 4]) + address.packed
    text = spelling.encode("utf-8", "surrogateescape")
    return bytes([3, len(text)]) + text if 0 < len(text) < 256 else None


def drain(sock: socket.socket) -> bytes:
    """Everything until the end, however it comes."""
    data = b""
    try:
        while chunk := sock.recv(4096):
            data += chunk
    except ConnectionResetError:
        pass
    return data


def socks(place: tuple[str, int], spelling: str, port: int, *, numeric: bool) -> bytes | None:
    address = socks_address(spelling, numeric=numeric)
    if address is None:
        return None
    with socket.create_connection(place, timeout=WAIT) as sock:
        sock.sendall(b"\x05\x01\x00\x05\x01\x00" + address + struct.pack("!H", port))
        return drain(sock)


def bracketed(spelling: str) -> str:
    """As it stands in front of a port."""
    return f"[{spelling}]" if ":" in spelling and "[" not in spelling else spelling


def http(place: tuple[str, int], text: str) -> bytes:
    with socket.create_connection(place, timeout=WAIT) as sock:
        sock.sendall(text.encode("utf-8", "surrogateescape"))
        return drain(sock)


def connect(place: tuple[str, int], spelling: str, port: int) -> bytes:
    host = bracketed(spelling)
    return http(place, f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n")


def absolute(place: tuple[str, int], spelling: str, port: int) -> bytes:
    host = bracketed(spelling)
    return http(place, f"GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n")


Entry = Callable[[tuple[str, int], str, int], bytes | None]
ENTRIES: dict[str, Entry] = {
    "socks5 domain": lambda place, text, port: socks(place, text, port, numeric=False),
    "socks5 address": lambda place, text, port: socks(place, text, port, numeric=True),
    "http connect": connect,
    "http absolute-form": absolute,
}


def datagrams(place: tuple[str, int], spellings: list[str], port: int) -> tuple[int, list[str]]:
    """One datagram to each spelling in both forms, then one to each public address, which must come back.

    How many were sent, and which spellings were answered.
    """
    sent, answered = 0, []
    # A client keeps 64 flows of one association.
    for start in range(0, len(spellings), 20):
        with association(place) as (udp, relay):
            for spelling in spellings[start : start + 20]:
                for numeric in (False, True):
                    address = socks_address(spelling, numeric=numeric)
                    if address is not None:
                        head = b"\0\0\0" + address + struct.pack("!H", port)
                        udp.sendto(head + b"<" + spelling.encode("utf-8", "surrogateescape"), relay)
                        sent += 1
            waiting = {f"control {address}" for address in PUBLIC}
            for control in PUBLIC:
                address = socks_address(control, numeric=True) or b""
                udp.sendto(b"\0\0\0" + address + struct.pack("!H", port) + f"<control {control}".encode(), relay)
            while waiting:
                payload = udp.recv(2048).partition(b"<")[2].decode("utf-8", "surrogateescape")
                if payload in waiting:
                    waiting.remove(payload)
                else:
                    answered.append(payload)
    return sent, answered


def main() -> None:
    """Raises the world, sends everything everywhere, prints what came of it."""
    raise_world()
    rows = json.loads(TABLE.read_text())["rows"]
    names = Names(rows)
    names.start()
    listener = Listener()
    port = listener.port
    report: dict[str, Any] = {"rows": len(rows), "entries": {}, "seconds": {}}

    def refused(running: Running) -> Counter[str]:
        return Counter(running.counters()["refused"])

    with ExitStack() as stack:
        identity = make_identity(Path(stack.enter_context(_folder())))
        edge = stack.enter_context(
            Running(edge_document(identity, users=[ALICE], resolver=names.address, own=OWN, bind="127.0.0.1:0"))
        )
        through = stack.enter_context(Running(client_document(way(edge.address, identity, ALICE))))
        direct_text = direct_document(resolver=names.address)
        direct_text["policy"]["own_addresses"] = OWN
        direct = stack.enter_context(Running(direct_text))
        spellings = [row["spelling"] for row in rows] + OWN
        for label, running, judge in (("edge", through, edge), ("direct", direct, direct)):
            for name, entry in ENTRIES.items():
                began, before = time.monotonic(), refused(judge)
                attempts, leaked = 0, []
                for spelling in spellings:
                    answer = entry(running.place, spelling, port)
                    attempts += answer is not None
                    if answer is not None and b"REACHED" in answer:
                        leaked.append(spelling)
                report["entries"][f"{label}: {name}"] = {
                    "attempts": attempts,
                    "answered": leaked,
                    "refused": dict(refused(judge) - before),
                }
                report["seconds"][f"{label}: {name}"] = round(time.monotonic() - began, 2)
            before = refused(judge)
            sent, answered = datagrams(running.place, spellings, port)
            report["entries"][f"{label}: socks5 udp"] = {
                "attempts": sent,
                "answered": answered,
                "refused": dict(refused(judge) - before),
            }
            # Names that change their mind between two questions.
            rebinding = [row["spelling"] for row in rows if ".rebind.test" in row["spelling"]]
            report[f"{label}: rebinding"] = [
                sum(b"REACHED" in (ENTRIES["socks5 domain"](running.place, n, port) or b"") for _ in range(100))
                for n in rebinding
            ]
            # Ports that are closed everywhere.
            report[f"{label}: mail"] = [
                b"REACHED" in (connect(running.place, PUBLIC[0], mail) or b"") for mail in (25, 465, 587)
            ]
        report["reached"] = dict(listener.reached)
        # With an explicit exception the same entries do get there, and only there.
        listener.reached.clear()
        open_edge = stack.enter_context(
            Running(edge_document(identity, users=[ALICE], resolver=names.address, allow=["127.0.0.0/8"]))
        )
        allowed = stack.enter_context(Running(client_document(way(open_edge.address, identity, ALICE))))
        allowed_direct = stack.enter_context(Running(direct_document(resolver=names.address, allow=["127.0.0.0/8"])))
        report["control"] = {
            f"{label}: {name}": [b"REACHED" in (entry(running.place, host, port) or b"") for host in hosts]
            for label, running in (("edge", allowed), ("direct", allowed_direct))
            for name, entry in ENTRIES.items()
            for hosts in [["127.0.0.1", "10.0.0.1", "::1"]]
        }
        report["control reached"] = dict(listener.reached)
        until(lambda: edge.counters()["tunnels_open"] == 0, "all tunnels are closed")
    json.dump(report, sys.stdout)


@contextmanager
def _folder() -> Iterator[str]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        yield folder


if __name__ == "__main__":
    main()

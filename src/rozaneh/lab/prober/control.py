"""Proof that an address belongs to whoever wants it probed: it serves a fresh random token that we name.

Loopback addresses, and everything inside a world of the lab, need none. Elsewhere the person shows control of the
address in one of three ways: `http://ADDR/.well-known/rozaneh-probe` on port 80, the same over HTTPS on port 443 (the
certificate proves nothing here and is not checked), or a TCP port of their choice that sends the token as a line. No
redirect is followed: another host's page proves nothing about this one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import http.client
import ipaddress
import secrets
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass

PATH = "/.well-known/rozaneh-probe"

_SECONDS = 10.0
_MOST = 256
_SIOCGIFHWADDR = 0x8927  # linux/sockios.h
# Every interface the lab makes bears this locally administered prefix ("RZ").
_LAB_MAC = bytes.fromhex("02525a")


class NotProven(Exception):
    """The address did not serve the token; the text says what was tried and what came."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a person must make their server say before it is probed."""

    address: str
    token: str

    def instructions(self, port: int | None = None) -> str:
        """What to do, in plain words."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        line = f"TCP port {port}" if port else "a TCP port you name with --proof-port"
        return (
            f"To show that {self.address} is yours, make it say this token and nothing else:\n  {self.token}\n"
            f"at http://{host}{PATH} or https://{host}{PATH}, or as one line from {line}."
        )


def challenge(address: str) -> Challenge:
    """A fresh challenge for `address`."""
    return Challenge(address, secrets.token_urlsafe(24))


def exempt(address: str) -> bool:
    """Whether `address` may be probed without proof: loopback, or we are inside a world of the lab."""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(address).is_loopback:
            return True
    return in_lab()


def in_lab() -> bool:
    """Whether this process's network is one of the lab's: there are interfaces, and all but `lo` are the lab's own."""
    found = False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for _, name in socket.if_nameindex():
            if name == "lo":
                continue
            request = struct.pack("16s24x", name.encode())
            try:
                answer = fcntl.ioctl(control.fileno(), _SIOCGIFHWADDR, request)
            except OSError:
                return False
            family, hardware = struct.unpack_from("=H6s", answer, 16)
            if family != 1 or hardware[:3] != _LAB_MAC:
                if family not in (1,) and not any(hardware):
                    continue  # tunnel templates that every namespace has (sit0, gre0, …) carry nothing
                return False
            found = True
    return found


def prove(asked: Challenge, port: int | None = None, *, http_port: int = 80, https_port: int = 443) -> str:
    """Looks for the token and returns where it was found; `NotProven` when it is nowhere."""
    tried = []
    ways: list[tuple[str, Callable[[], bytes]]] = []
    if port:
        ways.append((f"TCP port {port}", lambda: _line(asked.address, port)))
    ways += [
        (f"http port {http_port}", lambda: _page(asked.address, http_port, secure=False)),
        (f"https port {https_port}", lambda: _page(asked.address, https_port, secure=True)),
    ]
    for name, fetch in ways:
        try:
            said = fetch()
        except (OSError, http.client.HTTPException) as error:
            tried.append(f"{name}: {error or type(error).__name__}")
            continue
        if hmac.compare_digest(said.strip(), asked.token.encode()):
            return name
        tried.append(f"{name}: it said something else")
    raise NotProven(f"{asked.address} does not serve the token ({'; '.join(tried)})")


def _line(address: str, port: int | None) -> bytes:
    with socket.create_connection((address, port or 0), timeout=_SECONDS) as connection:
        said = b""
        while len(said) < _MOST and b"\n" not in said:
            piece = connection.recv(_MOST)
            if not piece:
                break
            said += piece
    return said.partition(b"\n")[0]


def _page(address: str, port: int, *, secure: bool) -> bytes:
    connection: http.client.HTTPConnection
    if secure:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # whoever answers at the address is who is asked
        connection = http.client.HTTPSConnection(address, port, timeout=_SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(address, port, timeout=_SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", PATH, headers={"User-Agent": "rozaneh-lab-probe", "Connection": "close"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise http.client.HTTPException(f"status {answer.status}")
        return answer.read(_MOST)

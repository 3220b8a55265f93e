"""tlslite-ng as a liar: run by the peers' Python, it follows TLS 1.3 but for one thing.

``tls_liar.py server LIE CERT KEY`` says its port and serves until it is killed; ``tls_liar.py client LIE PORT`` says
what became of one connection. A lie is a change to one message, made where tlslite-ng writes it, so that everything
else (transcript, keys) follows from the lie as an honest stack's would.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tlslite import messages
from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
from tlslite.errors import BaseTLSException
from tlslite.extensions import TLSExtension

UNKNOWN = TLSExtension(extType=0x1234).create(bytearray())


def say(text: object) -> None:
    """One line for who started this."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def flipped(data: bytearray) -> bytearray:
    """The same with one bit changed."""
    return bytearray([data[0] ^ 1]) + data[1:]


def change(kind: type, index: int, what: Callable[[Any], Any]) -> None:
    """Has every message of a kind made with one of its fields changed."""
    honest = kind.create  # type: ignore[attr-defined]

    def create(self: Any, *fields: Any, **named: Any) -> Any:
        changed = list(fields)
        changed[index] = what(changed[index])
        return honest(self, *changed, **named)

    kind.create = create  # type: ignore[attr-defined]


def old(extensions: list[Any]) -> list[Any]:
    """supported_versions says TLS 1.2."""
    for extension in extensions:
        if extension.extType == 43:
            extension.version = (3, 3)
    return extensions


def server_hello(field: str, what: Callable[[Any], Any]) -> None:
    """As `change`, for a ServerHello, whose fields have names."""
    honest = messages.ServerHello.create
    names = ("version", "random", "session_id", "cipher_suite")

    def create(self: Any, *fields: Any, **named: Any) -> Any:
        whole = dict(zip(names, fields, strict=False)) | named
        whole[field] = what(whole[field])
        return honest(self, **whole)

    messages.ServerHello.create = create


LIES: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "finished": lambda: change(messages.Finished, 0, flipped),
    "signature": lambda: change(messages.CertificateVerify, 0, flipped),
    "scheme": lambda: change(messages.CertificateVerify, 1, lambda _: (2, 3)),
    "chain": lambda: change(messages.Certificate, 0, lambda _: None),
    "extension": lambda: change(messages.EncryptedExtensions, 0, lambda given: [*given, UNKNOWN]),
    "twice": lambda: change(messages.EncryptedExtensions, 0, lambda given: [*given, UNKNOWN, UNKNOWN]),
    "ticket": lambda: change(messages.NewSessionTicket, 3, lambda _: bytearray()),
    "suite": lambda: server_hello("cipher_suite", lambda _: 0x1304),
    "session": lambda: server_hello("session_id", flipped),
    "version": lambda: server_hello("extensions", old),
    "old": lambda: None,
}


def settings(lie: str) -> HandshakeSettings:
    """TLS 1.3 alone; an old client alone is older."""
    made = HandshakeSettings()
    made.minVersion = made.maxVersion = (3, 3) if lie == "old" else (3, 4)
    made.ticketKeys = [bytearray(32)]
    return made


def serve(lie: str, cert: str, key: str) -> None:
    """Echoes one line a connection, for ever."""
    chain = X509CertChain()
    chain.parsePemList(Path(cert).read_text())
    private = parsePEMKey(Path(key).read_text(), private=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        say(listener.getsockname()[1])
        while True:
            raw, _ = listener.accept()
            line = TLSConnection(raw)
            try:
                line.handshakeServer(certChain=chain, privateKey=private, settings=settings(lie))
                line.sendall(line.recv(100))
                line.close()
            except (BaseTLSException, OSError) as error:
                # What the other side made of the lie.
                sys.stderr.write(f"{error}\n")
            raw.close()


def ask(lie: str, port: str) -> None:
    """Says a line and prints what came back, or why nothing did."""
    line = TLSConnection(socket.create_connection(("127.0.0.1", int(port))))
    try:
        line.handshakeClientCert(settings=settings(lie), serverName="localhost")
        line.sendall(b"a line\n")
        say(line.recv(100).decode().strip())
    except (BaseTLSException, OSError) as error:
        say(error)


if __name__ == "__main__":
    LIES[sys.argv[2]]()
    if sys.argv[1] == "server":
        serve(*sys.argv[2:])
    else:
        ask(*sys.argv[2:])

"""A fixed set of conversations that tell one censor from another: what each does to them is its outcome vector.

The idea is that of dMAP (arXiv 2509.09081): some tens of probes, each at a place where implementations differ, are
enough to tell middleboxes apart. Each probe begins with a chain that has seen nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from random import Random

from rozaneh.lab import craft, dnsmessage
from rozaneh.lab.codec import hellobuild, quicbuild
from rozaneh.lab.packet import ACK, ICMP, ICMPV6, PSH, ip_packet, packed_address
from rozaneh.lab.records import cut
from rozaneh.lab.verify._talk import Talk, Version

LISTED, OPEN, ALLOWED = "blocked-news.example", "open-weather.example", "allowed-shop.example"
SECOND, FOURTH = "muted-magazine.example", "dropped-library.example"  # lists II and IV of Russia's three
PROVINCE = "rented-blog.example"
CLEAN, SUSPECT, CDN, SHOP = "hosting-clean", "hosting-suspect", "cdn", "allowlisted"

Probe = Callable[[Talk], str]
PROBES: dict[str, Probe] = {}

# Over IPv6 a smaller set, one probe for each mechanism that reads addresses, names, datagrams or counts.
OVER_IPV6 = frozenset(
    {
        "listed name",
        "open name",
        "allowed name at an allowed address",
        "new port after a listed name",
        "query for a listed name, AAAA",
        "QUIC, listed name",
        "unknown datagrams",
        "forty packets of TLS, suspected network",
        "five connections of one browser at once",
        "echo request",
    }
)

# Four bits a byte and none printable: looks like nothing at all.
_OPAQUE = b"\x8b\xd1\xa6\xc5\x9c\xe2\x95\xf0" * 25


def runs(met: str) -> str:
    """The signs with runs counted: `+25-7`."""
    return "".join(
        f"{sign}{count}" if (count := len(list(group))) > 1 else sign for sign, group in itertools.groupby(met)
    )


def outcomes(make: Callable[[], Talk], version: Version) -> Mapping[str, str]:
    """What every probe of one version of IP meets; `make` gives a reader whose censor has seen nothing."""
    wanted = {name: probe for name, probe in PROBES.items() if version == 4 or name in OVER_IPV6}
    return {name: runs(probe(make())) for name, probe in wanted.items()}


def _probe(name: str) -> Callable[[Probe], Probe]:
    def add(function: Probe) -> Probe:
        PROBES[name] = function
        return function

    return add


def _hello(talk: Talk, name: str, label: str, port: int = 443) -> str:
    """A connection that says a browser's ClientHello."""
    return talk.ask(talk.connection(talk.at(label), port), hellobuild.chrome(name))


def _request(host: str, *, verb: str = "GET") -> bytes:
    return f"{verb} / HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n\r\n".encode()


def _query(talk: Talk, name: str, node: str = "resolver-a", kind: int = dnsmessage.A) -> str:
    """A question over UDP, and an answer of a hundred bytes."""
    server = next(a for a in talk.world.addresses(node) if (":" in a) == (talk.version == 6))
    sport = talk.port()
    met = talk.datagram(dnsmessage.write_query(7, name, kind), server, 53, sport=sport)
    return met + talk.datagram(bytes(100), server, 53, sport=sport, outbound=False)


def _initial(talk: Talk, name: str, label: str, *, sport: int | None = None, before: bytes = b"") -> str:
    """A QUIC Initial, then short headers both ways; `before` is a datagram in front of it."""
    rng = Random("distinct")  # noqa: S311 - repeatability is the point
    hello = quicbuild.crypto(quicbuild.client_hello(name, rng))
    first = quicbuild.initial(quicbuild.padded(hello, 1_100), dcid=rng.randbytes(8))
    server, port = talk.at(label), talk.port() if sport is None else sport
    met = talk.datagram(before, server, 443, sport=port) if before else ""
    met += talk.datagram(first, server, 443, sport=port)
    talk.lab.wait(2.0)  # where blocking does not begin at once
    for outbound in (False, True, False):
        met += talk.datagram(b"\x40" + bytes(99), server, 443, sport=port, outbound=outbound)
    return met


def _bulk(talk: Talk, first: bytes, label: str, port: int, packets: int) -> str:
    """A connection and many packets of it, from both sides by turns."""
    connection = talk.connection(talk.at(label), port)
    met = talk.handshake(connection) + talk.send(connection.data(first))
    for _ in range(packets // 2):
        met += talk.send(connection.data(bytes(1_000), outbound=False), False)
        met += talk.send(connection.ack())
    return met


for _name, _host, _label, _port in (
    ("listed name", LISTED, CLEAN, 443),
    ("listed name, another port", LISTED, CLEAN, 8443),
    ("listed name, suspected network", LISTED, SUSPECT, 443),
    ("name of the second list", SECOND, CLEAN, 443),
    ("name of the fourth list", FOURTH, CLEAN, 443),
    ("name of the province's list", PROVINCE, CLEAN, 443),
    ("open name", OPEN, CLEAN, 443),
    ("open name, suspected network", OPEN, SUSPECT, 443),
    ("open name, content network", OPEN, CDN, 443),
    ("open name at an allowed address", OPEN, SHOP, 443),
    ("allowed name at an allowed address", ALLOWED, SHOP, 443),
    ("allowed name elsewhere", ALLOWED, CLEAN, 443),
):
    PROBES[_name] = lambda talk, h=_host, w=_label, p=_port: _hello(talk, h, w, p)  # type: ignore[misc]


@_probe("listed name without TCP options")
def _(talk: Talk) -> str:
    return talk.ask(talk.connection(talk.at(CLEAN), timestamps=False), hellobuild.chrome(LISTED))


@_probe("listed name without a SYN")
def _(talk: Talk) -> str:
    connection = talk.connection(talk.at(CLEAN), timestamps=False)
    connection.syn()  # never sent, for its numbers
    connection.syn_ack()
    return talk.send(connection.data(hellobuild.chrome(LISTED)))


@_probe("listed name cut in two segments")
def _(talk: Talk) -> str:
    hello = hellobuild.chrome(LISTED)
    middle = hello.index(LISTED.encode()) + 5
    return talk.ask(talk.connection(talk.at(CLEAN)), hello[:middle], hello[middle:])


@_probe("listed name cut in two records")
def _(talk: Talk) -> str:
    hello = hellobuild.chrome(LISTED)
    return talk.ask(talk.connection(talk.at(CLEAN)), cut(hello, hello.index(LISTED.encode())))


@_probe("listed name in a segment with a wrong checksum")
def _(talk: Talk) -> str:
    connection = talk.connection(talk.at(CLEAN))
    met = talk.handshake(connection)
    met += talk.send(connection.data(hellobuild.chrome(LISTED), checksum="bad"))
    return met + talk.send(connection.data(hellobuild.chrome(OPEN)))


@_probe("same ports after a listed name")
def _(talk: Talk) -> str:
    first = talk.connection(talk.at(CLEAN))
    talk.ask(first, hellobuild.chrome(LISTED))
    talk.lab.jump(10)
    return talk.ask(talk.connection(talk.at(CLEAN), sport=first.client[1]), hellobuild.chrome(OPEN))


@_probe("new port after a listed name")
def _(talk: Talk) -> str:
    _hello(talk, LISTED, CLEAN)
    talk.lab.jump(10)
    return _hello(talk, OPEN, CLEAN)


@_probe("connection begun outside")
def _(talk: Talk) -> str:
    outside = (talk.at(CLEAN), 51_000)
    connection = craft.Connection(outside, (talk.reader, 443), outside_client=True)
    met = "".join(talk.send(raw, outbound) for raw, outbound in connection.handshake())
    return met + talk.send(connection.data(hellobuild.chrome(LISTED), outbound=False), False)


@_probe("request for a listed host")
def _(talk: Talk) -> str:
    return talk.ask(talk.connection(talk.at(CLEAN), 80), _request(LISTED))


@_probe("request for a listed host, another port")
def _(talk: Talk) -> str:
    return talk.ask(talk.connection(talk.at(CLEAN), 8080), _request(LISTED))


@_probe("request for a listed host, verb in small letters")
def _(talk: Talk) -> str:
    return talk.ask(talk.connection(talk.at(CLEAN), 80), _request(LISTED, verb="get"))


@_probe("request for an open host")
def _(talk: Talk) -> str:
    return talk.ask(talk.connection(talk.at(CLEAN), 80), _request(OPEN))


@_probe("unknown protocol on port 80, suspected network")
def _(talk: Talk) -> str:
    return talk.ask(talk.connection(talk.at(SUSPECT), 80), b"HELO, is anybody there?\n", b"HELO again\n")


@_probe("query for a listed name")
def _(talk: Talk) -> str:
    return _query(talk, LISTED)


@_probe("query for a listed name, AAAA")
def _(talk: Talk) -> str:
    return _query(talk, LISTED, kind=dnsmessage.AAAA)


@_probe("query for a listed name, no resolver there")
def _(talk: Talk) -> str:
    return _query(talk, LISTED, "sites")


@_probe("query for an open name")
def _(talk: Talk) -> str:
    return _query(talk, "open-weather.example")


@_probe("query for an open name, another resolver")
def _(talk: Talk) -> str:
    return _query(talk, OPEN, "resolver-c")


@_probe("query for a name of 120 characters")
def _(talk: Talk) -> str:
    return _query(talk, ".".join(["a" * 40] * 2 + ["b" * 30]) + ".example")


@_probe("query over TCP for a listed name")
def _(talk: Talk) -> str:
    message = dnsmessage.write_query(7, LISTED)
    connection = talk.connection(talk.at("resolvers-open", "resolver-a"), 53)
    return talk.ask(connection, len(message).to_bytes(2, "big") + message)


@_probe("QUIC, listed name")
def _(talk: Talk) -> str:
    return _initial(talk, LISTED, CLEAN)


@_probe("QUIC, listed name, low source port")
def _(talk: Talk) -> str:
    return _initial(talk, LISTED, CLEAN, sport=400)


@_probe("QUIC, listed name behind a decoy")
def _(talk: Talk) -> str:
    return _initial(talk, LISTED, CLEAN, before=b"\x40" + bytes(30))


@_probe("QUIC, open name")
def _(talk: Talk) -> str:
    return _initial(talk, OPEN, CLEAN)


@_probe("QUIC, open name, content network")
def _(talk: Talk) -> str:
    return _initial(talk, OPEN, CDN)


@_probe("WireGuard")
def _(talk: Talk) -> str:
    server, sport = talk.at(SUSPECT), talk.port()
    met = talk.datagram(b"\x01\0\0\0" + bytes(144), server, 51_820, sport=sport)
    met += talk.datagram(b"\x02\0\0\0" + bytes(88), server, 51_820, sport=sport, outbound=False)
    for number in range(4):
        met += talk.datagram(b"\x04\0\0\0" + bytes(60), server, 51_820, sport=sport, outbound=number % 2 == 0)
    return met


@_probe("DTLS 1.2 hello")
def _(talk: Talk) -> str:
    server, sport = talk.at(CLEAN), talk.port()
    fields = hellobuild.body((0xC02B, 0xC02F), [hellobuild.groups(29, 23)], version=0xFEFD, cookie=b"")
    met = "".join(talk.datagram(part, server, 40_000, sport=sport) for part in hellobuild.dtls(fields))
    talk.lab.jump(5)
    return met + talk.datagram(b"\x17\xfe\xfd" + bytes(60), server, 40_000, sport=sport)


@_probe("unknown datagrams")
def _(talk: Talk) -> str:
    server, sport = talk.at(CLEAN), talk.port()
    return "".join(talk.datagram(_OPAQUE, server, 9_999, sport=sport, outbound=out) for out in (True, False, True))


@_probe("opaque first payloads, forty connections")
def _(talk: Talk) -> str:
    met = [talk.ask(talk.connection(talk.at(SUSPECT)), _OPAQUE) for _ in range(40)]
    disturbed = sum(signs.strip("+") != "" for signs in met)
    return "never" if not disturbed else "always" if disturbed == len(met) else "sometimes"


@_probe("suspicious first payloads are probed")
def _(talk: Talk) -> str:
    rng = Random("distinct/probing")  # noqa: S311 - repeatability is the point
    for _ in range(20):
        talk.ask(talk.connection(talk.at(CLEAN), 8388), rng.randbytes(402))
    return "probed" if talk.lab.probes else "not probed"


@_probe("forty packets of TLS, suspected network")
def _(talk: Talk) -> str:
    return _bulk(talk, hellobuild.chrome(OPEN), SUSPECT, 443, 40)


@_probe("forty packets of TLS with an allowed name, suspected network")
def _(talk: Talk) -> str:
    return _bulk(talk, hellobuild.chrome(ALLOWED), SUSPECT, 443, 40)


@_probe("forty packets of SSH, suspected network")
def _(talk: Talk) -> str:
    return _bulk(talk, b"SSH-2.0-OpenSSH_9.2\r\n", SUSPECT, 22, 40)


@_probe("five connections of one browser at once")
def _(talk: Talk) -> str:
    return "".join(_hello(talk, "garden-photos.example", SUSPECT) for _ in range(5))


@_probe("hidden name behind the content network's own")
def _(talk: Talk) -> str:
    hello = hellobuild.chrome("cloudflare-ech.com", extra=[(0xFE0D, bytes(200))])
    return talk.ask(talk.connection(talk.at(CDN)), hello)


@_probe("four hundred connections to one address")
def _(talk: Talk) -> str:
    return "".join(talk.send(talk.connection(talk.at(SUSPECT), 22).syn()) for _ in range(400))


@_probe("echo request")
def _(talk: Talk) -> str:
    kind, number = (8, ICMP) if talk.version == 4 else (128, ICMPV6)
    body = bytes((kind, 0, 0, 0, 0, 1, 0, 1)) + bytes(32)
    return talk.send(ip_packet(packed_address(talk.reader), packed_address(talk.at(CLEAN)), number, body))


@_probe("data in a SYN's place")
def _(talk: Talk) -> str:
    connection = talk.connection(talk.at(CLEAN))
    return talk.send(connection.syn(hellobuild.chrome(LISTED), flags=PSH | ACK))


@_probe("listed name in IP fragments")
def _(talk: Talk) -> str:
    connection = talk.connection(talk.at(CLEAN))
    met = talk.handshake(connection)
    raw = connection.data(hellobuild.chrome(LISTED))
    return met + "".join(talk.send(part) for part in craft.fragments(raw, 200))

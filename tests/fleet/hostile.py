"""The table of hostile invites: everything somebody might hand a reader instead of an invite.

``rows()`` builds the table; ``python -m tests.fleet.hostile`` writes it to ``tests/data/hostile_invites.json`` for
suites in other languages. A row is (name, text); long texts are kept as a repetition.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rozaneh.fleet.invites import encode
from tests.fleet.builders import (
    PIN,
    REALITY_KEY,
    SHORT_ID,
    invite,
    link,
    raw_body,
    raw_reality,
    raw_source,
    raw_way,
    reality,
    way,
)

FILE = Path(__file__).parents[1] / "data" / "hostile_invites.json"


class Row(NamedTuple):
    """One hostile invite."""

    name: str
    text: str
    times: int = 1

    def full(self) -> str:
        """The whole text."""
        return self.text * self.times


HOSTS = {
    "program": b"/bin/sh",
    "path": b"../../etc/passwd",
    "absolute_path": b"/etc/shadow",
    "windows_path": b"c:\\windows\\system32\\cmd.exe",
    "unc_path": b"\\\\evil\\share",
    "url": b"http://evil.example/",
    "file_url": b"file:///etc/passwd",
    "javascript": b"javascript:alert(1)",
    "shell": b"a.example;reboot",
    "subshell": b"$(reboot).example",
    "backticks": b"`reboot`.example",
    "pipe": b"a|sh",
    "script_tag": b"<script>alert(1)</script>",
    "template": b"{{7*7}}.example",
    "format": b"%s%s%n.example",
    "sql": b"a' OR '1'='1",
    "crlf": b"a.example\r\nHost: evil",
    "lf": b"a.example\nX",
    "nul": b"a.example\x00.evil",
    "escape": b"a\x1b[2J.example",
    "space": b"a example",
    "tab": b"a\texample",
    "upper": b"News.Example",
    "homoglyph_utf8": "аpple.com".encode(),  # noqa: RUF001 - the look-alike is the point
    "fullwidth_utf8": "ｎews.example".encode(),  # noqa: RUF001
    "rtl_override_utf8": "a\u202eelpmaxe".encode(),
    "latin1": b"caf\xe9.example",
    "userinfo": b"user@a.example",
    "port": b"a.example:443",
    "final_dot": b"a.example.",
    "empty_label": b"a..example",
    "leading_dot": b".example",
    "leading_hyphen": b"-a.example",
    "trailing_hyphen": b"a-.example",
    "empty": b"",
    "ipv4": b"10.0.0.1",
    "ipv4_short": b"127.1",
    "ipv4_decimal": b"2130706433",
    "ipv4_hex": b"0x7f000001",
    "ipv6": b"::1",
    "ipv6_brackets": b"[::1]",
    "long_label": b"a" * 64 + b".example",
    "unix_socket": b"unix:/run/x.sock",
    "proxy_chain": b"socks5://127.0.0.1:1080",
}

# Addresses an unmarked invite must not lead to.
PRIVATE = [
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.254",
    "100.64.0.1",
    "127.0.0.1",
    "127.0.0.53",
    "169.254.1.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.254",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.1.254",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.5",
    "240.0.0.1",
    "::1",
    "::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:a00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00::1",
    "fe80::1",
    "fec0::1",
]
# Addresses no invite may lead to, whatever it is marked with.
NOWHERE = ["0.0.0.0", "224.0.0.1", "239.255.255.250", "255.255.255.255", "::", "ff02::1", "ff0e::1"]  # noqa: S104

TEXTS = {
    "empty": "",
    "blank": " \r\n\t",
    "scheme_alone": "rozaneh:",
    "scheme_twice": "rozaneh:rozaneh:AQAA",
    "scheme_upper": "ROZANEH:AQAA",
    "scheme_slashes": "rozaneh://AQAA",
    "scheme_spaced": "rozaneh: AQAA",
    "scheme_fullwidth": "rozaneh：AQAA",  # noqa: RUF001 - the look-alike is the point
    "scheme_homoglyph": "rоzaneh:AQAA",  # noqa: RUF001 - the look-alike is the point
    "scheme_zero_width": "roz\u200baneh:AQAA",
    "bom": "\ufeffrozaneh:AQAA",
    "file_url": "file:///etc/passwd",
    "http_url": "http://evil.example/invite",
    "https_url": "https://evil.example/invite",
    "javascript": "javascript:alert(1)",
    "data_url": "data:text/html,<script>alert(1)</script>",
    "vless": "vless://00000000-0000-0000-0000-000000000000@evil.example:443",
    "shadowsocks": "ss://YWVzLTI1Ni1nY206cGFzcw@127.0.0.1:8388",
    "path": "/etc/passwd",
    "home_path": "~/.ssh/id_ed25519",
    "program": "/bin/sh -c reboot",
    "inner_path": "rozaneh:../../etc/passwd",
    "inner_file": "rozaneh:file:///etc/passwd",
    "inner_url": "rozaneh:https://evil.example/",
    "inner_program": "rozaneh:$(reboot)",
    "inner_query": "rozaneh:AQAA?exec=/bin/sh",
    "inner_fragment": "rozaneh:AQAA#x",
    "json": '{"schema":"rozaneh.invite/1","exec":"/bin/sh"}',
    "json_deep": "[" * 2000,
    "xml": '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "yaml": "!!python/object/apply:os.system [reboot]",
    "pickle": "cos\nsystem\n(S'reboot'\ntR.",
    "toml": '[edge]\nlisten = "0.0.0.0:1"',
    "pem": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    "html": "<html><script>alert(1)</script></html>",
    "terminal": "\x1b]0;owned\x07\x1b[2J",
    "nul": "rozaneh:\x00AQAA",
    "dots": "rozaneh:....",
    "padding_only": "rozaneh:====",
    "short": "rozaneh:A",
    "version_alone": "rozaneh:AQ",
    "zeros": "rozaneh:" + "A" * 160,
    "ones": "rozaneh:" + "_" * 160,
    "one_too_long": "rozaneh:" + "A" * 293,
    "surrogate": "rozaneh:\udc80",
}


def rows() -> list[Row]:
    """The whole table."""
    return list(_rows())


def write() -> None:
    """Write the table to its file."""
    FILE.write_text(json.dumps([row._asdict() for row in rows()], indent=1) + "\n", encoding="ascii")


def _rows() -> Iterator[Row]:
    good = encode(invite())
    for name, text in TEXTS.items():
        yield Row(f"text/{name}", text)
    yield from _damaged(good)
    for name, host in HOSTS.items():
        yield Row(f"host/{name}", link(raw_body(ways=[raw_way(name=host)])))
    yield from _addresses()
    yield from _reality()
    yield from _structures()
    yield Row("huge/10_MB", "A", 10_485_760)
    yield Row("huge/10_MB_scheme", "rozaneh:AQAA", 900_000)
    yield Row("huge/10_MB_blank", "\n", 10_485_760)
    yield Row("huge/5000", "rozaneh:" + "A" * 5000)
    yield Row("huge/two_invites", good + "\n" + good)


def _damaged(good: str) -> Iterator[Row]:
    for length in range(len("rozaneh:"), len(good)):
        yield Row(f"truncated/{length}", good[:length])
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for at in range(len("rozaneh:"), len(good)):
        for bit in (0, 3, 5):  # each flips one bit of the body; the last character's low bits are padding
            flipped = alphabet[alphabet.index(good[at]) ^ (1 << bit)]
            yield Row(f"flipped/{at}.{bit}", good[:at] + flipped + good[at + 1 :])
    middle = len(good) // 2
    for name, inserted in (
        ("lf", "\n"),
        ("crlf", "\r\n"),
        ("space", " "),
        ("nul", "\x00"),
        ("equals", "="),
        ("plus", "+"),
    ):
        yield Row(f"inserted/{name}", good[:middle] + inserted + good[middle:])
    for tail in ("=", "==", "A", "AAAA", "#x", "?x=1", "/", "\x00"):
        yield Row(f"appended/{tail!r}", good + tail)
    yield Row("swapped/halves", "rozaneh:" + good[middle:] + good[len("rozaneh:") : middle])


def _addresses() -> Iterator[Row]:
    for text in PRIVATE:
        yield Row(f"private/{text}", link(raw_body(ways=[_way_to(text)])))
    for text in NOWHERE:
        for flags in (0, 1):
            yield Row(f"nowhere/{flags}/{text}", link(raw_body(flags=flags, ways=[_way_to(text)])))
    for text in ("::ffff:8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1"):
        for flags in (0, 1):
            yield Row(f"mapped/{flags}/{text}", link(raw_body(flags=flags, ways=[_way_to(text)])))
    yield Row("private/second_way", link(raw_body(ways=[raw_way(), _way_to("192.168.1.1")])))
    yield Row("local/mark_without_need", link(raw_body(flags=1)))
    yield Row("local/loop_unmarked", link(raw_body(ways=[_way_to("127.0.0.1", 1080)])))


def _reality() -> Iterator[Row]:
    good = encode(invite(reality()))
    for length in range(len("rozaneh:"), len(good), 7):
        yield Row(f"reality/truncated/{length}", good[:length])
    body = raw_body(ways=[raw_reality()])
    for length in range(len(body) - 60, len(body)):
        yield Row(f"reality/cut_with_checksum/{length}", link(body[:length]))
    yield Row("reality/key_short", link(raw_body(ways=[raw_reality(key=REALITY_KEY[:-1])])))
    yield Row("reality/key_long", link(raw_body(ways=[raw_reality(key=REALITY_KEY + b"\0")])))
    yield Row("reality/short_id_short", link(raw_body(ways=[raw_reality(short=SHORT_ID[:-1])])))
    yield Row("reality/short_id_long", link(raw_body(ways=[raw_reality(short=SHORT_ID + b"\0")])))
    yield Row("reality/ml_dsa_key", link(raw_body(ways=[raw_reality()], tail=bytes(1952))))
    yield Row("reality/as_tls", link(raw_body(ways=[b"\x01" + raw_reality()[1:]])))
    yield Row("reality/twice_the_same", link(raw_body(ways=[raw_reality(), raw_reality()])))
    yield Row("reality/port_0", link(raw_body(ways=[raw_reality(port=0)])))
    for name in ("url", "crlf", "nul", "program", "ipv4", "homoglyph_utf8"):
        yield Row(f"reality/host/{name}", link(raw_body(ways=[raw_reality(name=HOSTS[name])])))
    for text in ("10.0.0.1", "127.0.0.1", "169.254.169.254"):
        packed = ipaddress.ip_address(text).packed
        yield Row(f"reality/private/{text}", link(raw_body(ways=[raw_reality(address=packed)])))
        yield Row(f"reality/private_second/{text}", link(raw_body(ways=[raw_way(), raw_reality(address=packed)])))
    yield Row("reality/nowhere", link(raw_body(flags=1, ways=[raw_reality(address=bytes(4))])))


def _way_to(text: str, port: int = 443) -> bytes:
    address = ipaddress.ip_address(text)
    return raw_way(family=address.version, address=address.packed, port=port)


def _structures() -> Iterator[Row]:
    for version in (0, 2, 3, 16, 127, 128, 255):
        yield Row(f"version/{version}", link(raw_body(version=version)))
    for bit in range(1, 8):
        yield Row(f"flag/{bit}", link(raw_body(flags=1 << bit)))
    body = raw_body()
    for length in range(1, len(body)):
        yield Row(f"cut_with_checksum/{length}", link(body[:length]))
    for at in range(4):
        wrong = bytearray(4)
        wrong[at] = 1
        right = bytes.fromhex("00000000")
        yield Row(f"checksum/{at}", link(body, bytes(a ^ b for a, b in zip(right, wrong, strict=True))))
    yield Row("checksum/missing", link(body, b""))
    for count in (0, 3, 255):
        yield Row(f"way_count/{count}", link(raw_body(way_count=count)))
        yield Row(f"source_count/{count}", link(raw_body(source_count=count)))
    yield Row("ways/three", link(raw_body(ways=[raw_way(port=port, pinned=0) for port in (1, 2, 3)])))
    yield Row("ways/twice_the_same", link(raw_body(ways=[raw_way(), raw_way()])))
    yield Row("sources/twice_the_same", link(raw_body(sources=[raw_source(), raw_source()])))
    for kind in (0, 2, 3, 255):
        yield Row(f"way_kind/{kind}", link(raw_body(ways=[raw_way(kind=kind)])))  # 2 is another kind's shape
        yield Row(f"source_kind/{kind}", link(raw_body(sources=[raw_source(kind=kind)])))
    for family in (0, 1, 5, 16, 255):
        yield Row(f"family/{family}", link(raw_body(ways=[raw_way(family=family)])))
    yield Row("family/six_with_four_bytes", link(raw_body(ways=[raw_way(family=6)])))
    yield Row("port/0", link(raw_body(ways=[raw_way(port=0)])))
    for kind in (2, 255):
        yield Row(f"pin_kind/{kind}", link(raw_body(ways=[raw_way(pinned=kind)])))
    yield Row("pin/short", link(raw_body(ways=[raw_way(pin=PIN[:-1])])))
    for name in (b"", b"Default", b"../x", b"a/b", b"a b", b"-a", b"a" * 33, b"a\x00", b"\xff", b"http://x", b"file:x"):
        yield Row(f"compartment/{name!r}", link(raw_body(sources=[raw_source(name)])))
    for tail in (b"\x00", b"\x01", b"/bin/sh\x00", bytes(32)):
        yield Row(f"tail/{tail[:4].hex()}", link(raw_body(tail=tail)))
    long = way(address="[2606:4700:4700::1111]:443", name="a" * 60 + "." + "b" * 50 + ".example")
    assert long.shareable
    oversize = [raw_way(name=b"a" * 60 + b"." + b"b" * 60 + b"." + bytes([c]) * 20) for c in b"xy"]
    yield Row("size/over_300", link(raw_body(ways=oversize)))


if __name__ == "__main__":
    write()

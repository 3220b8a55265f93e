"""One line, one object, one canonical form; and no line shows where an edge is unless it was asked to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rozaneh.core.addresses import Endpoint
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.ways.catalogue import encode_key, encode_pin
from rozaneh.ways.grammar import MAX_LAYERS, MAX_LINE, Way, make, parse, parse_canonical

DATA = Path(__file__).parents[1] / "data"
PIN = encode_pin(bytes(range(32)))
REALITY = f"key={PIN},short=0123456789abcdef"
MLDSA = encode_key(bytes(1952))

labels = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
hosts = st.lists(labels, min_size=1, max_size=4).map(".".join)
endpoints = st.builds(
    Endpoint, st.ip_addresses().filter(lambda a: not getattr(a, "ipv4_mapped", None)), st.integers(1, 65535)
).map(str)
credentials = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40)
users = credentials.filter(lambda text: ":" not in text)


@st.composite
def ways(draw: st.DrawFn) -> Way:
    values: dict[str, str | None] = {"address": draw(endpoints)}
    transport = draw(st.sampled_from(["h2+tls", "h2+reality", "vless+reality", "socks5"]))
    if transport != "socks5":
        values["name"] = draw(hosts)
        values["look"] = draw(st.none() | st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True))
    if transport.startswith("h2"):
        values["carriers"] = draw(st.sampled_from([None, "1", "2"]))
    if transport == "h2+tls":
        values["pin"] = draw(st.none() | st.binary(min_size=32, max_size=32).map(encode_pin))
    if transport.endswith("+reality"):
        values["key"] = draw(st.binary(min_size=32, max_size=32).map(encode_key))
        values["short"] = draw(st.binary(min_size=8, max_size=8)).hex()
    if transport == "h2+reality":
        values["mldsa"] = draw(st.none() | st.binary(min_size=1, max_size=1).map(lambda b: encode_key(b * 1952)))
    if transport == "vless+reality":
        values["id"] = draw(st.none() | st.uuids().map(str))
    elif draw(st.booleans()):
        values |= {"user": draw(users), "password": draw(credentials)}
    return make(transport, **values)


@st.composite
def chains(draw: st.DrawFn) -> Way:
    parts = draw(st.lists(ways(), min_size=1, max_size=MAX_LAYERS))
    return Way(tuple(layer for way in parts for layer in way.layers))


@given(chains())
def test_print_and_parse_are_inverse(way: Way) -> None:
    assert parse(str(way)) == way
    assert parse_canonical(str(way)) == way
    assert hash(parse(str(way))) == hash(way)


@given(chains())
def test_redacted_shows_no_value_that_leads_anywhere(way: Way) -> None:
    for shown in (way.redacted(), repr(way)):
        for layer in way.layers:
            for name, value in layer.values.items():
                if name not in ("carriers", "look") and len(value) > 8:
                    assert value not in shown
        assert shown.count("|") == len(way.layers) - 1


@given(st.text(max_size=200))
def test_any_text_is_a_way_or_a_fault(text: str) -> None:
    try:
        way = parse(text)
    except Fault as fault:
        assert fault.kind in (FaultKind.CONFIG, FaultKind.UNSUPPORTED)  # noqa: PT017
    else:
        assert parse(str(way)) == way


@given(chains(), st.data())
def test_one_changed_character_never_crashes(way: Way, data: st.DataObject) -> None:
    text = str(way)
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.characters(max_codepoint=0x2FF)) + text[at + 1 :]
    try:
        assert parse(str(parse(changed))) == parse(changed)
    except Fault as fault:
        assert fault.kind in (FaultKind.CONFIG, FaultKind.UNSUPPORTED)  # noqa: PT017


def test_golden() -> None:
    for row in json.loads((DATA / "ways.json").read_text()):
        way = parse(row["written"])
        assert str(way) == row["canonical"]
        assert way.redacted() == row["redacted"]
        assert way.shareable is row["shareable"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "h2+tls",
        "h2+tls(",
        "h2+tls()",
        "h2+tls)",
        "(address=1.2.3.4:5)",
        "h2+tls(address)",
        "h2+tls(address=)",
        "h2+tls(address=1.2.3.4:443)",
        "h2+tls(name=a)",
        "h2+tls(address=1.2.3.4:443,name=a,)",
        "h2+tls(address=1.2.3.4:443,,name=a)",
        "h2+tls(address=1.2.3.4:443 name=a)",
        "h2+tls(address=1.2.3.4:443,name=a)x",
        "h2+tls(address=1.2.3.4:443,name=a)|",
        "|h2+tls(address=1.2.3.4:443,name=a)",
        "h2+tls(address=1.2.3.4:443,name=a)h2+tls(address=1.2.3.4:443,name=a)",
        "h2+tls(address=1.2.3.4:443,name=a,name=a)",
        "h2+tls(address=1.2.3.4:443,name=a,unknown=1)",
        "h2+tls(address=1.2.3.4:443,name=a,user=x)",
        "h2+tls(address=1.2.3.4:443,name=a,password=x)",
        "h2+tls(address=1.2.3.4:443,name=a,user=x:y,password=z)",
        "h2+tls(address=1.2.3.4:443,name=a,carriers=3)",
        "h2+tls(address=1.2.3.4:443,name=a,carriers=02)",
        "h2+tls(address=news.example:443,name=a)",
        "h2+tls(address=1.2.3.4,name=a)",
        "h2+tls(address=127.1:443,name=a)",
        "h2+tls(address=1.2.3.4:443,name=A)",
        "h2+tls(address=1.2.3.4:443,name=аpple.com)",  # noqa: RUF001 - the look-alike is the point
        "h2+tls(address=1.2.3.4:443,name=a,pin=short)",
        'h2+tls(address=1.2.3.4:443,name="a\r\nb")',
        'h2+tls(address=1.2.3.4:443,name="a)',
        'h2+tls(address=1.2.3.4:443,name="a\\n")',
        "h2+tls(address=1.2.3.4:443,name=a)\n",
        "h2+tls(address=1.2.3.4:443,name=a,look=../x)",
        "h2+tls(address=1.2.3.4:443,name=a,look=Chromium)",
        f"h2+tls(address=1.2.3.4:443,name=a,key={PIN})",
        f"h2+reality(address=1.2.3.4:443,name=a,key={PIN})",
        "h2+reality(address=1.2.3.4:443,name=a,short=0123456789abcdef)",
        f"h2+reality(address=1.2.3.4:443,name=a,key={PIN[:-2]},short=0123456789abcdef)",
        f"h2+reality(address=1.2.3.4:443,name=a,key={PIN}=,short=0123456789abcdef)",
        f"h2+reality(address=1.2.3.4:443,name=a,key={PIN},short=0123456789abcde)",
        f"h2+reality(address=1.2.3.4:443,name=a,key={PIN},short=0123456789ABCDEF)",
        f"h2+reality(address=1.2.3.4:443,name=a,{REALITY},mldsa={PIN})",
        f"h2+reality(address=1.2.3.4:443,name=a,{REALITY},mldsa={MLDSA}A)",
        f"h2+reality(address=1.2.3.4:443,name=a,{REALITY},pin={PIN})",
        f"h2+reality(address=1.2.3.4:443,name=a,{REALITY},user=u)",
        f"vless+reality(address=1.2.3.4:443,name=a,{REALITY},user=u,password=p)",
        f"vless+reality(address=1.2.3.4:443,name=a,{REALITY},mldsa={MLDSA})",
        f"vless+reality(address=1.2.3.4:443,name=a,{REALITY},id=ABCDEF00-0000-4000-8000-000000000000)",
        f"vless+reality(address=1.2.3.4:443,name=a,{REALITY},id=abcdef0000004000800000000000000)",
        "+h2(address=1.2.3.4:443,name=a)",
        "H2+TLS(address=1.2.3.4:443,name=a)",
        "2h(address=1.2.3.4:443)",
        "|".join(["socks5(address=1.2.3.4:1)"] * (MAX_LAYERS + 1)),
        "x" * (MAX_LINE + 1),
    ],
)
def test_what_is_no_way(text: str) -> None:
    with pytest.raises(Fault) as caught:
        parse(text)
    assert caught.value.kind is FaultKind.CONFIG


@pytest.mark.parametrize(
    "text", ["exec(cmd=sh)", "file(path=x)", "h2(address=1.2.3.4:443)", "h3+tls(address=1.2.3.4:443)", "direct()"]
)
def test_unknown_transports_are_another_matter(text: str) -> None:
    with pytest.raises(Fault) as caught:
        parse(text)
    assert caught.value.kind is FaultKind.UNSUPPORTED


def test_a_refusal_repeats_no_value() -> None:
    for text in (
        "h2+tls(address=93.184.215.999:443,name=a)",
        "h2+tls(address=1.2.3.4:1,name=secret_host.X)",
        "h2+tls(pin=topsecret,x=1)",
    ):
        with pytest.raises(Fault) as caught:
            parse(text)
        words = f"{caught.value} {caught.value.hint}"
        assert not [part for part in ("93.184", "secret_host", "topsecret") if part in words]


@pytest.mark.parametrize(
    "text",
    [
        " h2+tls(address=1.2.3.4:443,name=a)",
        "h2+tls(name=a,address=1.2.3.4:443)",
        'h2+tls(address="1.2.3.4:443",name=a)',
        "h2+tls(address=1.2.3.4:443,name=a,carriers=2)",
    ],
)
def test_readable_but_not_canonical(text: str) -> None:
    parse(text)
    with pytest.raises(Fault):
        parse_canonical(text)


def test_credentials_are_never_shareable() -> None:
    assert make("h2+tls", address="1.2.3.4:443", name="a", pin=PIN).shareable
    assert not make("h2+tls", address="1.2.3.4:443", name="a", user="u", password="p").shareable
    assert not make("socks5", address="1.2.3.4:443").shareable
    reality = {"address": "1.2.3.4:443", "name": "a", "key": PIN, "short": "0123456789abcdef"}
    assert make("h2+reality", **reality, mldsa=MLDSA).shareable
    assert not make("h2+reality", **reality, user="u", password="p").shareable
    assert make("vless+reality", **reality).shareable
    assert not make("vless+reality", **reality, id="abcdef00-0000-4000-8000-000000000000").shareable


def test_the_longest_way_with_an_ml_dsa_key_is_a_line() -> None:
    name = ".".join(["a" * 63] * 3 + ["b" * 61])
    address = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"
    values = {"key": PIN, "short": "0123456789abcdef", "mldsa": MLDSA, "look": "x" * 64, "carriers": "2"}
    way = make("h2+reality", address=address, name=name, **values)
    assert len(name) == 253
    assert len(str(way)) < 3100
    filled = make("h2+reality", address=address, name=name, **values, user="\\" * 255, password='"' * 255)
    assert parse_canonical(str(filled)) == filled
    whole = Way(filled.layers * MAX_LAYERS)
    assert parse_canonical(str(whole)) == whole

"""The HTTP filter: which requests match in which reading, Iran's page, and resets in its place."""

from __future__ import annotations

from typing import Any

import pytest

from rozaneh.lab.craft import READER, Connection
from rozaneh.lab.packet import ACK, FIN, PSH, RST
from rozaneh.lab.verify._boxes import opened, request, split
from tests.lab.censors.bench import Bench, injected

NAME = "blocked.example"


def box(**params: Any) -> Bench:
    return Bench("http_host", **{"names": [NAME], "drop": "trigger", "reassembly": "none", **params})


def connection(*, v6: bool = False) -> Connection:
    one = Connection(v6=v6)
    one.server = (one.server[0], 8_080)
    return one


def acts(bench: Bench, one: Connection, *pieces: bytes) -> bool:
    passed = [bench.passes(raw, outbound) for raw, outbound in opened(one, *pieces)]
    return not all(passed)


ASK = request(NAME)


@pytest.mark.parametrize(
    ("head", "hit"),
    [
        (ASK, True),
        (request("www.blocked.example:8080"), True),
        (request("BLOCKED.example"), True),
        (ASK.replace(b"GET", b"POST"), True),
        (ASK.replace(b"GET", b"gET"), False),
        (ASK.replace(b"GET", b"BREW"), False),
        (ASK.replace(b"HTTP/1.1", b"HTTP/9"), True),
        (ASK.replace(b"HTTP/1.1", b"HTML/1.1"), False),
        (ASK.replace(b"Host:", b"hOST:"), True),
        (request("fine.example"), False),
        (request("fine.example") + b"Host: blocked.example\r\n\r\n", False),
        (b"\x16\x03\x01 Host: blocked.example\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: blocked.example\r\n", True),  # the shortest [P SP'25 4.1]
        (b"GET / HTTP/1.1\r\nHost: blocked.example", False),
    ],
)
@pytest.mark.parametrize("reassembly", ["none", "full"])
@pytest.mark.parametrize("v6", [False, True])
def test_requests(head: bytes, hit: bool, reassembly: str, v6: bool) -> None:
    assert acts(box(reassembly=reassembly), connection(v6=v6), head) is hit


def test_a_keyword_in_the_path_and_not_elsewhere() -> None:
    bench = {"names": [], "paths": ["falun"]}
    assert acts(box(**bench), connection(), request("fine.example", "/search?q=FaLuN"))
    assert acts(box(**bench), connection(), request("fine.example", "http://fine.example/falun"))
    assert not acts(box(**bench), connection(), request("falun.example", "http://falun.example/"))


@pytest.mark.parametrize("reassembly", ["none", "in_order", "full"])
def test_segments(reassembly: str) -> None:
    middle = ASK.index(b"blocked") + 3
    assert acts(box(reassembly=reassembly), connection(), *split(ASK, middle)) is (reassembly != "none")
    assert acts(box(reassembly=reassembly), connection(), *split(ASK, 2)) is (reassembly != "none")


@pytest.mark.parametrize("reassembly", ["none", "full"])
def test_later_requests_of_a_connection_are_read_too(reassembly: str) -> None:
    assert acts(box(reassembly=reassembly), connection(), request("fine.example"), ASK)
    assert acts(box(reassembly=reassembly, gives_up=True), connection(), request("fine.example"), ASK)
    assert acts(box(reassembly=reassembly), connection(), *[request("fine.example")] * 30, ASK)
    upload = [b"x" * 100] * 20
    assert acts(box(reassembly=reassembly, looks=30), connection(), request("fine.example"), *upload, ASK)
    assert not acts(box(reassembly=reassembly), connection(), request("fine.example"), *upload, ASK)


@pytest.mark.parametrize("gives_up", [False, True])
def test_junk_in_front(gives_up: bool) -> None:
    assert acts(box(gives_up=gives_up), connection(), b"\0" * 50, ASK) is not gives_up


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("page", ["iran-2020", "iran-2024"])
def test_the_page_ends_the_connection_in_the_servers_name(page: str, v6: bool) -> None:
    bench, one = box(page=page, resets=["iran-http"]), connection(v6=v6)
    bench.opens(one)
    outcome = bench.send(one.data(ASK))
    assert outcome.forward is None
    shown, reset = injected(outcome, "in")
    assert shown.tcp
    assert shown.tcp.flags == FIN | PSH | ACK
    assert (shown.tcp.seq, shown.tcp.ack) == (one.server_seq, one.seq)
    assert shown.ip.src == one.server[0]
    head, _, body = shown.payload.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 Forbidden\r\nConnection: close")
    assert b'<iframe src="http://10.10.34.36/?type=Invalid Keyword&policy=MainPolicy "' in body
    assert reset.tcp
    assert (reset.tcp.flags, reset.payload) == (RST | PSH | ACK, b"")
    if page == "iran-2024":
        assert b"Content-Length: 337" in head
        assert len(body) == 337
    elif not v6:
        assert 402 <= len(shown.raw) + 14 <= 405


def test_a_page_with_a_text_has_the_length_it_needs() -> None:
    bench, one = box(page="iran-2024", text="Nothing <here>" * 20), connection()
    bench.opens(one)
    (shown,) = injected(bench.send(one.data(ASK)), "in")
    head, _, body = shown.payload.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Nothing &lt;here&gt;" in body


def test_a_share_of_the_names_gets_resets_in_the_pages_place() -> None:
    names = [f"site-{number}.example" for number in range(200)]
    kinds = {}
    for number, name in enumerate(names):
        bench = box(names=names, page="iran-2024", resets=["iran"], reset_share=0.25)
        one = Connection(client=(READER, 1_024 + number))
        bench.opens(one)
        packets = injected(bench.send(one.data(request("www." + name))), "in")
        kinds[name] = "page" if any(p.payload for p in packets) else "reset"
    assert 30 < list(kinds.values()).count("reset") < 72
    # The same name meets the same, whoever asks.
    bench = box(names=names, page="iran-2024", resets=["iran"], reset_share=0.25)
    one = Connection()
    bench.opens(one)
    packets = injected(bench.send(one.data(request(names[0]))), "in")
    assert ("page" if any(p.payload for p in packets) else "reset") == kinds[names[0]]


def test_the_resets_of_2013_go_to_the_server_at_two_places() -> None:
    bench, one = box(resets=["iran-2013"]), connection()
    bench.opens(one)
    found = injected(bench.send(one.data(ASK)), "out")
    assert [p.tcp.seq - one.isn - 1 for p in found if p.tcp] == [0, 0, 0, 30, 30]
    assert {p.tcp.flags for p in found if p.tcp} == {RST}


def test_the_residual_is_kept_alive_by_retransmissions() -> None:
    bench, one = box(drop="both", residual_s=180.0, residual_restarts=True), connection()
    bench.opens(one)
    assert not bench.passes(one.data(ASK))
    for _ in range(3):
        bench.jump(179)
        assert not bench.passes(one.data(ASK, at=0))
    bench.jump(181)
    assert bench.passes(one.data(b"x"))

"""A visit tells what a web server is, by real handshakes on loopback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from rozaneh.core.addresses import Endpoint
from rozaneh.edge.visit import _RETRY, Visit, _agreed, _records, days_left, visit
from tests.edge.sites import silent, site


def test_a_server_that_can_be_borrowed(tmp_path: Path) -> None:
    with site(tmp_path, "news.example") as at:
        found = visit(at, "news.example")
        assert found is not None
        assert (found.for_name, found.borrowable, found.self_signed, found.software) == (True, True, True, "nginx")
        assert 300 < found.largest_record < 1200  # one small certificate
        other = visit(at, "other.example")
        assert other is not None
        assert not other.for_name


@pytest.mark.parametrize(("software", "told"), [("Caddy", "caddy"), ("nginx/1.22.1", "nginx"), ("Apache", "other")])
def test_what_it_says_of_itself(tmp_path: Path, software: str, told: str) -> None:
    with site(tmp_path, "news.example", software=software) as at:
        found = visit(at, "news.example")
    assert found is not None
    assert found.software == told


@pytest.mark.parametrize("options", [{"newest": "TLSv1_2"}, {"curve": "prime256v1"}])
def test_one_that_cannot(tmp_path: Path, options: dict[str, str]) -> None:
    with site(tmp_path, "news.example", **options) as at:  # type: ignore[arg-type]
        found = visit(at, "news.example")
    assert found is not None
    assert (found.for_name, found.borrowable) == (True, False)


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x03\x00\x02\x02\x28", b"\x16\x03\x03\xff\xff"]
)
def test_what_speaks_no_tls(said: bytes) -> None:
    with silent(said) as at:
        assert visit(at, "news.example") is None


def test_a_closed_port_and_one_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert visit(Endpoint.parse(f"127.0.0.1:{port}"), "news.example", seconds=0.05) is None
    assert visit(Endpoint.parse(f"127.0.0.1:{port}"), "news.example") is None


def test_the_group_is_read_from_the_first_answer() -> None:
    body = b"\x03\x03" + bytes(32) + b"\x02id" + b"\x13\x01\x00" + b"\x00\x0e" + b"\x00\x2b\x00\x02\x03\x04"
    hello = b"\x02\x00\x00\x40" + body + b"\x00\x33\x00\x04\x00\x1d\x00\x00"
    flight = b"\x16\x03\x03\x00\x40" + hello
    assert _agreed(flight) == 0x1D
    assert _agreed(flight.replace(bytes(32), _RETRY)) is None
    for cut in range(7, len(flight)):
        assert _agreed(flight[:-cut]) is None
    for bit in range(8 * len(flight)):
        bent = bytearray(flight)
        bent[bit >> 3] ^= 1 << (bit & 7)
        _agreed(bytes(bent))  # says something, whatever it is given


def test_records() -> None:
    flight = b"\x16\x03\x03\x00\x02ab" + b"\x14\x03\x03\x00\x01\x01" + b"\x17\x03\x03\x01\x00" + bytes(256)
    assert list(_records(flight)) == [(22, 7), (20, 6), (23, 261)]
    for cut in range(1, 261):
        assert list(_records(flight[:-cut])) == [(22, 7), (20, 6)]


def test_days() -> None:
    found = Visit(
        for_name=True, borrowable=True, self_signed=False, expires=86_400 * 3, largest_record=0, software="other"
    )
    assert [days_left(found, now) for now in (0, 1, 86_400 * 3, 86_400 * 3 + 1)] == [3, 2, 0, -1]

"""The cover follows from one word or from what stands beside the edge; what cannot work is found before it is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rozaneh.core.addresses import Endpoint, parse_address
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.edge.cover import check_cover, judge, resolve, settle, to_cover
from rozaneh.edge.layout import EdgeSettings
from rozaneh.edge.neighbours import Neighbour
from rozaneh.edge.visit import ML_DSA_RECORD, Visit
from rozaneh.engine.config import Directory, Proxy, Stock
from tests.edge.sites import site

HERE = Endpoint.parse("93.184.215.14:443")
PLAIN = EdgeSettings(listen=HERE, host="news.example", address=HERE.address)
WILD = replace(PLAIN, listen=Endpoint.parse("0.0.0.0:443"))
GOOD = Visit(
    for_name=True, borrowable=True, self_signed=False, expires=0, largest_record=ML_DSA_RECORD, software="nginx"
)


def beside(bound: str, at: str | None = None, found: Visit = GOOD) -> Neighbour:
    return Neighbour(Endpoint.parse(bound), Endpoint.parse(at or bound), found)


def refused(settings: EdgeSettings) -> Fault:
    with pytest.raises(Fault) as caught:
        check_cover(settings)
    assert caught.value.kind is FaultKind.CONFIG
    return caught.value


def test_kinds() -> None:
    assert to_cover(None) == Stock()
    assert to_cover("/srv/www") == Directory(path="/srv/www")
    assert to_cover("https://site.example/") == Proxy(url="https://site.example/")


def test_a_directory_must_be_there(tmp_path: Path) -> None:
    for way in ("h2+tls", "h2+reality"):
        for cover in (None, "https://site.example/", str(tmp_path)):
            check_cover(replace(PLAIN, way=way, cover=cover))
        (tmp_path / "file").write_text("x")
        for wrong in (tmp_path / "missing", tmp_path / "file"):
            refused(replace(PLAIN, way=way, cover=str(wrong)))


def test_post_quantum_signatures_need_a_long_chain() -> None:
    refused(replace(PLAIN, post_quantum=True))
    refused(replace(PLAIN, way="h2+reality", post_quantum=True))
    assert judge(GOOD, post_quantum=True) is None
    short = replace(GOOD, largest_record=ML_DSA_RECORD - 1)
    assert judge(short, post_quantum=False) is None
    assert str(ML_DSA_RECORD) in (judge(short, post_quantum=True) or "")


@pytest.mark.parametrize("found", [None, replace(GOOD, for_name=False), replace(GOOD, borrowable=False)])
def test_what_cannot_be_a_cover(found: Visit | None) -> None:
    assert judge(found, post_quantum=False)


# ---- what was left open is decided by what stands there


def test_without_a_web_server_it_is_as_it_was() -> None:
    assert settle(PLAIN, None, lambda _: []) == replace(PLAIN, way="h2+tls")
    assert settle(PLAIN, "h2+reality", lambda _: []) == replace(PLAIN, way="h2+reality")


def test_a_web_server_beside_the_edge_is_the_cover() -> None:
    asked: list[str] = []

    def look(name: str) -> list[Neighbour]:
        asked.append(name)
        return [beside("127.0.0.1:8443"), beside("0.0.0.0:9443", "127.0.0.1:9443")]

    for way in (None, "h2+reality"):
        assert settle(PLAIN, way, look) == replace(PLAIN, way="h2+reality", cover="tls:127.0.0.1:8443")
    assert asked == ["news.example"] * 2
    six = beside("[::]:8443", "[::1]:8443")
    assert settle(PLAIN, None, lambda _: [six]).borrowed == "[::1]:8443"


def test_one_without_tls_13_is_passed_over() -> None:
    old = beside("127.0.0.1:8443", found=replace(GOOD, borrowable=False))
    assert settle(PLAIN, None, lambda _: [old]).way == "h2+tls"
    assert settle(PLAIN, None, lambda _: [old, beside("127.0.0.1:8444")]).borrowed == "127.0.0.1:8444"


def test_what_the_operator_chose_stays() -> None:
    def nobody(_: str) -> list[Neighbour]:
        raise AssertionError("nothing was left open")

    chosen = replace(PLAIN, cover="/srv/www")
    assert settle(chosen, None, nobody) == replace(chosen, way="h2+tls")
    assert settle(chosen, "h2+reality", nobody) == replace(chosen, way="h2+reality")
    assert settle(PLAIN, "h2+tls", nobody) == replace(PLAIN, way="h2+tls")
    assert settle(replace(PLAIN, cert=Path("/c"), key=Path("/k")), None, nobody).way == "h2+tls"
    borrowed = replace(PLAIN, cover="tls:site.example:443")
    assert settle(borrowed, None, nobody).way == "h2+reality"
    assert "h2+reality" in refused(settle(borrowed, "h2+tls", nobody)).hint


@pytest.mark.parametrize(
    ("settings", "bound", "software", "lines"),
    [
        (
            PLAIN,
            "0.0.0.0:443",
            "nginx",
            ["listen 127.0.0.1:8443 ssl;", "port_in_redirect off;", "systemctl reload nginx"],
        ),
        (WILD, "127.0.0.1:443", "nginx", ["`listen 443 ssl;`"]),
        (WILD, "[::]:443", "caddy", ["https_port 8443", "protocols h1 h2", "systemctl reload caddy"]),
        (PLAIN, "0.0.0.0:443", "other", ["127.0.0.1:8443"]),
    ],
)
def test_a_web_server_on_our_port_stops_with_the_lines(
    settings: EdgeSettings, bound: str, software: str, lines: list[str]
) -> None:
    found = beside(bound, "127.0.0.1:443", replace(GOOD, software=software))
    for way in (None, "h2+reality"):
        with pytest.raises(Fault) as caught:
            settle(settings, way, lambda _: [beside("127.0.0.1:9443"), found])
        assert caught.value.kind is FaultKind.CONFIG
        assert [line for line in lines if line not in caught.value.hint] == []


def test_the_lines_never_name_the_edges_own_port() -> None:
    odd = replace(PLAIN, listen=Endpoint.parse("93.184.215.14:8443"))
    with pytest.raises(Fault) as caught:
        settle(odd, None, lambda _: [beside("0.0.0.0:8443", "127.0.0.1:8443")])
    assert "127.0.0.1:8444" in caught.value.hint


def test_another_address_with_our_port_is_not_in_the_way() -> None:
    assert settle(PLAIN, None, lambda _: [beside("127.0.0.1:443")]).borrowed == "127.0.0.1:443"


# ---- a site that is named


def test_resolving() -> None:
    assert resolve("127.0.0.1:8443") == Endpoint.parse("127.0.0.1:8443")
    assert resolve("[::1]:8443") == Endpoint.parse("[::1]:8443")
    assert resolve("localhost:8443").address.is_loopback
    with pytest.raises(Fault) as caught:
        resolve("nowhere.invalid:443")
    assert caught.value.kind is FaultKind.CONFIG


def test_a_borrowed_site_is_visited_before_the_edge_is_made(tmp_path: Path) -> None:
    with site(tmp_path, "news.example") as at:
        fronted = replace(PLAIN, way="h2+reality", cover=f"tls:{at}")
        check_cover(fronted)
        assert "not for the name" in refused(replace(fronted, host="other.example")).why
        assert "ML-DSA" in refused(replace(fronted, post_quantum=True)).why
        assert "choose `--way h2+reality`" in refused(replace(fronted, way="h2+tls")).hint
    assert "TLS" in refused(fronted).why


def test_an_edge_is_never_its_own_cover() -> None:
    for listen, address, cover in (
        ("93.184.215.14:443", "93.184.215.14", "tls:93.184.215.14:443"),
        ("0.0.0.0:443", "93.184.215.14", "tls:127.0.0.1:443"),
    ):
        settings = EdgeSettings(
            listen=Endpoint.parse(listen),
            host="news.example",
            address=parse_address(address),
            way="h2+reality",
            cover=cover,
        )
        assert "own cover" in refused(settings).what

"""Ways become upstreams with the reader's credentials, and nothing half-made."""

from __future__ import annotations

import pytest

from rozaneh.client.upstreams import look_of, looks, to_upstream
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.data import browsers
from rozaneh.engine.config import H2Upstream, RealitySecurity, Socks5Upstream, TlsSecurity, VlessUpstream
from rozaneh.ways.catalogue import encode_key
from rozaneh.ways.grammar import parse
from tests.fleet.builders import MLDSA, REALITY_KEY, SHORT_ID, invite, reality, way


def test_h2_takes_the_invites_credentials() -> None:
    mine = invite().credentials()
    made = to_upstream(way(), "x", mine)
    assert isinstance(made, H2Upstream)
    assert (made.user, made.password) == (mine.user.reveal(), mine.password.reveal())
    assert (made.address, made.server_name, made.carriers) == ("93.184.215.14:443", "news.example", 2)
    assert made.security == TlsSecurity(pin=way().last.get("pin"))
    assert made.look == "chromium"
    assert made.password not in repr(made)


def test_credentials_in_the_way_come_first() -> None:
    made = to_upstream(parse("h2+tls(address=1.2.3.4:443,name=a,user=u,password=p)"), "x", invite().credentials())
    assert isinstance(made, H2Upstream)
    assert (made.user, made.password, made.security) == ("u", "p", TlsSecurity())


def test_reality_takes_its_keys_and_the_corrected_clock() -> None:
    mine = invite().credentials()
    made = to_upstream(reality(mldsa=MLDSA), "x", mine, clock_offset=-3600)
    assert isinstance(made, H2Upstream)
    keys = {"public_key": encode_key(REALITY_KEY), "short_id": SHORT_ID.hex(), "mldsa65": encode_key(MLDSA)}
    assert made.security == RealitySecurity(**keys, clock_offset_s=-3600)
    assert (made.user, made.carriers) == (mine.user.reveal(), 1)
    assert encode_key(REALITY_KEY) not in repr(made) + repr(made.security)


def test_vless_takes_the_invites_id_or_the_ways_own() -> None:
    mine = invite().credentials()
    line = "vless" + str(reality())[2:]
    made = to_upstream(parse(line), "x", mine)
    assert isinstance(made, VlessUpstream)
    assert made.id == mine.vless_id.reveal()
    assert isinstance(made.security, RealitySecurity)
    assert made.id not in repr(made)
    own = to_upstream(parse(line[:-1] + ",id=5783a3e7-e373-41cd-8642-c83782b807c5)"), "x", mine)
    assert isinstance(own, VlessUpstream)
    assert own.id == "5783a3e7-e373-41cd-8642-c83782b807c5"
    with pytest.raises(Fault) as caught:
        to_upstream(parse(line), "x", None)
    assert caught.value.kind is FaultKind.CONFIG


def test_looks_are_signed_data_and_an_unknown_one_is_replaced() -> None:
    firefox = parse(str(way())[:-1] + ",look=firefox)")
    newer = parse(str(way())[:-1] + ",look=chrome-999)")
    bare = parse("socks5(address=127.0.0.1:9000)")
    assert (look_of(way()), look_of(firefox), look_of(newer)) == ("chromium", "firefox", "chromium")
    mine = invite().credentials()
    made = [to_upstream(each, "x", mine) for each in (way(), firefox, newer, bare)]
    assert looks(made) == {name: browsers.load(name) for name in ("chromium", "firefox")}
    assert looks(made[3:]) == {}


def test_socks5_needs_credentials_too() -> None:
    made = to_upstream(parse("socks5(address=127.0.0.1:9000,user=u,password=p)"), "x", None)
    assert made == Socks5Upstream(tag="x", address="127.0.0.1:9000", user="u", password="p")
    with pytest.raises(Fault) as caught:
        to_upstream(parse("socks5(address=127.0.0.1:9000)"), "x", None)
    assert caught.value.kind is FaultKind.CONFIG


def test_what_cannot_be_run() -> None:
    with pytest.raises(Fault) as caught:
        to_upstream(parse("socks5(address=127.0.0.1:9000)|h2+tls(address=1.2.3.4:443,name=a)"), "x", None)
    assert caught.value.kind is FaultKind.UNSUPPORTED
    with pytest.raises(Fault) as caught:
        to_upstream(way(), "x", None)
    assert caught.value.kind is FaultKind.CONFIG

"""Ways become upstreams with the reader's credentials, and nothing half-made."""

from __future__ import annotations

import pytest

from rozaneh.client.upstreams import looks, to_upstream
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.engine.config import H2Upstream, Socks5Upstream
from rozaneh.ways.grammar import parse
from tests.fleet.builders import invite, way


def test_h2_takes_the_invites_credentials() -> None:
    mine = invite().credentials()
    made = to_upstream(way(), "x", mine)
    assert isinstance(made, H2Upstream)
    assert (made.user, made.password) == (mine.user.reveal(), mine.password.reveal())
    assert (made.address, made.server_name, made.carriers) == ("93.184.215.14:443", "news.example", 2)
    assert made.security.pin is not None
    assert (made.look, list(looks([made]))) == ("chromium", ["chromium"])
    assert made.password not in repr(made)


def test_credentials_in_the_way_come_first() -> None:
    made = to_upstream(parse("h2+tls(address=1.2.3.4:443,name=a,user=u,password=p)"), "x", invite().credentials())
    assert isinstance(made, H2Upstream)
    assert (made.user, made.password, made.security.pin) == ("u", "p", None)


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

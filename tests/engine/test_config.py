"""The engine's document: what we write is what is agreed, and unknown keys are refused with their path."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import msgspec
import pytest

from rozaneh.data import browsers
from rozaneh.engine import config as c

FULL = c.EngineConfig(
    workers=2,
    listeners=[
        c.ProxyListener(tag="local", bind="127.0.0.1:0", auth=c.SameUser(), upstream="way"),
        c.ProxyListener(tag="unix", bind="unix:/path", auth=c.PeerCred(), upstream="way"),
        c.ProxyListener(tag="pw", bind="127.0.0.1:1", auth=c.Password(user="u", password_sha256="ab"), upstream="way"),
        c.H2Listener(
            tag="edge",
            bind="0.0.0.0:443",
            cert_file="c.pem",
            key_file="k.pem",
            cover=c.Directory(path="/srv"),
            upstream="direct",
            services=[c.Service(authority=c.ROSTER_AUTHORITY, documents={"default": "AA=="})],
        ),
        c.RealityListener(
            tag="reality",
            bind="0.0.0.0:8443",
            upstream="direct",
            private_key="k",
            server_names=["news.example"],
            short_ids=["0001020304050607"],
            cover=c.RealityCover(listener="edge"),
            replay_file="/seen",
            mldsa65_seed="s",
        ),
        c.RealityListener(
            tag="beside",
            bind="0.0.0.0:8444",
            upstream="direct",
            private_key="k",
            server_names=["news.example"],
            short_ids=["0001020304050607"],
            cover=c.RealityCover(address="127.0.0.1:8443"),
            replay_file="/seen2",
        ),
    ],
    upstreams=[
        c.Direct(tag="direct", egress=["198.51.100.7"]),
        c.H2Upstream(
            tag="way",
            address="203.0.113.5:443",
            server_name="news.example",
            user="u",
            password="p",
            look="chromium",
            security=c.TlsSecurity(pin="x"),
        ),
        c.H2Upstream(
            tag="reality",
            address="203.0.113.6:443",
            server_name="news.example",
            user="u",
            password="p",
            carriers=1,
            look="chromium",
            security=c.RealitySecurity(public_key="k", short_id="0001020304050607", mldsa65="m", clock_offset_s=-60),
        ),
        c.VlessUpstream(
            tag="vless",
            address="203.0.113.7:443",
            server_name="news.example",
            id="5783a3e7-e373-41cd-8642-c83782b807c5",
            look="chromium",
            security=c.RealitySecurity(public_key="k", short_id="0001020304050607"),
        ),
        c.Socks5Upstream(tag="next", address="127.0.0.1:9000", user="u", password="p"),
    ],
    users=[c.User(id="inv_a", user_sha256="aa", password_sha256="bb", vless_sha256="cc")],
    policy=c.Policy(allow=["10.0.0.0/8"], own_addresses=["203.0.113.5"]),
    resolver=c.Resolver(servers=["1.2.3.4:53"]),
)


def test_golden() -> None:
    golden = json.loads((Path(__file__).parents[1] / "data" / "engine_config.json").read_text())
    assert json.loads(FULL.to_json()) == golden


def test_round_trip() -> None:
    assert c.EngineConfig.from_json(FULL.to_json()) == FULL


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ('{"unknown": 1}', "unknown"),
        ('{"policy": {"unknown": 1}}', "$.policy"),
        ('{"listeners": [{"type": "proxy", "tag": "x", "bind": "y", "upstream": "z"}]}', "$.listeners[0]"),
        ('{"listeners": [{"type": "open", "tag": "x"}]}', "$.listeners[0]"),
        ('{"users": [{"id": 1}]}', "$.users[0]"),
    ],
)
def test_what_is_not_agreed_is_refused_with_its_place(change: str, path: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        c.EngineConfig.from_json(change)
    assert path in str(caught.value)


def test_looks_are_the_profiles_own_documents() -> None:
    config = c.EngineConfig(looks={name: browsers.load(name) for name in browsers.names()})
    written = json.loads(config.to_json())["looks"]
    for name in browsers.names():
        document = resources.files(browsers).joinpath(f"{name}.json").read_bytes()
        assert written[name] == json.loads(document)
    assert c.EngineConfig.from_json(config.to_json()) == config


def test_no_listener_is_written_without_authentication() -> None:
    with pytest.raises(TypeError):
        c.ProxyListener(tag="local", bind="127.0.0.1:0", upstream="way")  # type: ignore[call-arg]


def test_text_shows_no_credential() -> None:
    shown = repr(FULL)
    for value in ("'p'", "password='p'", "203.0.113.5:443", "'k'", "'s'", "5783a3e7"):
        assert value not in shown


def test_counters_and_events_of_newer_engines_are_read() -> None:
    counters = msgspec.json.decode(
        b'{"tunnels_open": 1, "new": {}, "users": {"a": {"up": 2, "new": 1}}}', type=c.Counters
    )
    assert (counters.tunnels_open, counters.users["a"].up) == (1, 2)
    event = msgspec.json.decode(b'{"kind": "something_new", "x": 1}', type=c.Event)
    assert event.kind == "something_new"
    probe = msgspec.json.decode(b'{"ok": true, "stage": "ok", "rtt_ms": 1, "new": 0}', type=c.ProbeResult)
    assert probe.ok

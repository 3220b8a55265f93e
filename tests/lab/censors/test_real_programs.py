"""Real stubs, curl and Chromium meet the rules about names in DNS and QUIC in a raised world."""

from __future__ import annotations

from typing import Any

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from rozaneh.lab import isolate, worlds
from rozaneh.lab.browser import chromium
from rozaneh.lab.router import RuleConfig
from rozaneh.lab.services.internet import Internet
from rozaneh.lab.verify.dns import IRAN
from rozaneh.lab.verify.quic import TSPU
from rozaneh.lab.world import Raised

WORLD = worlds.load("newsstand")
RESOLVER, RESOLVER6 = WORLD.resolver_addresses()
FORGED, TUNNEL, GFW, RUSSIA = (site.name for site in WORLD.sites)
_PATIENCE_S = 5.0

RULES = (
    RuleConfig(id="IR-01", kind="dns_inject", params={**IRAN, "names": [FORGED]}),
    RuleConfig(id="IR-01-tcp", kind="dns_tcp", params={"names": [FORGED], "addresses": ["10.10.34.36"]}),
    RuleConfig(id="IR-13", kind="dns_path", params={"name_cap": 101, "scramble": 1.0}),
    RuleConfig(id="CN-06", kind="quic_sni", params={"names": [GFW]}),
    RuleConfig(id="RU-07", kind="quic_sni", params={**TSPU, "names": [RUSSIA], "datagrams": 3}),
)


def resolve(world: Raised, name: str, kind: str, server: str, *, tcp: bool = False) -> list[str] | str:
    """What dnspython, a strict parser, makes of the answer: addresses, or the exception's kind."""

    def inside() -> list[str] | str:
        question = dns.message.make_query(name, kind)
        try:
            answer = (dns.query.tcp if tcp else dns.query.udp)(question, server, timeout=_PATIENCE_S)
        except dns.exception.Timeout:
            return "timeout"
        except (dns.exception.DNSException, ValueError):
            return "malformed"
        wanted = dns.rdatatype.from_text(kind)
        return sorted(item.to_text() for each in answer.answer if each.rdtype == wanted for item in each)

    found: list[str] | str = world.reader.call(inside)
    return found


def open_over_quic(world: Raised, name: str) -> str:
    """Has Chromium open a page over QUIC and nothing else; the world's sites do not speak it, so it always fails."""
    argv = [
        chromium.find(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--enable-quic",
        f"--origin-to-force-quic-on={name}:443",
        f"--user-data-dir={world.reader.folder / f'quic-{name}'}",
        "--timeout=3000",
        "--dump-dom",
        f"https://{name}/",
    ]
    return world.reader.run(argv, timeout=60)[1]


def test_names_in_dns_and_quic() -> None:
    def inside() -> dict[str, Any]:
        with Raised(WORLD, rules=RULES) as world:
            internet = Internet(world)
            ca = ["--cacert", str(internet.authority)]
            seen: dict[str, Any] = {
                "a": resolve(world, f"www.{FORGED}", "A", RESOLVER),
                "aaaa": resolve(world, FORGED, "AAAA", RESOLVER6),
                "nobody's": resolve(world, FORGED, "A", WORLD.sites[1].addresses[0]),
                "tcp": resolve(world, FORGED, "A", RESOLVER, tcp=True),
                "honest": resolve(world, TUNNEL, "A", RESOLVER),
                "honest tcp": resolve(world, TUNNEL, "A", RESOLVER, tcp=True),
                "curl": world.reader.run(
                    ["curl", "-sS", "-4", "-o", "/dev/null", "-w", "%{remote_ip}", *ca, f"http://{FORGED}/"], timeout=30
                ),
                "curl honest": world.reader.run(
                    ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", *ca, f"https://{TUNNEL}/"], timeout=30
                ),
            }
            seen["gfw"] = open_over_quic(world, GFW)
            # A headless Chromium now and then gives up before its first packet; a censor can only act on what it sees.
            for _ in range(3):
                seen["russia"] = open_over_quic(world, RUSSIA)
                if any(act["rule"] == "RU-07" for act in world.censor.acts()):
                    break
            seen["acts"] = [(act["rule"], act["action"], act["why"]) for act in world.censor.acts()]
            seen["errors"] = world.censor.stats()["errors"]
            return seen

    seen = isolate.run(inside)
    (forged,) = seen["a"]
    assert forged in ("10.10.34.36", "10.10.34.34")
    assert seen["aaaa"] == ["d0::11"]
    assert seen["nobody's"] == [forged]  # no resolver is there: the answer comes all the same
    assert seen["tcp"] == "malformed"
    honest = [WORLD.sites[1].addresses[0]]
    assert seen["honest"] == seen["honest tcp"] == honest
    assert seen["curl"] == (0, forged)
    assert seen["curl honest"] == (0, "200")
    assert seen["errors"] == 0
    acts = set(seen["acts"])
    assert ("IR-01", "inject", f"name www.{FORGED}") in acts
    assert ("IR-01-tcp", "inject", f"name {FORGED}") in acts
    assert ("IR-13", "replace", "letter case") in acts
    assert ("IR-13", "replace", "letter case put back") in acts
    # Today's Chromium cuts its hello in two datagrams and many frames: the GFW reads no name, a TSPU that joins does.
    assert ("RU-07", "drop", f"name {RUSSIA}") in acts
    assert not [act for act in acts if act[0] == "CN-06"]
    assert "ERR_QUIC" in seen["gfw"]
    assert "ERR_QUIC" in seen["russia"]

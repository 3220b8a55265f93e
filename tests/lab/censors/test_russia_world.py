"""Real kernels, curl, nginx and Chromium meet Russia's rules in a world: the blocks that crafted packets met."""

from __future__ import annotations

import hashlib
from typing import Any

from rozaneh.lab import isolate, worlds
from rozaneh.lab.browser import chromium
from rozaneh.lab.browser.chromium import Chromium
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.services.internet import Internet
from rozaneh.lab.world import Raised

WORLD = worlds.load("newsstand")
FROZEN, RESET, CUT, CHROMELESS = "harbour-post", "morning-ledger", "field-radio", "evening-courier"
CHROME = "t13?15????_8daaf6152771_*"

RULES = [
    RuleConfig(
        id="RU-08",
        kind="packet_freeze",
        outside=("185.146.21.10", "2a04:4e42:77::10"),
        params={"names": ["no.example"]},
    ),
    # Chromium's hello fills two segments, its name in either: a box that joins none would miss some.
    RuleConfig(
        id="RU-01",
        kind="tspu_sni",
        params={"names": [f"{RESET}.example"], "action": "rewrite", "residual_s": 75, "segments": "full"},
    ),
    RuleConfig(
        id="RU-02", kind="tspu_sni", params={"names": [f"{CUT}.example"], "action": "delayed_drop", "residual_s": 420}
    ),
    RuleConfig(
        id="IR-07",
        kind="fingerprint_list",
        outside=("185.146.21.40", "2a04:4e42:77::40"),
        params={"fingerprints": [CHROME], "action": "rewrite"},
    ),
]


def curl(world: Raised, authority: str, url: str, version: int, *, limit: float = 20) -> tuple[int, bytes]:
    """curl's exit code and what it saved."""
    target = world.reader.folder / "fetched"
    target.unlink(missing_ok=True)
    code, _ = world.reader.run(
        ["curl", f"-{version}", "-s", "--cacert", authority, "--max-time", str(limit), "-o", str(target), url]
    )
    return code, target.read_bytes() if target.exists() else b""


def test_curl_and_chromium_meet_the_freeze_the_names_and_the_fingerprint() -> None:
    def inside() -> dict[str, Any]:
        with Raised(WORLD, rules=RULES, seed=3) as world:
            internet = Internet(world)
            authority = str(internet.authority)
            chromium.trust(world.reader, internet.authority)
            found: dict[str, Any] = {}
            for version in (4, 6):
                for site, limit in ((FROZEN, 3.0), (RESET, 20.0), (CUT, 2.0), (CHROMELESS, 20.0)):
                    url = f"https://{site}.example/64k.bin"
                    found[f"{site}{version}"] = curl(world, authority, url, version, limit=limit)
            with Chromium(world.reader, "x") as browser:
                found["browser"] = {
                    site: browser.open(f"https://{site}.example/").error for site in (RESET, CHROMELESS)
                }
            found["acts"] = world.censor.acts()
            found["errors"] = world.censor.stats()["errors"]
            return found

    found = isolate.run(inside)
    assert found["errors"] == 0
    for version in (4, 6):
        code, saved = found[f"{FROZEN}{version}"]
        assert code == 28  # curl's time-out: it hangs, nobody resets it
        assert len(saved) < 34 * 1_024  # often nothing at all: less than one whole TLS record of 16 KB arrived
        assert found[f"{RESET}{version}"][0] == 35  # reset during the TLS handshake
        assert found[f"{CUT}{version}"] == (28, b"")
        code, saved = found[f"{CHROMELESS}{version}"]
        assert (code, len(saved)) == (0, 65_536)
        assert hashlib.sha256(saved).digest() != hashlib.sha256(bytes(65_536)).digest()
    assert found["browser"][RESET] == "net::ERR_CONNECTION_RESET"
    assert found["browser"][CHROMELESS] == "net::ERR_CONNECTION_RESET"  # the site that curl has just read
    assert len({act["flow"] for act in found["acts"] if act["rule"] == "RU-08"}) >= 2  # one for each version
    acts = {(act["rule"], act["action"], act["why"].partition(" ")[0]) for act in found["acts"]}
    assert acts == {
        ("RU-08", "drop", "25"),
        ("RU-01", "replace", "name"),
        ("RU-02", "drop", "name"),
        ("IR-07", "replace", "fingerprint"),
    }

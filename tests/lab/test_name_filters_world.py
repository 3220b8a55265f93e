"""Name filters met by a real curl and real kernels: races from beside the path, header lengths, the protocol filter."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

from rozaneh.lab.router import RuleConfig
from rozaneh.lab.services.internet import Internet
from rozaneh.lab.world import Raised
from tests.lab.test_world import SITES, curl, in_world

RESET, NOT_ITS_NAME = 35, 60  # curl: reset during the TLS handshake; the certificate is for another name


def test_an_on_path_box_wins_with_resets_alone_and_remembers_the_three_tuple() -> None:
    listed, other = SITES["morning-ledger"], SITES["field-radio"]
    rule = RuleConfig(
        kind="sni",
        id="CN-02",
        on_path=True,
        params={
            "names": [listed.name],
            "resets": ["gfw-1", "gfw-2", "gfw-3"],
            "residual_s": 180.0,
            "residual_key": "3-tuple",
            "residual_does": "reset",
        },
    )

    def look(world: Raised, internet: Internet) -> list[Any]:
        def ask(name: str, family: int) -> int:
            address = listed.addresses[family]
            return curl(world, internet, f"https://{name}/", "--resolve", f"{name}:443:{address}")[0]

        codes = []
        for family in (0, 1):
            codes += [ask(other.name, family), ask(listed.name, family)]
            held = ask(other.name, family)
            world.censor.jump(181)
            codes += [held != NOT_ITS_NAME, ask(other.name, family)]
        return [codes, sorted({act["action"] for act in world.censor.acts()}), world.censor.stats()["errors"]]

    codes, actions, errors = in_world(look, rule)
    assert codes == [NOT_ITS_NAME, RESET, True, NOT_ITS_NAME] * 2
    assert actions == ["inject"]  # it never dropped a packet
    assert errors == 0


def test_henans_box_sees_only_headers_of_twenty_bytes() -> None:
    listed = SITES["morning-ledger"]
    rule = RuleConfig(
        kind="sni",
        id="CN-04",
        on_path=True,
        params={
            "names": [listed.name],
            "needs": "none",
            "reassembly": "none",
            "header_length": 20,
            "resets": ["henan"],
        },
    )

    def look(world: Raised, internet: Internet) -> list[Any]:
        def set_timestamps(value: str) -> None:
            world.reader.call(lambda: Path("/proc/sys/net/ipv4/tcp_timestamps").write_text(value))

        codes = []
        for stamps in ("1", "0"):
            set_timestamps(stamps)
            codes += [curl(world, internet, f"https://{listed.name}/", way)[0] for way in ("-4", "-6")]
        return [codes, len(world.censor.acts())]

    codes, acts = in_world(look, rule)
    assert codes == [0, 0, RESET, RESET]
    assert acts >= 2


def test_the_protocol_filter_spares_curl_and_stops_a_stranger() -> None:
    site = SITES["field-radio"]
    rule = RuleConfig(kind="protocol_filter", id="IR-04")

    def look(world: Raised, internet: Internet) -> list[Any]:
        def stranger() -> None:
            """Two packets that begin no protocol the filter knows."""
            with socket.create_connection((site.addresses[0], 443), timeout=10) as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.send(b"\x16\x03")  # looks like TLS to nginx, which waits for more
                client.send(b"\x03\xff\xff\x01")  # a length that is not there: to the filter no TLS

        codes = [
            curl(world, internet, f"{scheme}://{site.name}/", "-o", "/dev/null")[0] for scheme in ("https", "http")
        ]
        before = len(world.censor.acts())
        world.reader.call(stranger)
        deadline = time.monotonic() + 20
        while not (acts := world.censor.acts()) and time.monotonic() < deadline:
            pass  # each turn waits for the router's answer
        return [codes, before, acts]

    codes, before, acts = in_world(look, rule)
    assert codes == [0, 0]
    assert before == 0
    assert {(act["rule"], act["action"]) for act in acts} == {("IR-04", "drop")}

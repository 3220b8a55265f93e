"""In a world: real servers met by the pool, by the trees and by a replay, without proof and without waiting."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

from rozaneh.lab import isolate, worlds
from rozaneh.lab.prober import control, lab, replay
from rozaneh.lab.prober.examine import probe, reach
from rozaneh.lab.world import Raised

WORLD = worlds.load("country")
PORT = 8_388

# Reads exactly 50 bytes and closes, whatever lies behind them unread: outline-ss-server as NDSS'20 met it.
SERVER = """
import socket, sys, threading
def serve(connection):
    with connection:
        connection.recv(50, socket.MSG_WAITALL)
for address in sys.argv[2:]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, int(sys.argv[1])), family=family, backlog=256)
    def accept(listener=listener):
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
    threading.Thread(target=accept).start()
print("ready", flush=True)
"""


def test_a_world_needs_no_proof_and_its_servers_show_what_they_are() -> None:
    addresses = [WORLD.address_at("hosting-suspect", 4), WORLD.address_at("hosting-suspect", 6)]
    sources = tuple(WORLD.addresses("prober"))

    def inside() -> dict[str, Any]:
        with Raised(WORLD) as world:
            argv = [sys.executable, "-c", SERVER, str(PORT), *addresses]
            server = world.edge.spawn(argv)
            server.wait_line("ready", 20)
            prober = world.nodes["prober"]
            found = {
                "in_lab": prober.call(control.in_lab),
                "report": prober.call(lambda: probe(addresses[0], PORT, observe=2.5, limits=False).as_json()),
                "replay": prober.call(lambda: _replay(addresses[1])),
            }
            pool = lab.Pool(prober, lab.Config(sources=sources, observe_s=2.5))
            try:
                pool.socket.settimeout(20)
                for number, address in enumerate(addresses):
                    for at, size in enumerate((49, 50, 51)):
                        payload = base64.b64encode(bytes(size)).decode()
                        asked = {"id": number * 3 + at, "address": address, "port": PORT, "payload": payload}
                        pool.socket.send(json.dumps({**asked, "kind": "NR1"}).encode())
                found["answers"] = [json.loads(pool.socket.recv(4_096)) for _ in range(6)]
            finally:
                pool.stop()
            server.stop()
            return found

    found = isolate.run(inside)
    assert found["in_lab"] is True
    assert found["report"]["identified"] == ["shadowsocks-outline"]
    assert found["report"]["proof"] is None
    assert found["replay"] == ["reacts-to-length"]
    answers = sorted(found["answers"], key=lambda one: one["id"])
    assert [one["reaction"] for one in answers] == ["timeout", "fin", "rst"] * 2
    assert {one["source"] for one in answers} <= set(sources)
    assert [":" in one["source"] for one in answers] == [False] * 3 + [True] * 3


def _replay(address: str) -> list[str]:
    done = replay.replay(reach(address, PORT), bytes(range(195)), observe=2.0)
    return [one.name for one in done.findings]

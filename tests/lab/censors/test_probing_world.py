"""In a world: connections are seen, their servers probed from elsewhere, and one that gives itself away is blocked."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import sys
from random import Random
from typing import Any

from rozaneh.lab import isolate, worlds
from rozaneh.lab.router import RuleConfig
from rozaneh.lab.world import Raised

WORLD = worlds.load("country")
ADDRESSES = [WORLD.address_at("hosting-suspect", version) for version in (4, 6)]
PROXY, STRICT = 8_388, 8_389
PAYLOAD = Random(9).randbytes(402)  # noqa: S311 - repeatability is the point

RULE = RuleConfig(
    id="CN-07",
    kind="ss_prober",
    params={
        "delays": [[0.0, 0.3], [1.0, 0.4]],
        "repeat": 0.0,
        "r5": 0.0,
        "nr_per_hour": 0,
        "random_first": False,
        "block_s": 1_000,
        "evidence": "replay",
        "by": "port",
    },
)

# Two servers that know their client's bytes. The first answers a replay like the original (no replay filter), the other
# has seen the bytes before and waits, as both wait for everything they do not know.
SERVER = """
import hashlib, socket, sys, threading
def serve(connection, strict, seen):
    with connection:
        while True:
            data = connection.recv(4096)
            if not data:
                return
            if hashlib.sha256(data).hexdigest() == sys.argv[1] and not (strict and data in seen):
                seen.add(data)
                connection.sendall(b"an answer")
def accept(listener, strict, seen):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0], strict, seen), daemon=True).start()
for address in sys.argv[4:]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for port, strict in ((int(sys.argv[2]), False), (int(sys.argv[3]), True)):
        listener = socket.create_server((address, port), family=family, backlog=64)
        threading.Thread(target=accept, args=(listener, strict, set())).start()
print("ready", flush=True)
"""


def speak(world: Raised, address: str, port: int) -> bytes:
    """What the server answers to the client's first bytes; nothing when no answer comes."""

    def inside() -> bytes:
        try:
            with socket.create_connection((address, port), timeout=2) as connection:
                connection.sendall(PAYLOAD)
                return connection.recv(100)
        except TimeoutError:
            return b""

    return world.reader.call(inside)


def falls_silent(world: Raised, address: str, port: int, tries: int) -> bool:
    """Whether the server stops accepting connections; each one that it accepts is held for a quarter of a second."""

    def inside() -> bool:
        for _ in range(tries):
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as connection:
                connection.settimeout(1.5)
                try:
                    connection.connect((address, port))
                except TimeoutError:
                    return True
                connection.settimeout(0.25)
                with contextlib.suppress(TimeoutError):
                    connection.recv(1)
        return False

    return world.reader.call(inside)


def test_a_server_that_answers_a_replay_is_blocked_and_one_that_does_not_is_not() -> None:
    def inside() -> dict[str, Any]:
        with Raised(WORLD, rules=[RULE]) as world:
            argv = [
                sys.executable,
                "-c",
                SERVER,
                hashlib.sha256(PAYLOAD).hexdigest(),
                str(PROXY),
                str(STRICT),
                *ADDRESSES,
            ]
            server = world.edge.spawn(argv)
            server.wait_line("ready", 20)
            ends = [(address, port) for address in ADDRESSES for port in (STRICT, PROXY)]
            found: dict[str, Any] = {"first": [speak(world, *end) for end in ends]}
            found["proxy"] = [falls_silent(world, address, PROXY, 60) for address in ADDRESSES]
            found["strict"] = [falls_silent(world, address, STRICT, 3) for address in ADDRESSES]
            world.censor.jump(1_001)
            found["later"] = [falls_silent(world, address, PROXY, 2) for address in ADDRESSES]
            found["acts"] = [(act["action"], act["why"]) for act in world.censor.acts()]
            found["errors"] = world.censor.stats()["errors"]
            server.stop()
            return found

    found = isolate.run(inside)
    assert found["first"] == [b"an answer"] * 4  # what asks for probes passes
    assert found["proxy"] == [True, True]
    assert found["strict"] == [False, False]
    assert found["later"] == [False, False]
    assert found["errors"] == 0
    assert ("probe", "R1, 402 bytes") in found["acts"]
    assert ("probe", "R3, 402 bytes") in found["acts"]  # the proxy answered R1
    assert ("drop", f"null route, port {PROXY}") in found["acts"]
    assert ("drop", f"null route, port {STRICT}") not in found["acts"]

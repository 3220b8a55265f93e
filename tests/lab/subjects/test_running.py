"""Every subject works where nobody is in the way, through its own server and nothing else, and fails in plain words."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from rozaneh.lab import isolate, pcap, subjects, worlds
from rozaneh.lab.packet import SYN, parse
from rozaneh.lab.profiles.resolve import without_ipv6
from rozaneh.lab.services import blob
from rozaneh.lab.subjects import Subject
from rozaneh.lab.subjects.running import ClientNotReady, Fetched, NotReady, Running
from rozaneh.lab.world import Raised
from rozaneh.lab.worlds import World

SITE = "blocked-news.example"
LABEL = "hosting-suspect"
DATA = worlds.load("country")
ADDRESS = {4: DATA.address_at(LABEL), 6: DATA.address_at(LABEL, 6)}
READER = {*DATA.addresses("reader"), *DATA.addresses("mobile")}
RESOLVERS = set(DATA.addresses(DATA.resolver))

ALL = sorted(subjects.names())
# In IPv6: one of each kind of program that reads an address.
BOTH = [
    "hysteria2",
    "iodine",
    "mihomo-reality",
    "obfs4",
    "h2+tls",
    "ss-2022",
    "vless-reality-vision",
    "wireguard-go",
]


@dataclass
class Seen:
    """What came of one subject's run."""

    fetched: list[Fetched] = field(default_factory=list)
    peers: set[str] = field(default_factory=set)
    received: int = 0
    alive: bool = False
    trouble: str = ""


def runnable(names: list[str]) -> list[str]:
    """Those that this user may run; an ordinary user's tests leave out what needs root."""
    return [name for name in names if subjects.missing(subjects.load(name)) != "needs root"]


def run_all(names: list[str], version: Literal[4, 6], captures: Path, data: World = DATA) -> dict[str, Seen]:
    """Runs each in one world without rules: two files, a restart, one more; and what its packets had to do with."""

    def inside() -> dict[str, Seen]:
        seen: dict[str, Seen] = {}
        with Raised(data, captures=captures) as world:
            prepared = subjects.prepare(world)
            for name in names:
                subject = subjects.load(name)
                seen[name] = Seen()
                began = time.time()
                try:
                    with Running(subject, world, LABEL, world.folder / "runs" / name, version=version) as running:
                        files = ["64k.bin"] if subject.slow else list(blob.SIZES)
                        seen[name].fetched += [fetch(running, file) for file in files]
                        running.restart()
                        seen[name].fetched.append(fetch(running, "64k.bin"))
                        seen[name].alive = running.alive()
                except NotReady as error:
                    seen[name].trouble = f"{type(error).__name__}: {error}"
                world.censor.stats()
                look(captures / "reader-side.pcap", began, seen[name])
            del prepared
        return seen

    return isolate.run(inside)


def fetch(running: Running, file: str, **limits: float) -> Fetched:
    """One of the site's files, checked."""
    return running.fetch(f"https://{SITE}/{file}", blob.SIZES[file], blob.digest(SITE, file), **limits)


def look(capture: Path, since: float, seen: Seen) -> None:
    """Adds whom the reader turned to from then on, and how many bytes came in.

    Only a SYN or a datagram of its own counts as turning to somebody: a late packet of the subject before, and what the
    kernel answers to it, do not.
    """
    for moment, raw in pcap.read(capture):
        packet = parse(raw, outbound=True)
        if moment < since or packet is None:
            continue
        if packet.ip.dst in READER:
            seen.received += len(raw)
        elif packet.udp or (packet.tcp and packet.tcp.flags & SYN):
            seen.peers.add(packet.ip.dst)


@pytest.fixture(scope="module")
def over_ipv4(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """All subjects, with an IPv4 server."""
    return run_all(runnable(ALL), 4, tmp_path_factory.mktemp("captures"))


@pytest.fixture(scope="module")
def over_ipv6(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """Some of them, with an IPv6 server."""
    return run_all(runnable(BOTH), 6, tmp_path_factory.mktemp("captures6"))


def expect(subject: Subject, seen: Seen, address: str) -> None:
    """Everything came, also after a restart, and by no other way than the subject's own."""
    assert seen.trouble == ""
    assert [result.error for result in seen.fetched] == [""] * len(seen.fetched)
    assert all(result.ok for result in seen.fetched)
    assert len(seen.fetched) == (2 if subject.slow else 3)
    assert seen.alive
    if subject.fetch != "dns":
        wanted = 65_536 * 2 + (0 if subject.slow else 1_048_576)
        assert sum(result.received for result in seen.fetched) == wanted
        assert seen.received > wanted
    if subject.kind == "direct":
        assert seen.peers & set(DATA.zone()[SITE]) or subject.fetch == "dns"
        assert seen.peers <= set(DATA.zone()[SITE]) | RESOLVERS
    elif subject.name == "iodine":
        assert seen.peers < RESOLVERS
    else:
        assert seen.peers == {address}


@pytest.mark.parametrize("name", runnable(ALL))
def test_it_works_without_a_censor(name: str, over_ipv4: dict[str, Seen]) -> None:
    assert subjects.missing(subjects.load(name)) == ""
    expect(subjects.load(name), over_ipv4[name], ADDRESS[4])


@pytest.mark.parametrize("name", runnable(BOTH))
def test_it_works_over_ipv6(name: str, over_ipv6: dict[str, Seen]) -> None:
    expect(subjects.load(name), over_ipv6[name], ADDRESS[6])


def test_a_mobile_reader_without_ipv6(tmp_path: Path) -> None:
    names = runnable(["chromium", "curl", "do53", "h2+tls", "ss-2022", "wireguard-go"])
    seen = run_all(names, 4, tmp_path, without_ipv6(DATA.seen_from("mobile")))
    for name in names:
        expect(subjects.load(name), seen[name], ADDRESS[4])
        assert not any(":" in address for address in seen[name].peers)


def test_versions_are_known() -> None:
    unknown = {name for name in ALL if not subjects.version(subjects.load(name))}
    assert unknown == {"do53"}


BROKEN_SERVER = """
name = "broken"
kind = "socks"
[server]
argv = ["{python}", "-c", "raise SystemExit('no room for {server_host}:{port}')"]
[client]
argv = ["{python}"]
"""

# The pair is what any author would write: a relay in Python stands for the tool.
MINE = """
name = "mine"
kind = "socks"
port = 8080
[server]
argv = ["{sing_box}", "run", "-c", "{dir}/in.json"]
[[server.before]]
argv = ["sh", "-c", "echo once >> {dir}/starts"]
once = true
[[server.before]]
argv = ["sh", "-c", "echo each >> {dir}/starts; cat"]
stdin = "{ca}"
save = "{dir}/copy"
[client]
argv = ["{sing_box}", "run", "-c", "{dir}/out.json"]
[files]
"in.json" = '{"inbounds": [{"type": "socks", "listen": "{server_ip}", "listen_port": {port}}]}'
"out.json" = '''
{"inbounds": [{"type": "socks", "listen": "127.0.0.1", "listen_port": {socks_port}}],
 "outbounds": [{"type": "socks", "server": "{server_ip}", "server_port": {port}}]}
'''
"""


def test_failures_are_told_in_plain_words(tmp_path: Path) -> None:
    quiet = subjects.parse(MINE.replace('out.json"]', 'nowhere.json"]'))
    unread = subjects.parse(MINE.replace('stdin = "{ca}"', 'stdin = "{dir}/no-file"'))
    stuck = subjects.parse(MINE)

    def inside() -> dict[str, Any]:
        found: dict[str, Any] = {}
        with Raised(DATA) as world:
            prepared = subjects.prepare(world)
            for key, subject in {"server": subjects.parse(BROKEN_SERVER), "client": quiet, "step": unread}.items():
                try:
                    with Running(subject, world, LABEL, world.folder / "runs" / key):
                        found[key] = "ready"
                except NotReady as error:
                    found[key] = error
            with Running(stuck, world, LABEL, world.folder / "runs" / "stuck") as running:
                found["free"] = fetch(running, "64k.bin")
                world.reader.run(["ip", "route", "replace", "blackhole", f"{ADDRESS[4]}/32"])
                found["cut"] = fetch(running, "64k.bin", first_byte_s=0.5)
                world.reader.run(["ip", "route", "del", "blackhole", f"{ADDRESS[4]}/32"])
                running.restart()
                found["again"] = fetch(running, "64k.bin")
                found["starts"] = (running.folder / "starts").read_text().split()
                found["copy"] = (running.folder / "copy").read_bytes() == prepared.authority.read_bytes()
                found["logs"] = running.logs()
            for name in ("chromium", "do53", "curl"):
                with Running(subjects.load(name), world, LABEL, world.folder / "runs" / name) as running:
                    found[name] = running.fetch("https://no-such-name.example/64k.bin", 1, "")
            with Running(subjects.load("chromium"), world, LABEL, world.folder / "runs" / "chromium-2") as running:
                url = f"https://{SITE}/64k.bin"
                found["other"] = running.fetch(url, blob.SIZES["64k.bin"], "00" * 32)
                found["absent"] = running.fetch(f"https://{SITE}/no-such.bin", 1, "")
            del prepared
        return found

    found = isolate.run(inside)
    assert str(found["server"]).endswith(f"ended before it was ready: no room for {ADDRESS[4]}:443")
    assert not isinstance(found["server"], ClientNotReady)
    assert isinstance(found["client"], ClientNotReady)
    assert "nowhere.json" in str(found["client"])
    assert str(found["step"]) == "nothing to read at {dir}/no-file: No such file or directory"
    assert found["free"].ok
    assert not found["cut"].ok
    assert (found["cut"].received, found["cut"].still_moving) == (0, False)
    assert found["again"].ok
    assert found["starts"] == ["once", "each", "each"]
    assert found["copy"] is True
    assert "started" in found["logs"]["server"]
    assert found["chromium"].error == "net::ERR_NAME_NOT_RESOLVED"
    assert found["do53"].error == "no-such-name.example is response code 3, not known"
    assert "Could not resolve host" in found["curl"].error
    assert found["other"].error == "other bytes than the site's"
    assert found["absent"].error == "status 404"


def test_a_name_follows_the_server() -> None:
    """The server's name means the address in use, and a DNS subject is judged by it."""

    def inside() -> list[Fetched]:
        with Raised(DATA) as world:
            prepared = subjects.prepare(world)
            found = []
            for label in ("cdn", "domestic"):
                with Running(subjects.load("do53"), world, label, world.folder / "runs" / label) as running:
                    found.append(running.fetch("https://garden-photos.example/", 1, ""))
                    answer = world.reader.run(["getent", "ahostsv4", "garden-photos.example"])[1].split()[0]
                    assert answer == DATA.address_at(label)
            del prepared
            return found

    assert [result.error for result in isolate.run(inside)] == ["", ""]

"""Plays one subject's carriers in a world of its own and leaves the capture at the censor's place.

The line has a round trip, because a burst is what one side says before the other answers. Carriers run side by side:
threads that start programs and wait for them. Nothing here forks once they run.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from rozaneh.lab import isolate, subjects, worlds
from rozaneh.lab.browser import chromium
from rozaneh.lab.browser.chromium import Chromium
from rozaneh.lab.browser.devtools import DevToolsError
from rozaneh.lab.carriers import plan
from rozaneh.lab.carriers.plan import Carrier
from rozaneh.lab.links import LinkModel
from rozaneh.lab.processes import NotReady
from rozaneh.lab.services import nginx, pki
from rozaneh.lab.subjects import Subject, programs
from rozaneh.lab.subjects.running import Running
from rozaneh.lab.world import Raised

__all__ = ["PlayError", "Played", "play"]

WORLD = "country"
ROUND_TRIP_MS = 20.0
# Curl's carriers at once; beside them each browser has one.
AT_ONCE, BROWSERS = 5, 2
_FETCH_S = 60.0

Say = Callable[[str], None]


class PlayError(Exception):
    """A carrier did not carry: what the judges would see is not what was planned."""


@dataclass(frozen=True, slots=True)
class Played:
    """What was played.

    Attributes:
        subject: Its name, `direct` without one.
        addresses: The far ends whose flows are the subject's.
        carriers: How many.
        fetches: Pages that came, all of them whole.
        versions: Of the subject's program and of those that fetched.
        chains: Bytes of each site's certificate chain and of the server's own.
    """

    subject: str
    addresses: tuple[str, ...]
    carriers: int
    fetches: int
    versions: Mapping[str, str] = field(default_factory=dict)
    chains: Mapping[str, int] = field(default_factory=dict)


def play(name: str, carriers: Sequence[Carrier], folder: Path, say: Say = lambda _: None, *, seed: int = 0) -> Played:
    """Plays `carriers` of the subject called `name` (or `plan.DIRECT`); `folder` keeps `reader-side.pcap`.

    Raises:
        PlayError: A page did not come.
        NotReady: The subject's server did not start.
        isolate.LabUnavailable: Something is missing here.
    """
    subject = None if name == plan.DIRECT else subjects.load(name)
    if subject and (why := programs.missing(subject)):
        raise isolate.LabUnavailable(f"{name}: {why}")
    folder.mkdir(parents=True, exist_ok=True)
    return isolate.run(lambda: _inside(subject, carriers, folder.absolute(), say, seed))


def _inside(subject: Subject | None, carriers: Sequence[Carrier], folder: Path, say: Say, seed: int) -> Played:
    data = worlds.load(WORLD)
    half = LinkModel(delay_ms=ROUND_TRIP_MS / 2)
    with Raised(data, captures=folder, seed=seed, link_in=half, link_out=half) as world:
        services = subjects.prepare(world, chains=True)
        chromium.trust(world.reader, services.authority)
        servers = _serve(subject, world, carriers, seed) if subject else {}
        try:
            stage = _Stage(world, services.authority, servers)
            fetches = stage.run(carriers, say)
        finally:
            for server in servers.values():
                server.stop()
        world.censor.stats()  # the capture is on disk when this returns
        issued = [*plan.SITES, data.node(data.edge).names[0]]
        certificates = {one: services.authority.with_name(f"{one}.pem") for one in issued}
        chains = {one: pki.size(pki.Files(path, path.with_suffix(".key"))) for one, path in certificates.items()}
    addresses = [server.server_ip for server in servers.values()]
    if subject is None:
        addresses = [address for site in data.sites if site.name in plan.SITES for address in site.addresses]
    return Played(
        subject=subject.name if subject else plan.DIRECT,
        addresses=tuple(addresses),
        carriers=len(carriers),
        fetches=fetches,
        versions={"curl": programs.version(subjects.load("curl")) or "unknown"}
        | stage.versions
        | ({subject.name: programs.version(subject) or "unknown"} if subject else {}),
        chains=chains,
    )


def _serve(subject: Subject, world: Raised, carriers: Sequence[Carrier], seed: int) -> dict[str, Running]:
    servers: dict[str, Running] = {}
    try:
        for place in sorted({carrier.place for carrier in carriers}):
            folder = world.folder / "carriers" / place
            servers[place] = Running(subject, world, place, folder, seed=seed)
            servers[place].serve()
    except BaseException:
        for server in servers.values():
            server.stop()
        raise
    return servers


class _Stage:
    """A raised world with the subject's servers, and the carriers that run in it."""

    def __init__(self, world: Raised, authority: Path, servers: Mapping[str, Running]) -> None:
        self._world = world
        self._authority = authority
        self._servers = servers
        self._pages = {site.name: nginx.front_page(site) for site in world.data.sites}
        self._titles = {site.name: site.title for site in world.data.sites}
        self._ended = threading.Event()
        self.versions: dict[str, str] = {}

    def run(self, carriers: Sequence[Carrier], say: Say) -> int:
        """Plays all carriers; the number of pages that came."""
        by_curl = [carrier for carrier in carriers if carrier.inner == "curl"]
        by_browser = [carrier for carrier in carriers if carrier.inner == "chromium"]
        shares = [by_browser[number::BROWSERS] for number in range(BROWSERS)]
        pages, done = 0, 0
        with ThreadPoolExecutor(AT_ONCE + BROWSERS) as pool:
            work: list[Future[int]] = [
                pool.submit(self._browse, number, share) for number, share in enumerate(shares) if share
            ]
            work += [pool.submit(self._curl, carrier) for carrier in by_curl]
            try:
                for ended in as_completed(work):
                    pages += ended.result()
                    done += 1
                    if done % 50 == 0:
                        say(f"{done} of {len(work)} pieces of work are done")
            except BaseException:
                self._ended.set()
                for one in work:
                    one.cancel()
                raise
        return pages

    def _curl(self, carrier: Carrier) -> int:
        if self._ended.is_set():
            return 0
        with self._connected(carrier) as port:
            proxy = ["--socks5-hostname", f"127.0.0.1:{port}"] if port else []
            for site in carrier.sites:
                argv = [str(programs.which("curl") or "curl"), "--disable", "--silent", "--show-error", "--fail"]
                argv += ["--cacert", str(self._authority), *proxy, f"https://{site}/"]
                code, output = self._world.reader.run(argv, timeout=_FETCH_S)
                if code or output.encode() != self._pages[site]:
                    raise PlayError(f"curl ended with {code} at {site}: {output.strip()[-300:]}")
        return len(carrier.sites)

    def _browse(self, number: int, carriers: Sequence[Carrier]) -> int:
        pages = 0
        with Chromium(self._world.reader, f"inner-{number}") as browser:
            self.versions["chromium"] = browser.version
            for carrier in carriers:
                if self._ended.is_set():
                    break
                with self._connected(carrier) as port:
                    urls = [f"https://{site}/" for site in carrier.sites]
                    try:
                        texts = browser.visit(urls, proxy=f"socks5://127.0.0.1:{port}" if port else "")
                    except DevToolsError as error:
                        raise PlayError(f"Chromium, carrier {carrier.number}: {error}") from error
                for site, text in zip(carrier.sites, texts, strict=True):
                    if self._titles[site] not in text:
                        raise PlayError(f"Chromium showed something else for {site}: {text[:200]}")
                    pages += 1
        return pages

    @contextlib.contextmanager
    def _connected(self, carrier: Carrier) -> Iterator[int]:
        """A fresh client of the carrier's server; its local port, 0 where nothing is in between."""
        server = self._servers.get(carrier.place)
        if server is None:
            yield 0
            return
        reader = server.reader(self._world.folder / "clients" / str(carrier.number), carrier.number)
        try:
            reader.connect()
            yield int(reader.values["socks_port"])
        except NotReady as error:
            raise PlayError(f"carrier {carrier.number}: {error}") from error
        finally:
            reader.stop()
            shutil.rmtree(reader.folder, ignore_errors=True)

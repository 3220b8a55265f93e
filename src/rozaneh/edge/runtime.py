"""A running edge: builds the engine's configuration, keeps users and rosters current, counts, drains, stops.

Three things may change what the engine serves, and each is applied within a second: an account (a poke on the control
socket, and the database's ``data_version`` looked at four times a second in case the poke was lost), an expiry, and a
renewed roster. SIGTERM or Ctrl-C drains: nobody new, running tunnels go on; a second one stops now.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from rozaneh.core.addresses import Endpoint, local_addresses
from rozaneh.core.clock import Clock, SystemClock
from rozaneh.core.control import ControlServer
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import DirectoryLock, private_dir, reason, sweep
from rozaneh.core.keys import SigningKey
from rozaneh.core.tasks import background, every, on_signals
from rozaneh.edge import journal
from rozaneh.edge.accounts import DEFAULT_COMPARTMENT, active_users, edge_way, next_expiry
from rozaneh.edge.certs import certificate_files
from rozaneh.edge.cover import judge, resolve, to_cover
from rozaneh.edge.database import Database
from rozaneh.edge.layout import ISSUER_KEY, REPLAYS, EdgeSettings, load_settings
from rozaneh.edge.reality import load_keys
from rozaneh.edge.rosters import Issued, current
from rozaneh.edge.status import live_status
from rozaneh.edge.visit import Visit, visit
from rozaneh.engine.config import (
    ROSTER_AUTHORITY,
    Direct,
    EngineConfig,
    H2Listener,
    Listener,
    Policy,
    RealityCover,
    RealityListener,
    Service,
    User,
)
from rozaneh.engine.engine import Engine, EngineLike

POLL_SECONDS = 0.25  # a revocation works within a second even when its poke is lost
JOURNAL_SECONDS = 10.0  # at most this much use goes uncounted after `kill -9`
RENEW_SECONDS = 600.0
DRAIN_SECONDS = 600.0  # a page or a download ends in this time; a chat that stays open does not hold up an upgrade
_EVENT_BATCH = 256
_EVENT_WAIT = 0.5  # how long a stop may wait for the thread that listens to the engine
# What the engine says of a REALITY listener (it repeats itself seldom), in words for the operator.
_TROUBLE = {
    "cover_unreachable": "The cover cannot be connected to: readers and visitors are hung up on. Start the web server",
    "cover_unusable": "The cover's TLS cannot be borrowed, so readers meet it like anybody else. Run `rozaneh doctor`",
    "filter_refuses": "The list of recent first messages is full or cannot be written, so readers meet the cover."
    " Check the disk",
    "filter_lost": "The list of recent first messages was lost: for two minutes readers may meet the cover",
}
_MAX_WORKERS = 8  # one relay thread saturates a small server's port


@dataclass(frozen=True, slots=True)
class Ready:
    """What the operator is told when the edge accepts."""

    listen: str
    host: str
    invites: int
    allow: tuple[str, ...]


def edge_config(
    directory: Path, settings: EdgeSettings, users: list[User], rosters: Mapping[str, Issued]
) -> EngineConfig:
    """The engine's configuration for this edge.

    Raises:
        Fault: KEY when the REALITY keys are missing or damaged; CONFIG when the cover's name leads nowhere.
    """
    # Every address of this machine: what listens on the others was not meant for readers either.
    own = {settings.address, settings.listen.address} | local_addresses()
    if settings.egress:
        own.add(settings.egress)
    return EngineConfig(
        workers=min(os.cpu_count() or 1, _MAX_WORKERS),
        listeners=_listeners(directory, settings, rosters),
        upstreams=[Direct(tag="direct", egress=[str(settings.egress)] if settings.egress else [])],
        users=users,
        policy=Policy(
            allow=list(settings.allow),
            own_addresses=sorted(str(address) for address in own if not address.is_unspecified),
        ),
    )


def _listeners(directory: Path, settings: EdgeSettings, rosters: Mapping[str, Issued]) -> list[Listener]:
    documents = {name: issued.encoded() for name, issued in rosters.items()}
    services = [Service(authority=ROSTER_AUTHORITY, documents=documents)]
    if not settings.reality:
        return [_site(directory, settings, "edge", str(settings.listen), services)]
    keys = load_keys(directory)
    site = settings.borrowed
    cover = RealityCover(listener="cover") if site is None else RealityCover(address=str(resolve(site)))
    edge = RealityListener(
        tag="edge",
        bind=str(settings.listen),
        upstream="direct",
        services=services,
        private_key=keys.private_key,
        server_names=[settings.host],
        short_ids=list(keys.short_ids),
        cover=cover,
        replay_file=str(directory / REPLAYS),
        mldsa65_seed=keys.mldsa65_seed,
    )
    # A site of its own hands out no rosters: whoever is there came as a stranger.
    return [edge] if site is not None else [edge, _site(directory, settings, "cover", "127.0.0.1:0", [])]


def _site(directory: Path, settings: EdgeSettings, tag: str, bind: str, services: list[Service]) -> H2Listener:
    cert, key = certificate_files(directory, settings)
    return H2Listener(
        tag=tag,
        bind=bind,
        cert_file=str(cert),
        key_file=str(key),
        cover=to_cover(settings.cover),
        upstream="direct",
        services=services,
    )


class EdgeRuntime:
    """One run of an edge, from lock to last byte."""

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock | None = None,
        engine: Callable[[EngineConfig], EngineLike] = Engine,
        look: Callable[[Endpoint, str], Visit | None] = visit,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._directory = directory
        self._clock = clock or SystemClock()
        self._make_engine = engine
        self._look = look
        self._warn = warn
        self._stops = 0
        self._wake = asyncio.Event()

    def stop(self) -> None:
        """Drain; called again, stop now."""
        self._stops += 1
        self._wake.set()

    async def run(self, ready: Callable[[Ready], None]) -> None:
        """Serve until told to stop.

        Raises:
            Fault: when the edge cannot begin, or cannot go on.
        """
        settings = load_settings(self._directory)
        private_dir(self._directory)
        with DirectoryLock(self._directory).take(), Database(self._directory) as db:
            sweep(self._directory)
            self._db = db
            self._settings = settings
            self._key = SigningKey.load(self._directory / ISSUER_KEY)
            self._users = active_users(db, self._clock.now())
            self._expiry = next_expiry(db, self._clock.now())
            self._version = db.changes_by_others()
            self._rosters = self._current_rosters()
            self._files = self._certificate_age()
            await asyncio.to_thread(self._judge_cover)
            self._epoch = journal.begin_epoch(db)
            self._seq = 0
            self._config = edge_config(self._directory, settings, self._users, self._rosters)
            self._engine = self._make_engine(self._config)
            self._engine.start()
            try:
                await self._serve(ready)
            finally:
                self._record()
                # Blocking: the engine's own threads end here, and nothing else has to run any more.
                self._engine.stop(0.0)

    async def _serve(self, ready: Callable[[Ready], None]) -> None:
        control = ControlServer(
            self._directory, {"poke": self._on_poke, "status": self._on_status, "stop": self._on_stop}
        )
        undo = on_signals(self.stop)
        try:
            async with background() as beside:
                await control.open()
                beside.start(every(POLL_SECONDS, self._poll), "users")
                beside.start(every(JOURNAL_SECONDS, self._journal), "journal")
                beside.start(every(RENEW_SECONDS, self._renew), "renewal")
                beside.start(self._events(), "events")
                ready(self._ready())
                await self._until_stopped()
        finally:
            undo()
            await control.close()

    def _ready(self) -> Ready:
        address = next(
            (item.address for item in self._engine.listeners() if item.tag == "edge"), str(self._settings.listen)
        )
        return Ready(address, self._settings.host, len(self._users), self._settings.allow)

    async def _until_stopped(self) -> None:
        await self._wake.wait()
        self._engine.drain()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._stops < 2 and self._engine.counters().tunnels_open:
                    self._wake.clear()
                    try:
                        async with asyncio.timeout(POLL_SECONDS):
                            await self._wake.wait()
                    except TimeoutError:
                        continue
        except TimeoutError:
            self._warn("Tunnels were still open after the time for draining; they are cut")

    def _refresh(self) -> None:
        """Give the engine the accounts as they are on disk now, if they differ from what it has."""
        now = self._clock.now()
        users = active_users(self._db, now)
        self._expiry = next_expiry(self._db, now)
        if users != self._users:
            self._engine.set_users(users)
            self._users = users

    async def _poll(self) -> None:
        version = self._db.changes_by_others()
        if version != self._version or (self._expiry is not None and self._clock.now() >= self._expiry):
            self._refresh()
            self._version = version

    async def _journal(self) -> None:
        self._record()

    def _record(self) -> None:
        self._seq += 1
        journal.record(self._db, self._epoch, self._seq, self._engine.counters())

    def _current_rosters(self) -> dict[str, Issued]:
        ways = (edge_way(self._directory, self._settings),)
        return {DEFAULT_COMPARTMENT: current(self._db, self._key, self._clock, DEFAULT_COMPARTMENT, ways)}

    def _certificate_age(self) -> list[int]:
        """When the certificate's files were written: somebody else renews them in place."""
        if self._settings.borrowed is not None:
            return []
        files = certificate_files(self._directory, self._settings)
        try:
            return [path.stat().st_mtime_ns for path in files]
        except OSError as error:
            raise Fault(
                FaultKind.CONFIG, "Could not read the edge's certificate or its key", why=reason(error)
            ) from error

    def _judge_cover(self) -> None:
        """Say so when the web server we stand in front of would not do; it may come back, so go on."""
        site = self._settings.borrowed
        if site is None:
            return
        found = self._look(resolve(site), self._settings.host)
        why = judge(found, post_quantum=self._settings.post_quantum)
        if why is not None:
            self._warn(f"The web server behind this edge cannot be its cover, so nobody gets in: {why}")

    async def _renew(self) -> None:
        try:
            rosters, files = self._current_rosters(), self._certificate_age()
            # In a thread: a cover known by its name is looked up again, for such sites move.
            config = await asyncio.to_thread(edge_config, self._directory, self._settings, self._users, rosters)
            if config.listeners != self._config.listeners or files != self._files:
                # Accounts may have changed while the thread was looking: who was revoked must not come back.
                config = msgspec.structs.replace(config, users=self._users)
                self._engine.reload(config)
                self._config, self._rosters, self._files = config, rosters, files
        except Fault as fault:
            # Six days are left before the old one expires: warn, try again, and go on serving.
            self._warn(f"Could not renew the roster or the certificate: {fault}")

    async def _events(self) -> None:
        trouble = False
        while True:
            for event in await asyncio.to_thread(self._engine.events, _EVENT_BATCH, _EVENT_WAIT):
                if event.kind == "cover_learned" and trouble:
                    trouble = False
                    self._warn("The cover answers as it should again: readers get in")
                elif event.kind in _TROUBLE:
                    trouble = trouble or event.kind.startswith("cover_")
                    self._warn(_TROUBLE[event.kind])

    def _on_poke(self, _: Mapping[str, Any]) -> dict[str, Any]:
        self._refresh()
        return {}

    def _on_status(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return live_status(self._engine.counters(), self._clock.now())

    def _on_stop(self, _: Mapping[str, Any]) -> dict[str, Any]:
        self.stop()
        return {}

"""Stand-ins that behave: an engine whose network is a dictionary.

``FakeEngine`` implements ``EngineLike`` over a ``FakeNet``: listeners appear in it under their bind address, probes
and fetches find them there and authenticate by the same digests as the real engine. ``tests/engine/contract.py``
holds both to the same behaviour.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.engine.config import (
    Counters,
    EngineConfig,
    Event,
    H2Listener,
    H2Upstream,
    ListenerInfo,
    ProbeResult,
    RealityListener,
    RealitySecurity,
    User,
)
from rozaneh.ways.catalogue import encode_key


@dataclass
class FakeNet:
    """Who listens where, and what happens to whoever dials."""

    listening: dict[str, FakeEngine] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)  # address -> stage at which a carrier dies
    server_date: int | None = None
    reader_date: int | None = None  # what readers' devices believe; where it is None they are right
    lock: threading.Lock = field(default_factory=threading.Lock)

    def engine(self, config: EngineConfig) -> FakeEngine:
        """An engine in this network (what a runtime takes as its engine factory)."""
        return FakeEngine(config, self)


class FakeEngine:
    """An engine that moves no bytes."""

    def __init__(self, config: EngineConfig, net: FakeNet) -> None:
        self.net = net
        # Through JSON, as the real one gets it: what cannot be written down is found here too.
        self.config = EngineConfig.from_json(config.to_json())
        self.users = list(self.config.users)
        self.state = "new"
        self.drained = False
        self.reloads = 0
        self.cut: list[str] = []
        self.numbers = Counters()
        self._events: list[Event] = []
        self._changed = threading.Condition()

    # ---- EngineLike

    def start(self) -> None:
        """Appear in the network."""
        for listener in self.config.listeners:
            with self.net.lock:
                if listener.bind in self.net.listening and not listener.bind.endswith(":0"):
                    raise Fault(FaultKind.LOCAL_NETWORK, "Another program listens there already")
                self.net.listening[listener.bind] = self
        self._set("running")

    def reload(self, config: EngineConfig) -> None:
        """Go over to another document."""
        fresh = EngineConfig.from_json(config.to_json())
        with self.net.lock:
            for listener in self.config.listeners:
                self.net.listening.pop(listener.bind, None)
            for listener in fresh.listeners:
                self.net.listening[listener.bind] = self
        self.config = fresh
        self.set_users(fresh.users)
        self.reloads += 1
        self._notify()

    def set_users(self, users: list[User]) -> None:
        """Swap the users."""
        before = {user.id for user in self.users}
        self.users = list(users)
        self.cut += sorted(before - {user.id for user in users})
        self._notify()

    def drain(self) -> None:
        """Note it."""
        self.drained = True
        self._notify()

    def stop(self, grace: float = 0.0) -> None:
        """Leave the network."""
        with self.net.lock:
            for bind in [b for b, engine in self.net.listening.items() if engine is self]:
                del self.net.listening[bind]
        self._set("stopped")

    def listeners(self) -> list[ListenerInfo]:
        """As bound."""
        return [ListenerInfo(tag=x.tag, type=type(x).__name__, address=x.bind) for x in self.config.listeners]

    def counters(self) -> Counters:
        """What a test put there."""
        return self.numbers

    def events(self, most: int, timeout: float) -> list[Event]:
        """Wait for what a test emits."""
        with self._changed:
            if not self._events and self.state != "stopped":
                self._changed.wait(timeout)
            taken, self._events = self._events[:most], self._events[most:]
            return taken

    def probe(self, upstream: str, timeout: float) -> ProbeResult:
        """Walk the stages a carrier walks."""
        stage, _ = self._reach(upstream)
        date = self.net.server_date if stage in ("ok", "cover") else None
        return ProbeResult(ok=stage == "ok", stage=stage, rtt_ms=1.0, server_date=date)

    def fetch(self, upstream: str, authority: str, limit: int, timeout: float) -> bytes:
        """The document of the user's compartment."""
        stage, found = self._reach(upstream)
        if stage == "ok" and found is not None:
            listener, user = found
            for service in listener.services:
                if service.authority == authority and user.compartment in service.documents:
                    document = base64.b64decode(service.documents[user.compartment])
                    if len(document) <= limit:
                        return document
        raise Fault(FaultKind.EDGE_UNREACHABLE, "The edge did not hand out its roster")

    # ---- for tests

    def emit(self, event: Event) -> None:
        """Let something happen."""
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[FakeEngine], bool], deadline: float = 5.0) -> None:
        """Block until a change of this engine makes ``condition`` true."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), deadline):
                raise AssertionError("the engine never came to that state")

    def _set(self, state: str) -> None:
        with self._changed:
            self.state = state
            self._changed.notify_all()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _reach(self, tag: str) -> tuple[str, tuple[H2Listener | RealityListener, User] | None]:
        upstream = next(x for x in self.config.upstreams if x.tag == tag)
        assert isinstance(upstream, H2Upstream)
        with self.net.lock:
            stage = self.net.broken.get(upstream.address)
            edge = self.net.listening.get(upstream.address)
        if stage is not None:
            return stage, None
        listener = next((x for x in edge.config.listeners if x.bind == upstream.address), None) if edge else None
        if edge is None or not isinstance(listener, H2Listener | RealityListener):
            return "connect", None
        if isinstance(listener, RealityListener) != isinstance(upstream.security, RealitySecurity):
            return "cover" if isinstance(listener, H2Listener) else "pin", None
        if isinstance(listener, RealityListener) and not self._friend(upstream, listener):
            return "cover", None
        for user in edge.users:
            if (user.user_sha256, user.password_sha256) == (_hash(upstream.user), _hash(upstream.password)):
                return "ok", (listener, user)
        return "auth", None

    def _friend(self, upstream: H2Upstream, listener: RealityListener) -> bool:
        security = upstream.security
        assert isinstance(security, RealitySecurity)
        private = X25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(listener.private_key + "="))
        return (
            security.public_key == encode_key(private.public_key().public_bytes_raw())
            and security.short_id in listener.short_ids
            and upstream.server_name in listener.server_names
            and self._in_time(security.clock_offset_s, listener.max_skew_s)
        )

    def _in_time(self, offset: int, skew: int) -> bool:
        if self.net.reader_date is None or self.net.server_date is None:
            return True
        return abs(self.net.reader_date + offset - self.net.server_date) <= skew


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def environment(values: dict[str, str | None]) -> Iterator[None]:
    """Variables of the environment for a block; None removes one."""
    import os

    before = {name: os.environ.get(name) for name in values}
    try:
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

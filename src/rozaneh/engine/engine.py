"""A thin typed face over the Rust engine: structs in, structs out, faults instead of exceptions.

``EngineLike`` is what the rest of the program depends on; the tests' fake implements it too and is checked against
the real one.
"""

from __future__ import annotations

import errno
from typing import Protocol

import msgspec

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.engine.config import Counters, EngineConfig, Event, ListenerInfo, ProbeResult, User, users_json


class EngineLike(Protocol):
    """What moves bytes for a client or an edge."""

    def start(self) -> None:
        """Bind every listener and begin."""
        ...

    def reload(self, config: EngineConfig) -> None:
        """Go over to another configuration, all or nothing; what is unchanged keeps its connections."""
        ...

    def set_users(self, users: list[User]) -> None:
        """Swap the users at once; the tunnels of those who are gone are cut."""
        ...

    def drain(self) -> None:
        """Accept nobody new; running tunnels go on."""
        ...

    def stop(self, grace: float = 0.0) -> None:
        """End everything, after at most ``grace`` seconds."""
        ...

    def listeners(self) -> list[ListenerInfo]:
        """The listeners with their real ports."""
        ...

    def counters(self) -> Counters:
        """The counters since the start."""
        ...

    def events(self, most: int, timeout: float) -> list[Event]:
        """Wait up to ``timeout`` seconds for events; blocks, so call it from a thread."""
        ...

    def probe(self, upstream: str, timeout: float) -> ProbeResult:
        """Make sure a carrier of ``upstream`` is authenticated; blocks, so call it from a thread."""
        ...

    def fetch(self, upstream: str, authority: str, limit: int, timeout: float) -> bytes:
        """A control document through ``upstream``; blocks, so call it from a thread."""
        ...


class Engine:
    """The Rust engine.

    Raises:
        Fault: BUG when the document is refused (we wrote it), UNSUPPORTED when the engine is not installed.
    """

    def __init__(self, config: EngineConfig) -> None:
        try:
            from rozaneh.engine import _native
        except ImportError as error:
            raise Fault(
                FaultKind.UNSUPPORTED, "The engine is not part of this installation", hint="install the `rozaneh` wheel"
            ) from error
        try:
            self._native = _native.Engine(config.to_json())
        except ValueError as error:
            raise _refused(error) from error

    def start(self) -> None:
        """Bind every listener and begin.

        Raises:
            Fault: PERMISSION when a port needs rights, LOCAL_NETWORK when it is taken or the address is not here.
        """
        try:
            self._native.start()
        except OSError as error:
            raise bind_fault(error) from error

    def reload(self, config: EngineConfig) -> None:
        """Go over to another configuration, all or nothing.

        Raises:
            Fault: as the constructor and ``start``.
        """
        try:
            self._native.reload(config.to_json())
        except ValueError as error:
            raise _refused(error) from error
        except OSError as error:
            raise bind_fault(error) from error

    def set_users(self, users: list[User]) -> None:
        """Swap the users at once.

        Raises:
            Fault: BUG when the list is refused.
        """
        try:
            self._native.set_users(users_json(users))
        except ValueError as error:
            raise _refused(error) from error

    def drain(self) -> None:
        """Accept nobody new."""
        self._native.drain()

    def stop(self, grace: float = 0.0) -> None:
        """End everything."""
        self._native.stop(grace)

    def listeners(self) -> list[ListenerInfo]:
        """The listeners with their real ports."""
        return msgspec.json.decode(self._native.listeners(), type=list[ListenerInfo])

    def counters(self) -> Counters:
        """The counters since the start."""
        return msgspec.json.decode(self._native.counters(), type=Counters)

    def events(self, most: int, timeout: float) -> list[Event]:
        """Wait for events; kinds this version does not know are passed on as they are."""
        return [msgspec.json.decode(text, type=Event) for text in self._native.events(most, timeout)]

    def probe(self, upstream: str, timeout: float) -> ProbeResult:
        """Make sure a carrier is authenticated."""
        return msgspec.json.decode(self._native.probe(upstream, timeout), type=ProbeResult)

    def fetch(self, upstream: str, authority: str, limit: int, timeout: float) -> bytes:
        """A control document through ``upstream``.

        Raises:
            Fault: EDGE_UNREACHABLE when it does not come whole and in time.
        """
        try:
            return self._native.fetch(upstream, authority, limit, timeout)
        except (OSError, ValueError, RuntimeError) as error:
            raise Fault(FaultKind.EDGE_UNREACHABLE, "The edge did not hand out its roster") from error


def bind_fault(error: OSError) -> Fault:
    """Why a listener could not be opened, with what to do."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return Fault(
            FaultKind.PERMISSION,
            "The system does not let this user listen there",
            hint="ports below 1024 need root or the capability `cap_net_bind_service`",
        )
    if error.errno == errno.EADDRINUSE:
        return Fault(
            FaultKind.LOCAL_NETWORK,
            "Another program listens there already",
            hint="stop it, or choose another `--listen`",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return Fault(
            FaultKind.LOCAL_NETWORK,
            "This machine does not have that address",
            hint="choose another `--listen` or `--egress`",
        )
    return Fault(FaultKind.FAILED, "The engine could not start", why=(error.strerror or "").lower(), hint="")


def _refused(error: ValueError) -> Fault:
    # The text names a path and a reason, never a value: the engine promises that for its whole document.
    return Fault(FaultKind.CONFIG, "The engine refused its configuration", why=str(error), hint="")

"""Makes a profile from a browser at hand: many first hellos, and whole handshakes that show its habits.

The first hellos are of connections to names the browser never saw, each met by a listener that hangs up, so no ticket
is in them. What a second hello keeps, how tickets are used, how HTTP/2 is opened and how many connections there are
comes from handshakes that are completed.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from rozaneh.data.browsers import schema
from rozaneh.data.browsers.schema import Browser
from rozaneh.lab.browser import derive, grease, opening
from rozaneh.lab.browser.firefox import Firefox
from rozaneh.lab.browser.handshakes import Server
from rozaneh.lab.browser.headless import NAMES, Driven, Headless
from rozaneh.lab.browser.listener import Listener
from rozaneh.lab.codec import clienthello
from rozaneh.lab.codec.clienthello import ClientHello
from rozaneh.lab.codec.fingerprint import ja4
from rozaneh.lab.services.pki import Authority

__all__ = ["BROWSERS", "CaptureError", "capture", "first_flights", "name", "open_page"]

BROWSERS: Mapping[str, Callable[[int, Path | None], Driven]] = {"chromium": Headless, "firefox": Firefox}

_BATCH = 64  # well below the 256 sockets Chromium opens at once, so that no name has to wait
_VISITS = 4  # connections to one name, one after the other: the first without a ticket, the others with
_AT_ONCE = 24  # requests to one name at once: more than any browser opens connections for
_FIRST_S = 60.0
_TRIES = 3  # of one page: on a busy machine a browser now and then finds its own new socket closed
_SETTLE_S = 2.0  # after the last new connection: no browser waits that long for one it wants at once
_EARLY_DATA = 42


class Opens(Protocol):
    """What opens a page and says what went wrong, if anything did."""

    def open(self, url: str) -> str: ...


class CaptureError(Exception):
    """The browser did not do what a profile is made from."""


def name(index: int) -> str:
    """The name of hello number `index`; all have one length, for the browser's own hellos are compared by length."""
    return f"h{index:06d}.{NAMES}"


def first_flights(what: str, count: int, note: Callable[[str], None] = lambda _: None) -> tuple[list[bytes], str]:
    """The first flights of `count` connections to `name(0)`, `name(1)`, …, in that order, and the browser's version."""
    found: dict[str, bytes] = {}
    with Listener() as listener, BROWSERS[what](listener.port, None) as browser:
        taken = 0
        for start in range(0, count, _BATCH):
            batch = [name(index) for index in range(start, min(start + _BATCH, count))]
            browser.fetch([f"https://{one}:{listener.port}/" for one in batch])
            # A browser tries again where a server hung up: only the first hello of each name counts.
            flights = listener.flights()
            for flight in flights[taken:]:
                found.setdefault(derive.parsed(flight).server_name or "", flight)
            taken = len(flights)
            if start // _BATCH % 10 == 9:
                note(f"{len(found)} of {count} hellos")
        version = browser.version
    missing = [name(index) for index in range(count) if name(index) not in found]
    if missing:
        raise CaptureError(f"{len(missing)} of {count} names were never asked for")
    return [found[name(index)] for index in range(count)], version


def capture(
    what: str, hellos: int, *, today: str, idle_s: int = 0, note: Callable[[str], None] = lambda _: None
) -> Browser:
    """The profile of the browser `what`, derived from so many first hellos.

    Args:
        what: One of `BROWSERS`.
        hellos: At least `derive.LEAST`.
        today: The date it will bear.
        idle_s: How long to watch an idle connection; 0 leaves that habit out.
        note: Gets a line of progress now and then.

    Raises:
        DeriveError: The hellos vary in a way no generator can follow.
        CaptureError: The browser did not do what it must.
    """
    if what not in BROWSERS:
        raise CaptureError(f"only {', '.join(BROWSERS)} can be captured")
    flights, version = first_flights(what, hellos, note)
    hello = derive.derive(flights)
    fingerprints = {ja4(derive.parsed(flight)) for flight in flights}
    if len(fingerprints) != 1:
        raise CaptureError(f"it has several JA4: {', '.join(sorted(fingerprints))}")
    with tempfile.TemporaryDirectory(prefix="browser-") as folder:
        authority = Authority(Path(folder), "Capture")
        retry = _retry(what, authority, note)
        resumption = _resumption(what, authority, note)
        http2, connections = _habits(what, authority, fingerprints, idle_s, note)
    return Browser(
        schema=schema.SCHEMA,
        name=what,
        version=version,
        platform=f"{platform.system().lower()}-{platform.machine()}",
        captured=today,
        hellos=hellos,
        ja4=fingerprints.pop(),
        hello=hello,
        retry=retry,
        resumption=resumption,
        http2=http2,
        connections=connections,
    )


def _page(server: Server) -> str:
    return f"https://{name(0)}:{server.port}/"


def open_page(browser: Opens, url: str) -> None:
    """Opens a page as a person does, who asks again when it fails."""
    for _ in range(_TRIES):
        error = browser.open(url)
        if not error:
            return
    raise CaptureError(f"it did not open a page: {error}")


def _retry(what: str, authority: Authority, note: Callable[[str], None]) -> schema.Retry | None:
    """What it does when asked for another hello, with the group that no browser sends a share for: P-384."""
    note("what a second hello keeps")
    with (
        Server(authority.issue(f"*.{NAMES}"), group="secp384r1") as server,
        BROWSERS[what](server.port, authority.trusted) as browser,
    ):
        error = browser.open(_page(server))
        asked = [one for one in server.conversations() if one.second]
    if error or not asked:
        raise CaptureError(f"it did not answer a HelloRetryRequest: {error or 'no second hello came'}")
    return second(asked[0].hello, asked[0].second)


def second(before: bytes, flight: bytes) -> schema.Retry:
    """What the second hello in `flight` keeps of the one in `before`."""
    cipher_spec = flight[:1] == b"\x14"
    start = 5 + int.from_bytes(flight[3:5], "big") if cipher_spec else 0
    first, again = derive.parsed(before), derive.parsed(flight[start:])
    dropped = {clienthello.KEY_SHARE, _EARLY_DATA, clienthello.PADDING, 44}  # RFC 8446 4.1.2: what it may change
    old = [one for one in derive.kinds(first) if one not in map(str, dropped)]
    new = [one for one in derive.kinds(again) if one not in map(str, dropped)]
    before_grease = {place: value for place, value in grease.places(first).items() if not place.startswith("share")}
    return schema.Retry(
        record_version=int.from_bytes(flight[start + 1 : start + 3], "big"),
        same_random=first.random == again.random,
        same_session_id=first.session_id == again.session_id,
        same_order=old == new,
        same_ech=first.extension(clienthello.ECH) == again.extension(clienthello.ECH),
        same_grease=all(grease.places(again).get(place) == value for place, value in before_grease.items()),
        grease_share=any(clienthello.is_grease(group) for group in again.key_shares),
        change_cipher_spec=cipher_spec,
    )


def identities(hello: ClientHello) -> tuple[bytes, ...]:
    """The identities in pre_shared_key (RFC 8446 section 4.2.11); none without the extension."""
    body = hello.extension(clienthello.PRE_SHARED_KEY) or b""
    end = 2 + int.from_bytes(body[:2], "big")
    found: list[bytes] = []
    at = 2
    while at + 2 <= min(end, len(body)):
        size = int.from_bytes(body[at : at + 2], "big")
        found.append(body[at + 2 : at + 2 + size])
        at += 2 + size + 4
    return tuple(found)


def _resumption(what: str, authority: Authority, note: Callable[[str], None]) -> schema.Resumption:
    note("how it uses tickets")
    with (
        Server(authority.issue(f"*.{NAMES}"), hang_up=True) as server,
        BROWSERS[what](server.port, authority.trusted) as browser,
    ):
        for visit in range(_VISITS):
            open_page(browser, f"{_page(server)}{visit}")
            # The next page must not be asked for over a connection that is just ending.
            server.wait(lambda all_: all(one.ended is not None for one in all_ if one.asked), _FIRST_S)
        # What failed and was tried again tells nothing of habits.
        return tickets([derive.parsed(one.hello) for one in server.conversations() if one.asked])


def tickets(hellos: list[ClientHello]) -> schema.Resumption:
    """The use of tickets in hellos of connections to one name, the first of which can have none."""
    offers = [identities(hello) for hello in hellos]
    using = [hello for hello, offered in zip(hellos, offers, strict=True) if offered]
    if not using:
        return schema.Resumption(
            identities=0, tickets_used_again=False, early_data=False, added=(), removed=(), last=False
        )
    seen = [identity for offered in offers for identity in offered]
    plain = {int(kind) for kind in derive.kinds(hellos[0]) if kind.isdecimal()}
    resuming = {int(kind) for kind in derive.kinds(using[0]) if kind.isdecimal()}
    return schema.Resumption(
        identities=max(map(len, offers)),
        tickets_used_again=len(set(seen)) < len(seen),
        early_data=any(hello.extension(_EARLY_DATA) is not None for hello in using),
        added=tuple(sorted(resuming - plain)),
        removed=tuple(sorted(plain - resuming)),
        last=all(hello.extensions[-1][0] == clienthello.PRE_SHARED_KEY for hello in using),
    )


def _habits(
    what: str, authority: Authority, fingerprints: set[str], idle_s: int, note: Callable[[str], None]
) -> tuple[schema.Http2 | None, schema.Connections]:
    note("how it opens HTTP/2, and how many connections it makes")
    files = authority.issue(f"*.{NAMES}")
    opened: schema.Http2 | None = None
    counts: list[int] = []
    idle: list[float | None] = []
    for protocols in (("http/1.1",), ("h2", "http/1.1")):
        # A fresh browser each time: one that has an HTTP/2 connection uses it for other names of the certificate.
        with Server(files, protocols) as server, BROWSERS[what](server.port, authority.trusted) as browser:
            counts.append(_at_once(server, browser))
        with Server(files, protocols) as server, BROWSERS[what](server.port, authority.trusted) as browser:
            open_page(browser, _page(server))
            # What a page's script asked for stands in the profile; a person's click must have looked the same.
            if {ja4(derive.parsed(one.hello)) for one in server.conversations()} != fingerprints:
                raise CaptureError("pages and what they fetch have different JA4")
            opened = opened or next(filter(None, (opening.read(one.plain) for one in server.conversations())), None)
            idle.append(_idle(server, idle_s, note) if idle_s else None)
    return opened, schema.Connections(
        http1_at_once=counts[0],
        http2_at_once=counts[1],
        http1_idle_s=idle[0],
        http2_idle_s=idle[1],
        watched_s=idle_s,
    )


def _at_once(server: Server, browser: Driven) -> int:
    """How many connections many requests at once to a new name open; answers are held back until no more come."""
    server.hold(True)
    try:
        browser.start([f"{_page(server)}{number}" for number in range(_AT_ONCE)])
        if not server.wait(bool, _FIRST_S):
            raise CaptureError("it opened no connection")
        count = 1
        while server.wait(lambda all_: len(all_) > count, _SETTLE_S):  # noqa: B023 - asked before the next turn
            count = len(server.conversations())
    finally:
        server.hold(False)
    if browser.finish() < _AT_ONCE:
        raise CaptureError("its requests did not get their answers")
    return count


def _idle(server: Server, longest: float, note: Callable[[str], None]) -> float | None:
    """After how many seconds it closes the connection of its last request; None when it did not in `longest`."""
    note(f"how long it keeps an idle connection ({longest:g} s at most)")
    used = max(server.conversations(), key=lambda one: one.asked)
    server.wait(lambda _: used.ended is not None, longest)
    return None if used.ended is None else round(used.ended - used.asked, 1)

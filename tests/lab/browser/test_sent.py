"""What the engine sends for a way by a profile is the browser's, and what is not is told."""

from __future__ import annotations

import msgspec
import pytest

from rozaneh.data import browsers
from rozaneh.lab.browser import capture, compare, derive, looks, sent
from rozaneh.lab.browser.compare import Field, Side
from rozaneh.lab.browser.sent import Found, Opening
from rozaneh.lab.codec.fingerprint import ja4

COUNT = 60


@pytest.mark.parametrize("look", ["chromium", "firefox"])
@pytest.mark.parametrize("transport", sent.WAYS)
def test_every_way_sends_the_hellos_of_its_profile(transport: str, look: str) -> None:
    flights = sent.flights(transport, look, COUNT)
    hellos = [derive.parsed(flight) for flight in flights]
    assert [hello.server_name for hello in hellos] == [capture.name(index) for index in range(COUNT)]
    assert {ja4(hello) for hello in hellos} == {browsers.load(look).ja4}
    # Sealed or drawn: no session id comes twice, and every value of its first bits is to be expected.
    assert len({hello.session_id for hello in hellos}) == COUNT
    assert len({hello.session_id[0] >> 4 for hello in hellos}) > 8


def test_hellos_of_another_browser_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    other = sent.flights("h2+reality", "firefox", COUNT)
    real = sent.flights("h2+tls", "chromium", 2 * COUNT)
    monkeypatch.setattr(capture, "first_flights", lambda *_: (real, "1"))
    monkeypatch.setattr(sent, "flights", lambda *_: other)
    monkeypatch.setattr(sent, "opened", lambda way, *_: Opening(way, "none", (), ()))
    found = sent.held("chromium", "chromium", COUNT, ways=("h2+reality",))
    assert found.control.good
    assert not found.ways["h2+reality"].ja4_equal
    assert looks.missed([found]) == ["chromium: h2+reality differs"]


@pytest.mark.parametrize("transport", sent.WAYS)
def test_http2_is_opened_as_chromium_opens_it(transport: str) -> None:
    opened = sent.opened(transport, "chromium", "chromium")
    assert opened.differences == ()
    assert opened.request == {"h2+tls": "CONNECT", "h2+reality": "GET"}[transport]
    assert {"settings", "window_update", "priority", "opening"} <= set(opened.compared)


def test_when_the_servers_settings_are_acknowledged_is_chance() -> None:
    seen = browsers.load("chromium").http2
    assert seen is not None
    late = msgspec.structs.replace(seen, opening=(seen.opening[0], ("SETTINGS",), *seen.opening[1:]))
    beside = msgspec.structs.replace(seen, opening=(seen.opening[0], ("SETTINGS", "HEADERS")))
    assert sent.unprompted(late) == sent.unprompted(beside) == sent.unprompted(seen) == seen


def test_the_table_says_what_differs() -> None:
    good = Side(("t13",), True, (Field("length", 0.02, "2001", 0.5, True),))
    bad = Side(("t13", "t12"), False, (Field("length", 0.2, "2001", 0.0, False),))
    differing = Opening("h2+reality", "GET", ("settings",), ("settings: () instead of ((1, 65536),)",))
    found = Found("chromium", "156", "chromium", 2_000, compare.rule(2_000), {"h2+reality": bad}, good, (differing,))
    assert looks.missed([found]) == ["chromium: h2+reality differs", "chromium: h2+reality opens HTTP/2 in another way"]
    page = looks.markdown([found], {"chromium": "156"}, {"machine": "two"}, 60, day="today", command="lab")
    assert "| chromium | h2+reality | 2000 | no | 1 of 1 | 20.0 points (length) | GET: settings: () instead" in page
    assert "| chromium | itself (control) | 2000 | yes | 0 of 1 | 2.0 points (length) | - |" in page
    content = looks.content([found], {}, 60)
    assert (content["ok"], len(content["browsers"])) == (False, 1)
    assert msgspec.json.encode(content)

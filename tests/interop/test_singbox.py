"""Interoperation with a program nobody here wrote: sing-box's naive inbound, and its outbound (Chromium's stack)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.interop.alone import report
from tests.interop.singbox_world import SIZE


def padded(seen: dict[str, Any]) -> None:
    """The download is right, and both directions began with eight padded frames at most, as negotiated."""
    assert seen["digest"] == seen["expected"]
    assert seen["others"]
    request, answer = seen["request"], seen["answer"]
    assert request[":method"] == "CONNECT"
    # RFC 9113 section 8.5: no scheme, no path.
    assert {":scheme", ":path", ":protocol"}.isdisjoint(request)
    assert len(request["padding"]) >= 16
    assert answer[":status"] == "200"
    assert len(answer["padding"]) >= 30
    assert seen["up"].startswith(f"GET /bytes/{SIZE} HTTP/1.1\r\n")
    assert seen["up_frames"] >= 1
    assert seen["down_frames"] == 8
    assert seen["down_starts"] == "HTTP/1.1 200 OK"
    assert SIZE < seen["down_length"] < SIZE + 1000


def test_our_client_and_its_inbound(peers: Path) -> None:
    seen = report("tests.interop.singbox_world", "inbound", str(peers))
    padded(seen)
    assert len(seen["request"]["padding"]) <= 32
    assert seen["request"]["padding-type-request"] == "1, 0"
    # An older server, which names no type: the field alone stands for type 1.
    assert "padding-type-reply" not in seen["answer"]
    # The first request waits to learn the server's padding; later ones do not wait any more.
    assert seen["fast"] == ["", "1", "1"]
    # Its refusal is a stranger's answer to us, and no tunnel.
    assert seen["wrong"] == ""


def test_its_outbound_and_our_edge(peers: Path) -> None:
    seen = report("tests.interop.singbox_world", "outbound", str(peers))
    padded(seen)
    # It names no types: its `padding` alone asks for type 1.
    assert "padding-type-request" not in seen["request"]
    assert seen["answer"]["padding-type-reply"] == "1"
    assert len(seen["answer"]["padding"]) <= 61
    assert seen["user_down"] >= SIZE + SIZE // 10
    assert seen["visits"] == 0

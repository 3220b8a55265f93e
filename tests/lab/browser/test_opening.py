"""The opening of HTTP/2 is read as its RFC has it, whatever records it comes in."""

from __future__ import annotations

import struct

import hpack

from rozaneh.data.browsers import schema
from rozaneh.lab.browser.opening import (
    END_HEADERS,
    HEADERS,
    PADDED,
    PREFACE,
    PRIORITISED,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    frames,
    read,
)

BLOCK = hpack.Encoder().encode([(":method", "GET"), (":path", "/"), ("user-agent", "x")])
START = PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HIHI", 1, 65536, 4, 6291456))
UPDATE = frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 15663105))
REQUEST = frame(HEADERS, END_HEADERS | PRIORITISED, 1, struct.pack(">IB", 0x80000000, 255) + BLOCK)


def test_an_opening_is_read_with_its_records() -> None:
    assert read([START + UPDATE, REQUEST]) == schema.Http2(
        settings=((1, 65536), (4, 6291456)),
        window_update=15663105,
        first_stream=1,
        priority=schema.Priority(exclusive=True, depends_on=0, weight=256),
        pseudo=(":method", ":path"),
        headers=("user-agent",),
        values=("x",),
        opening=(("PREFACE", "SETTINGS", "WINDOW_UPDATE"), ("HEADERS",)),
    )


def test_a_stream_that_grows_with_its_request() -> None:
    grown = frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 12451840))
    found = read([START + UPDATE, REQUEST + grown])
    assert found is not None
    assert (found.stream_update, found.opening[1]) == (12451840, ("HEADERS",))
    other = read([START + UPDATE, REQUEST + frame(WINDOW_UPDATE, 0, 3, struct.pack(">I", 5))])
    assert other is not None
    assert other.stream_update == 0


def test_a_browser_without_a_window_is_named_as_one_with_a_window() -> None:
    block = hpack.Encoder().encode([(":method", "GET"), ("user-agent", "HeadlessChrome/156.0.0.0")])
    found = read([START, frame(HEADERS, END_HEADERS, 1, block)])
    assert found is not None
    assert found.values == ("Chrome/156.0.0.0",)


def test_padding_no_priority_and_frames_across_records() -> None:
    request = frame(HEADERS, END_HEADERS | PADDED, 15, b"\x03" + BLOCK + bytes(3))
    found = read([START[:30], START[30:] + request[:4], request[4:], b"later"])
    assert found is not None
    assert (found.priority, found.first_stream, found.window_update) == (None, 15, 0)
    assert found.headers == ("user-agent",)
    assert found.opening == (("PREFACE",), ("SETTINGS",), ("HEADERS",))


def test_what_is_no_whole_opening_is_none() -> None:
    for records in ([], [b"GET / HTTP/1.1\r\n\r\n"], [START, UPDATE], [START + REQUEST[:-1]], [PREFACE + REQUEST]):
        assert read(records) is None


def test_frames_end_where_they_say() -> None:
    data = frame(7, 1, 3, b"abc") + frame(0, 0, 5, b"")
    assert [(one.kind, one.flags, one.stream, one.payload, one.end) for one in frames(data + b"\0\0")] == [
        (7, 1, 3, b"abc", 12),
        (0, 0, 5, b"", 21),
    ]

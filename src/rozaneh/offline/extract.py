"""An article out of a page's bytes: its text as blocks, and what the page says of it."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rozaneh.offline.manifest import one_line
from rozaneh.offline.text import MAX_BLOCKS, Block, block

LEAST = 120  # characters: below it is a stub, a wall or a menu (the sources have none shorter)
_CHARSET = re.compile(r"charset=\"?([A-Za-z0-9._:-]{1,40})")
# Scripts written from right to left: Hebrew, Arabic with its extensions, Syriac, Thaana, N'Ko (Unicode 15 blocks).
_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a page told."""

    blocks: tuple[Block, ...]
    title: str = ""
    author: str = ""
    published: int = 0
    language: str = ""
    licence: str = ""


class ExtractError(Exception):
    """There is no article in it."""


def extract(content: bytes, content_type: str, url: str) -> Extracted:
    """The article of a page.

    Raises:
        ExtractError: there is none, or it is a stub.
    """
    import trafilatura

    kind = content_type.partition(";")[0].strip().lower()
    if kind and kind not in ("text/html", "application/xhtml+xml"):
        raise ExtractError("it is no page")
    found: Any = trafilatura.bare_extraction(
        _decoded(content, content_type),
        url=url,
        with_metadata=True,
        include_comments=False,
        include_images=False,
        include_tables=True,
        include_links=False,
        deduplicate=False,
    )
    body = getattr(found, "body", None)
    blocks = tuple(_blocks(body))[:MAX_BLOCKS] if body is not None else ()
    if sum(len(text) for _, text in blocks) < LEAST:
        raise ExtractError("there is no article in it")
    return Extracted(
        blocks=blocks,
        title=one_line(found.title or ""),
        author=one_line(found.author or ""),
        published=_moment(found.date or ""),
        language=_language(content, found.language or ""),
        licence=one_line(found.license or ""),
    )


def from_markup(markup: str, url: str) -> Extracted:
    """The article that stands in a feed's own entry.

    Raises:
        ExtractError: it is a stub.
    """
    page = f"<html><body><article>{markup}</article></body></html>"
    return extract(page.encode("utf-8"), "text/html; charset=utf-8", url)


def right_to_left(text: str) -> bool:
    """Whether most letters are of scripts that are written from right to left."""
    return 2 * len(_RTL.findall(text)) > len(_LETTER.findall(text))


def _decoded(content: bytes, content_type: str) -> bytes | str:
    """Text where the server named a charset that fits; otherwise the bytes, for the page to say."""
    named = _CHARSET.search(content_type)
    if named:
        try:
            return content.decode(named[1], "strict")
        except (LookupError, UnicodeDecodeError):
            pass  # servers are wrong about this more often than pages are
    return content


def _language(content: bytes, named: str) -> str:
    if named:
        return named
    match = re.search(rb"<html[^>]{0,500}\blang=[\"']?([A-Za-z-]{2,20})", content[:20_000])
    return match[1].decode("ascii") if match else ""


def _moment(day: str) -> int:
    try:
        return max(0, calendar.timegm(time.strptime(day[:10], "%Y-%m-%d")))
    except ValueError:
        return 0


_PLAIN = {"p": "p", "head": "h", "item": "li", "quote": "quote", "code": "pre"}


def _blocks(element: Any) -> Iterator[Block]:  # noqa: ANN401 - lxml's elements have no public type
    """The blocks of the library's tree, whose elements are those of TEI."""
    loose: list[str] = [element.text or ""]

    def flush() -> Iterator[Block]:
        made = block("p", "".join(loose))
        loose.clear()
        if made:
            yield made

    for child in element:
        tag = child.tag if isinstance(child.tag, str) else ""
        if tag in ("list", "table", "body", "main", "div", "quote") and len(child) and tag != "quote":
            yield from flush()
            yield from _blocks(child)
        elif tag == "row":
            yield from flush()
            made = block("row", "\t".join(_text(cell) for cell in child))
            if made:
                yield made
        elif tag in _PLAIN:
            yield from flush()
            made = block(_PLAIN[tag], _text(child))
            if made:
                yield made
        else:
            loose.append(" " if tag == "lb" else _text(child))
        loose.append(child.tail or "")
    yield from flush()


def _text(element: Any) -> str:  # noqa: ANN401
    parts = [element.text or ""]
    for child in element:
        tag = child.tag if isinstance(child.tag, str) else ""
        parts.append("\n" if tag == "lb" else _text(child))
        parts.append(" " if tag in ("item", "p", "cell") else "")
        parts.append(child.tail or "")
    return "".join(parts)

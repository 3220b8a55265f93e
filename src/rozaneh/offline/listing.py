"""What a feed or a sitemap lists, from its bytes alone."""

from __future__ import annotations

import calendar
import io
from dataclasses import dataclass
from urllib.parse import urljoin

from rozaneh.offline.manifest import check_url, one_line

_SITEMAPS = 50  # of one index: the newest are what news is about


@dataclass(frozen=True, slots=True)
class Listed:
    """A page that is named somewhere. `summary` and `text` are what the list itself says of it, as HTML."""

    url: str
    title: str = ""
    published: int = 0
    author: str = ""
    language: str = ""
    licence: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed's own name and language, and what it lists, in its order."""

    title: str
    language: str
    licence: str
    entries: tuple[Listed, ...]


class ListingError(Exception):
    """The bytes are no feed and no sitemap."""


def feed(content: bytes, url: str) -> Feed:
    """A feed in RSS, Atom or one of their relatives.

    Raises:
        ListingError: it is none.
    """
    import feedparser

    # A file object: given bytes or text alone the library may take them for a path or an address.
    found = feedparser.parse(io.BytesIO(content), sanitize_html=False, resolve_relative_uris=False)
    if not found.get("version"):
        raise ListingError("it is no feed")
    head = found.feed
    language = one_line(head.get("language", ""), 35)
    entries = []
    for entry in found.entries:
        link = _address(url, entry.get("link", ""))
        if link is None:
            continue
        moment = entry.get("published_parsed") or entry.get("updated_parsed")
        texts = [one.get("value", "") for one in entry.get("content", ())] or [entry.get("summary", "")]
        entries.append(
            Listed(
                url=link,
                title=one_line(_words(entry.get("title", ""))),
                published=max(0, calendar.timegm(moment)) if moment else 0,
                author=one_line(_words(entry.get("author", ""))),
                language=language,
                licence=one_line(_words(entry.get("rights", ""))),
                text=max(texts, key=len),
            )
        )
    return Feed(
        one_line(_words(head.get("title", ""))), language, one_line(_words(head.get("rights", ""))), tuple(entries)
    )


def sitemap(content: bytes, url: str) -> tuple[list[Listed], list[str]]:
    """The pages of a sitemap, the newest first, and the sitemaps it names itself.

    Raises:
        ListingError: it is none.
    """
    from lxml import etree

    # No entities, no network, no giants: a sitemap is a flat list.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ListingError("it is no sitemap") from error
    kind = etree.QName(root).localname if isinstance(root.tag, str) else ""
    if kind not in ("urlset", "sitemapindex"):
        raise ListingError("it is no sitemap")
    rows: list[tuple[str, str]] = []
    for child in root:
        fields = {etree.QName(one).localname: (one.text or "").strip() for one in child if isinstance(one.tag, str)}
        address = _address(url, fields.get("loc", ""))
        if address is not None:
            rows.append((fields.get("lastmod", ""), address))
    rows.sort(key=lambda row: row[0], reverse=True)  # W3C dates sort as text; those without stand last
    if kind == "sitemapindex":
        return [], [address for _, address in rows[:_SITEMAPS]]
    return [Listed(url=address) for _, address in rows], []


def _address(base: str, link: str) -> str | None:
    address = urljoin(base, link.strip()).partition("#")[0]
    try:
        check_url(address)
    except ValueError:
        return None
    return address


def _words(markup: str) -> str:
    """Text that may hold markup, without it."""
    import html

    import nh3

    return html.unescape(nh3.clean(markup, tags=set()))

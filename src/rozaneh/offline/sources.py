"""What a bundle is made from: feeds, sitemaps and single pages, as an operator writes them down.

::

    title = "Morning edition"                  # optional
    [[source]]
    feed = "https://news.example/feed.xml"     # exactly one of feed, sitemap, page
    name = "News"                              # optional: the feed's own title otherwise
    licence = "CC BY 4.0"                      # optional: under which it may be passed on
    articles = 20                              # optional: at most so many, the newest first
    allow_private = true                       # optional: this host is one's own
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.offline.manifest import check_url, one_line

_FILE_BYTES = 1 << 20
MOST_ARTICLES = 500


class SourceSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[source]]`."""

    feed: str | None = None
    sitemap: str | None = None
    page: str | None = None
    name: str = ""
    licence: str = ""
    articles: int = 20
    allow_private: bool = False

    @property
    def url(self) -> str:
        """The address it begins at."""
        return self.feed or self.sitemap or self.page or ""


class SourceList(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    source: tuple[SourceSpec, ...]
    title: str = ""


def of_feeds(urls: tuple[str, ...]) -> SourceList:
    """The list that is nothing but feeds.

    Raises:
        Fault: USAGE when an address is none.
    """
    return _checked(SourceList(source=tuple(SourceSpec(feed=url) for url in urls)), FaultKind.USAGE)


def load(path: Path) -> SourceList:
    """The list in a file.

    Raises:
        Fault: USAGE when it cannot be read; CONFIG when it is not written correctly.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES + 1)
    except OSError as error:
        raise Fault(FaultKind.USAGE, f"`{path}` cannot be read", why=error.strerror or "") from None
    if len(content) > _FILE_BYTES:
        raise Fault(FaultKind.CONFIG, f"`{path}` is larger than a list of sources can be")
    try:
        found = msgspec.convert(tomllib.loads(content.decode("utf-8")), SourceList)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise Fault(FaultKind.CONFIG, f"`{path}` is not written correctly", why=str(error)) from None
    return _checked(found, FaultKind.CONFIG)


def own_hosts(found: SourceList) -> frozenset[str]:
    """The hosts that the operator says are their own."""
    return frozenset((urlsplit(one.url).hostname or "").lower() for one in found.source if one.allow_private)


def _checked(found: SourceList, kind: FaultKind) -> SourceList:
    if not found.source:
        raise Fault(kind, "There is no source", hint="name a feed's address, or a file with `[[source]]` tables")
    for place, source in enumerate(found.source, 1):
        if sum(part is not None for part in (source.feed, source.sitemap, source.page)) != 1:
            raise Fault(kind, f"Source {place} has none or several of `feed`, `sitemap`, `page`")
        try:
            check_url(source.url)
            for text in (source.name, source.licence, found.title):
                if text != one_line(text):
                    raise ValueError("a name is too long, or holds what does not show")
            if not 1 <= source.articles <= MOST_ARTICLES:
                raise ValueError(f"`articles` is 1 to {MOST_ARTICLES}")
        except ValueError as error:
            raise Fault(kind, f"Source {place} cannot be used", why=str(error)) from None
    return found

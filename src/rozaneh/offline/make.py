"""Makes an edition: asks the sources, takes out the articles, keeps the newest that fit.

The same pages, keys, time and versions of libraries make the same bytes. What could not be fetched is said and left
out: a bundle with nine of ten sources today is worth more than one with ten tomorrow.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from urllib.parse import urlsplit

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.keys import SigningKey
from rozaneh.offline import container, manifest, text
from rozaneh.offline.extract import Extracted, ExtractError, extract, from_markup, right_to_left
from rozaneh.offline.fetch import Fetched, FetchError
from rozaneh.offline.listing import Listed, ListingError, feed, sitemap
from rozaneh.offline.manifest import Article, Blob, Manifest, Source, Type, one_line
from rozaneh.offline.sources import SourceList, SourceSpec

_SUMMARY = 140  # characters: two lines on a phone
_AT_ONCE = 8  # pages fetched side by side, of different sources mostly
_SITEMAPS = 5  # of one source's index

Fetch = Callable[[str], Fetched]


@dataclass(frozen=True, slots=True)
class Found:
    """An article of a source, its text encoded."""

    source: int
    url: str
    about: Extracted

    @property
    def encoded(self) -> bytes:
        """The text as it is signed, before it is deflated."""
        return text.encode(self.about.blocks)


@dataclass(frozen=True, slots=True)
class Failure:
    """A page that is not in the bundle, and why."""

    source: int
    url: str
    why: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the sources gave."""

    sources: tuple[Source, ...]
    articles: tuple[Found, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle's bytes and what is in it."""

    content: bytes
    edition: container.Edition
    left_out: int


def gather(wanted: SourceList, fetch: Fetch, note: Callable[[str], None] = lambda _: None) -> Gathered:
    """Asks every source."""
    with ThreadPoolExecutor(_AT_ONCE, "fetch") as pool:
        listed = list(pool.map(lambda one: _listed(one, fetch), wanted.source))
        sources = tuple(
            Source(
                name=spec.name or one_line(found.name) or (urlsplit(spec.url).hostname or "").lower(),
                url=spec.url,
                licence=spec.licence or found.licence,
            )
            for spec, found in zip(wanted.source, listed, strict=True)
        )
        pages: list[tuple[int, Listed]] = []
        seen: set[str] = set()
        failures = [Failure(place, wanted.source[place].url, one.why) for place, one in enumerate(listed) if one.why]
        for place, found in enumerate(listed):
            fresh = [one for one in found.entries if one.url not in seen][: wanted.source[place].articles]
            seen.update(one.url for one in fresh)
            pages += [(place, one) for one in fresh]
        note(f"{len(pages)} pages to fetch")
        results = list(pool.map(lambda page: _article(page[0], page[1], fetch), pages))
    articles = [one for one in results if isinstance(one, Found)]
    failures += [one for one in results if isinstance(one, Failure)]
    return Gathered(sources, tuple(articles), tuple(failures))


@dataclass(frozen=True, slots=True)
class _List:
    entries: tuple[Listed, ...] = ()
    name: str = ""
    licence: str = ""
    why: str = ""


def _listed(spec: SourceSpec, fetch: Fetch) -> _List:
    try:
        if spec.page is not None:
            return _List((Listed(url=spec.page),))
        content = fetch(spec.url)
        if spec.feed is not None:
            found = feed(content.content, content.url)
            return _List(found.entries, found.title, found.licence)
        return _List(tuple(_sitemap(content, fetch)))
    except (FetchError, ListingError) as error:
        return _List(why=str(error))


def _sitemap(content: Fetched, fetch: Fetch) -> Iterator[Listed]:
    pages, further = sitemap(content.content, content.url)
    yield from pages
    for url in further[:_SITEMAPS]:
        one = fetch(url)
        yield from sitemap(one.content, one.url)[0]


def _article(source: int, listed: Listed, fetch: Fetch) -> Found | Failure:
    url = listed.url
    try:
        page = fetch(url)
        url = page.url
        about = extract(page.content, page.content_type, page.url)
    except (FetchError, ExtractError) as error:
        # Many feeds carry the whole article: better than nothing when its page does not.
        try:
            about = from_markup(listed.text, url)
        except ExtractError:
            return Failure(source, listed.url, str(error))
    about = replace(
        about,
        title=listed.title or about.title,
        author=listed.author or about.author,
        published=listed.published or about.published,
        language=about.language or listed.language,
        licence=about.licence or listed.licence,
    )
    if about.blocks[0] == ("h", about.title) and len(about.blocks) > 1:
        about = replace(about, blocks=about.blocks[1:])
    return Found(source, listed.url, about)


def make(
    gathered: Gathered,
    keys: Sequence[SigningKey],
    *,
    title: str,
    issued: int,
    limit: int | None = None,
    base: dict[str, bytes] | None = None,
    base_digest: str = "",
) -> Made:
    """The bundle of these articles, the newest first, as many as fit in `limit` bytes.

    Args:
        gathered: What the sources gave.
        keys: Whose signatures it gets.
        title: What people will call it.
        issued: Seconds since 1970.
        limit: Bytes of the whole file; None for no limit.
        base: The blobs of an earlier bundle by hash, which are left out of this one.
        base_digest: The digest of that bundle's edition.

    Raises:
        Fault: FAILED when there is no article, or not one fits; CONFIG for the keys.
    """
    chosen: dict[str, Found] = {}
    for found in gathered.articles:
        chosen.setdefault(manifest.article_id(found.url), found)
    texts: set[str] = set()
    fresh: list[Found] = []
    for found in sorted(chosen.values(), key=lambda one: (-one.about.published, one.url)):
        # One text under two addresses (a section's page and the article's) is one article.
        mark = hashlib.sha256(found.encoded).hexdigest()
        if mark not in texts:
            texts.add(mark)
            fresh.append(found)
    if not fresh:
        raise Fault(FaultKind.FAILED, "None of the sources gave an article", hint="see what was said of each above")

    def built(articles: Sequence[Found]) -> Made:
        return _build(gathered.sources, articles, keys, title, issued, base or {}, base_digest, len(fresh))

    if limit is None:
        return built(fresh)
    # How many fit: more articles never make it smaller, so halving finds the most.
    least, most = 0, len(fresh)
    best: Made | None = None
    while least < most:
        middle = (least + most + 1) // 2
        made = built(fresh[:middle])
        if len(made.content) <= limit:
            least, best = middle, made
        else:
            most = middle - 1
    if best is None:
        raise Fault(FaultKind.FAILED, f"Not one article fits in {limit} bytes", hint="give a larger `--limit`")
    return best


def headlines_of(gathered: Gathered, title: str, issued: int) -> tuple[str, int, str, list[str]]:
    """What headlines are made from: title, time, the language most are in, and the titles, the newest first."""
    ordered = sorted(gathered.articles, key=lambda one: (-one.about.published, one.url))
    languages = Counter(tag for one in ordered if (tag := _tag(one.about.language)))
    language = languages.most_common(1)[0][0] if languages else ""
    name = title or (gathered.sources[0].name if gathered.sources else "")
    return name, issued, language, [one.about.title for one in ordered]


def _build(
    sources: Sequence[Source],
    articles: Sequence[Found],
    keys: Sequence[SigningKey],
    title: str,
    issued: int,
    base: dict[str, bytes],
    base_digest: str,
    fresh: int,
) -> Made:
    used = sorted({one.source for one in articles})
    contents: dict[str, bytes] = {}
    blobs: list[Blob] = []
    lines: list[Article] = []
    for found in articles:
        encoded = found.encoded
        stored = container.deflate(encoded)
        mark = hashlib.sha256(stored).hexdigest()
        words = text.plain(found.about.blocks)
        contents[mark] = stored
        blobs.append(Blob(hash=mark, size=len(stored), type=Type.TEXT, plain=len(encoded), base=mark in base))
        lines.append(
            Article(
                id=manifest.article_id(found.url),
                source=used.index(found.source),
                url=found.url,
                title=found.about.title or one_line(words, 80),
                text=len(blobs) - 1,
                language=_tag(found.about.language),
                rtl=right_to_left(words),
                published=found.about.published,
                author=found.about.author,
                licence=found.about.licence if found.about.licence != sources[found.source].licence else "",
                summary=one_line(words, _SUMMARY),
            )
        )
    edition = container.sign(
        Manifest(
            schema=manifest.SCHEMA,
            title=title,
            issued=issued,
            sources=tuple(sources[place] for place in used),
            articles=tuple(lines),
            blobs=tuple(blobs),
            base=base_digest,
        ),
        keys,
    )
    file = BytesIO()
    container.write(file, [edition], contents)
    return Made(file.getvalue(), edition, fresh - len(articles))


def _tag(language: str) -> str:
    return language if manifest.is_language(language) else ""

"""A folder of pages out of a bundle: whole or absent, whatever happens while it is written."""

from __future__ import annotations

import html
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath

from rozaneh.core.files import sync_dir
from rozaneh.core.folders import made_whole
from rozaneh.offline import container, text
from rozaneh.offline.container import Edition
from rozaneh.offline.manifest import Article, Blob, Manifest
from rozaneh.offline.reader import search
from rozaneh.offline.reader.page import link, page
from rozaneh.offline.reader.words import Words, choose


@dataclass(frozen=True, slots=True)
class Shown:
    """What was written."""

    pages: int
    articles: int
    missing: tuple[str, ...]


def write(folder: Path, editions: tuple[Edition, ...], blobs: Mapping[str, bytes], signed_by: str) -> Shown:
    """Writes the pages of these editions into `folder`, which must not exist or be empty.

    Args:
        folder: Where; it appears at once and whole.
        editions: The newest word on an article counts.
        blobs: The bytes that are whole, by hash; an article whose text is not among them is listed as missing.
        signed_by: The issuer's words, shown on every page.

    Raises:
        Fault: CONFIG when there is something in `folder`; PERMISSION when it cannot be written; INTEGRITY for a text
        that is signed and not in its one form.
    """
    with made_whole(folder) as made:
        return _fill(made, editions, blobs, signed_by)


def _fill(folder: Path, editions: tuple[Edition, ...], blobs: Mapping[str, bytes], signed_by: str) -> Shown:
    newest = sorted((one.manifest for one in editions), key=lambda one: -one.issued)
    found: dict[str, tuple[Article, Manifest, str]] = {}
    lost: dict[str, str] = {}
    for one in newest:
        for article in one.articles:
            if article.id in found:
                continue
            blob = one.blobs[article.text]
            content = blobs.get(blob.hash)
            if content is None:
                lost[article.id] = article.title
            else:
                found[article.id] = (article, one, _html(container.inflate(blob, content)))
    gone = tuple(title for name, title in lost.items() if name not in found)
    articles = sorted((one for one, _, _ in found.values()), key=lambda one: (-one.published, one.url))
    words = choose(article.language for article in articles)
    count = 0
    pages = _pages(newest, found, articles, gone, words, signed_by)
    for name, content in chain(pages, _pictures(found, blobs)):
        place = folder / PurePosixPath(name)
        place.parent.mkdir(exist_ok=True)
        with place.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        count += 1
    for inner in ("a", "i", "search", "."):
        if (folder / inner).is_dir():
            sync_dir(folder / inner)
    return Shown(count, len(articles), gone)


def _html(content: bytes) -> str:
    return text.to_html(text.decode(content))


def _pages(
    newest: list[Manifest],
    found: Mapping[str, tuple[Article, Manifest, str]],
    articles: list[Article],
    gone: tuple[str, ...],
    words: Words,
    signed_by: str,
) -> Iterator[tuple[str, bytes]]:
    title = newest[0].title
    foot = f"<footer>{html.escape(words.signed)}: {html.escape(signed_by)}</footer>"
    rows = "\n".join(_row(one, found[one.id][1]) for one in articles)
    missing = (
        f"<h2>{html.escape(words.missing)}</h2>\n<ul>\n"
        + "\n".join(f"<li>{html.escape(one)}</li>" for one in gone)
        + "\n</ul>"
        if gone
        else ""
    )
    head = (
        f"<h1>{html.escape(title)}</h1>\n<p class=by>{html.escape(words.issued)}: {_moment(newest[0].issued)} · "
        f"{len(articles)} {html.escape(words.articles)} · {link('search/index.html', words.search)}</p>"
    )
    yield "index.html", page(title, f"{head}\n<ul>\n{rows}\n</ul>\n{missing}\n{foot}", words)
    for article in articles:
        _, one, fragment = found[article.id]
        yield f"a/{article.id}.html", _article(article, one, fragment, words, foot)
    texts = {name: _words(fragment) for name, (_, _, fragment) in found.items()}
    for name, content in search.pages(texts, articles, words):
        yield f"search/{name}", content


def _pictures(
    found: Mapping[str, tuple[Article, Manifest, str]], blobs: Mapping[str, bytes]
) -> Iterator[tuple[str, bytes]]:
    named = {
        _picture(blob): blobs[blob.hash]
        for article, one, _ in found.values()
        for blob in (one.blobs[image.blob] for image in article.images)
        if blob.hash in blobs
    }
    yield from named.items()


def _picture(blob: Blob) -> str:
    return f"i/{blob.hash}{blob.type.suffix}"


def _row(article: Article, one: Manifest) -> str:
    by = html.escape(one.sources[article.source].name) + (f" · {_day(article.published)}" if article.published else "")
    summary = f"<br>{html.escape(article.summary)}" if article.summary else ""
    side = "rtl" if article.rtl else "ltr"
    return f'<li dir="{side}">{link(f"a/{article.id}.html", article.title)} <span class=by>{by}</span>{summary}</li>'


def _article(article: Article, one: Manifest, fragment: str, words: Words, foot: str) -> bytes:
    source = one.sources[article.source]
    licence = article.licence or source.licence
    facts = [source.name, article.author, _day(article.published) if article.published else ""]
    # The address is shown and not linked: a slip of the finger must not ask the network for a blocked page.
    about = f"{words.source}: {article.url}" + (f" · {words.licence}: {licence}" if licence else "")
    # A picture is opened when somebody asks for it: on a weak device a page of text must stay one.
    pictures = "".join(
        f"<li>{link(f'../{_picture(one.blobs[image.blob])}', image.alt or '*')} "
        f"({image.width} x {image.height}, {one.blobs[image.blob].size // 1000 + 1} kB)</li>"
        for image in article.images
    )
    pictures = f"<ul>{pictures}</ul>\n" if pictures else ""
    body = (
        f"<nav>{link('../index.html', words.home)} · {link('../search/index.html', words.search)}</nav>\n"
        f"<h1>{html.escape(article.title)}</h1>\n"
        f"<p class=by>{html.escape(' · '.join(fact for fact in facts if fact))}</p>\n"
        f"{fragment}\n"
        + (f"<ul>{pictures}</ul>\n" if pictures else "")
        + f"<p class=by dir=ltr>{html.escape(about)}</p>\n{foot}"
    )
    return page(article.title, body, words, language=article.language, rtl=article.rtl)


def _words(fragment: str) -> str:
    """The text of a fragment that `text.to_html` made: its tags are the only `<` in it."""
    out: list[str] = []
    for part in fragment.split("<"):
        out.append(part.partition(">")[2] if ">" in part else part)
    return html.unescape(" ".join(out))


def _day(moment: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def _moment(moment: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))

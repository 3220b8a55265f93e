"""The manifest: what an edition holds, in the one form that is signed.

It is canonical JSON (the keys of `Manifest` in that order, no blanks, defaults left out) in a zlib stream (RFC 1950),
and that stream is what is signed: a line for each article is a third of an edition of text otherwise. Articles name
their text and pictures by their place in `blobs`; a blob's bytes are known by their hash before they are looked at.
Every number, name and count is bounded here, so that nothing behind this file has to wonder.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from enum import Enum
from urllib.parse import urlsplit

import msgspec

from rozaneh.core.errors import Fault, FaultKind

SCHEMA = "rozaneh.bundle/1"
MAX_BYTES = 4 << 20  # twenty thousand articles' lines; a reader holds the manifest in memory
MAX_BLOBS = 65_536
MAX_ARTICLES = 20_000
MAX_SOURCES = 1_000
MAX_IMAGES = 64
MAX_BLOB = 64 << 20  # a picture or an installer; larger things belong in pieces of their own
MAX_INFLATED = 8 << 20  # the text of one article: longer than any book
MAX_NAME = 512  # characters of a title or a name
MAX_URL = 2_048
LAST_MOMENT = 253_402_300_799  # the end of the year 9999, the last that calendars can name
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*\Z")  # RFC 5646 section 2.1, in short
_ID = re.compile(r"[0-9a-f]{16}\Z")
# Control characters, and those that turn the direction of what stands behind them (Unicode TR 36 section 3.2).
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class Type(Enum):
    """What a blob may be. `TEXT` is the text of an article (`rozaneh.offline.text`)."""

    TEXT = "application/json"
    JPEG = "image/jpeg"
    PNG = "image/png"
    WEBP = "image/webp"

    @property
    def suffix(self) -> str:
        """The ending of a file of this type."""
        return {"application/json": ".json", "image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}[
            self.value
        ]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Every part of the document: unknown keys are refused, defaults are left out."""


class Blob(_Part, frozen=True, kw_only=True):
    """Bytes known by their hash.

    Attributes:
        hash: SHA-256 of the bytes as they are stored.
        size: their number.
        type: what they are.
        plain: 0, or their number once inflated: they are stored as a zlib stream (RFC 1950).
        base: they are not in this file but in the bundle it builds on.
    """

    hash: str
    size: int
    type: Type
    plain: int = 0
    base: bool = False


class Source(_Part, frozen=True, kw_only=True):
    """Where articles come from, as a person knows it, and under which licence they may be passed on."""

    name: str
    url: str
    licence: str = ""


class Image(_Part, frozen=True, kw_only=True):
    """A picture of an article."""

    blob: int
    width: int
    height: int
    alt: str = ""


class Article(_Part, frozen=True, kw_only=True):
    """One article.

    Attributes:
        id: sixteen hexadecimal digits, the same in every edition (`article_id`).
        source: its place in `Manifest.sources`.
        url: where it stood.
        title: its title.
        language: BCP 47, empty where it is not known.
        rtl: it is read from right to left.
        published: seconds since 1970, 0 where it is not known.
        author: as named there.
        licence: where it differs from its source's.
        text: the place of its text in `Manifest.blobs`.
        summary: its first words.
        images: in order.
    """

    id: str
    source: int
    url: str
    title: str
    text: int
    language: str = ""
    rtl: bool = False
    published: int = 0
    author: str = ""
    licence: str = ""
    summary: str = ""
    images: tuple[Image, ...] = ()


class Manifest(_Part, frozen=True, kw_only=True):
    """An edition.

    Attributes:
        schema: `SCHEMA`.
        title: what people call it.
        issued: seconds since 1970.
        base: the digest of the manifest it builds on, or empty.
        sources: at least one.
        articles: the newest first.
        blobs: in the order they stand in the file.
    """

    schema: str
    title: str
    issued: int
    sources: tuple[Source, ...]
    articles: tuple[Article, ...]
    blobs: tuple[Blob, ...]
    base: str = ""

    def encode(self) -> bytes:
        """The bytes that are signed.

        Raises:
            ValueError: it breaks a bound.
        """
        check(self)
        data = msgspec.json.encode(self)
        if len(data) > MAX_BYTES:
            raise ValueError(f"it is longer than {MAX_BYTES} bytes")
        return zlib.compress(data, 9)


def digest(encoded: bytes) -> str:
    """What an edition is called by machines: the SHA-256 of its manifest's bytes."""
    return hashlib.sha256(encoded).hexdigest()


def article_id(url: str) -> str:
    """The name of the article that stands at `url`, in every edition."""
    return hashlib.sha256(b"rozaneh article v1\x00" + url.encode("utf-8")).hexdigest()[:16]


def one_line(text: str, limit: int = MAX_NAME) -> str:
    """Text as it may stand in a manifest: one line, nothing hidden in it, cut at `limit` characters."""
    return " ".join(_HIDDEN.sub("", re.sub(r"\s", " ", text)).split())[:limit].strip()


def decode(encoded: bytes) -> Manifest:
    """The manifest of bytes whose signature has been checked.

    Raises:
        Fault: INTEGRITY when it is not well formed, breaks a bound, or is not in its one form.
    """
    try:
        plain = inflate(encoded, MAX_BYTES)
        manifest = msgspec.json.decode(plain, type=Manifest)
        check(manifest)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Fault(FaultKind.INTEGRITY, "The bundle is signed but not well formed", why=str(error)) from None
    if msgspec.json.encode(manifest) != plain:
        raise Fault(FaultKind.INTEGRITY, "The bundle's contents are not in their one form")
    return manifest


def inflate(stored: bytes, most: int) -> bytes:
    """What a zlib stream holds, when that is all there is and at most so long.

    Raises:
        ValueError: it is longer, cut short, followed by something, or no such stream.
    """
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(stored, most + 1)
    except zlib.error:
        raise ValueError("it is not stored as it must be") from None
    if len(plain) > most or not stream.eof or stream.unused_data or stream.unconsumed_tail:
        raise ValueError("it is longer than it may be, cut short, or something follows")
    return plain


def check(manifest: Manifest) -> None:
    """All bounds.

    Raises:
        ValueError: which one is broken.
    """
    if manifest.schema != SCHEMA:
        raise ValueError("unknown schema")
    _line(manifest.title, "the title")
    _range(manifest.issued, 1, LAST_MOMENT, "the time of issue")
    if manifest.base and not _HASH.match(manifest.base):
        raise ValueError("the base is not a digest")
    _count(len(manifest.sources), MAX_SOURCES, "sources")
    _count(len(manifest.articles), MAX_ARTICLES, "articles")
    _count(len(manifest.blobs), MAX_BLOBS, "blobs")
    for source in manifest.sources:
        _line(source.name, "a source's name")
        _line(source.licence, "a licence", empty=True)
        check_url(source.url)
    _check_blobs(manifest)
    for article in manifest.articles:
        _check_article(manifest, article)
    if len({article.id for article in manifest.articles}) != len(manifest.articles):
        raise ValueError("an article stands in it twice")
    used = {place for one in manifest.articles for place in (one.text, *(image.blob for image in one.images))}
    if len(used) != len(manifest.blobs):
        raise ValueError("it holds bytes that belong to nothing")


def is_language(text: str) -> bool:
    """Whether a language is named as BCP 47 has it."""
    return _LANGUAGE.match(text) is not None


def check_url(url: str) -> None:
    """An address a page may be read at.

    Raises:
        ValueError: it is none.
    """
    if not 0 < len(url) <= MAX_URL or not url.isascii() or not url.isprintable() or set(url) & set(" \"'<>\\^`{|}"):
        raise ValueError("an address is too long, or holds what no address holds")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("an address is not one of a web page")


def _check_blobs(manifest: Manifest) -> None:
    for blob in manifest.blobs:
        if not _HASH.match(blob.hash):
            raise ValueError("a hash is not one")
        _range(blob.size, 1, MAX_BLOB, "the size of a blob")
        if blob.type is Type.TEXT:
            _range(blob.plain, 1, MAX_INFLATED, "the size of a text")
        elif blob.plain:
            raise ValueError("a picture is not stored deflated")
        if blob.base and not manifest.base:
            raise ValueError("it builds on nothing, and yet something is left to its base")
    if len({blob.hash for blob in manifest.blobs}) != len(manifest.blobs):
        raise ValueError("the same bytes stand in it twice")


def _check_article(manifest: Manifest, article: Article) -> None:
    if not _ID.match(article.id):
        raise ValueError("an article's name is not one")
    _range(article.source, 0, len(manifest.sources) - 1, "an article's source")
    check_url(article.url)
    _line(article.title, "an article's title")
    for text, what in ((article.author, "an author"), (article.licence, "a licence"), (article.summary, "a summary")):
        _line(text, what, empty=True)
    if article.language and not is_language(article.language):
        raise ValueError("a language is not named as BCP 47 has it")
    _range(article.published, 0, LAST_MOMENT, "a time of publication")
    if _blob(manifest, article.text).type is not Type.TEXT:
        raise ValueError("an article's text is no text")
    if len(article.images) > MAX_IMAGES:
        raise ValueError(f"an article has more than {MAX_IMAGES} pictures")
    for image in article.images:
        if _blob(manifest, image.blob).type is Type.TEXT:
            raise ValueError("a picture is no picture")
        _range(image.width, 1, 65_535, "a picture's width")
        _range(image.height, 1, 65_535, "a picture's height")
        _line(image.alt, "what a picture shows", empty=True)


def _blob(manifest: Manifest, place: int) -> Blob:
    _range(place, 0, len(manifest.blobs) - 1, "a place among the blobs")
    return manifest.blobs[place]


def _line(text: str, what: str, *, empty: bool = False) -> None:
    if not (text or empty) or text != one_line(text):
        raise ValueError(f"{what} is empty, too long, or holds what does not show")


def _range(value: int, least: int, most: int, what: str) -> None:
    if not least <= value <= most:
        raise ValueError(f"{what} is out of range")


def _count(value: int, most: int, what: str) -> None:
    _range(value, 1, most, f"the number of {what}")

"""Editions made in memory."""

from __future__ import annotations

import hashlib
from io import BytesIO

from rozaneh.core.keys import SigningKey
from rozaneh.offline import container, text
from rozaneh.offline.manifest import SCHEMA, Article, Blob, Manifest, Source, Type, article_id

KEYS = [SigningKey.from_seed(bytes([number]) * 32) for number in range(1, 5)]


def blob_of(words: str, *, base: bool = False) -> tuple[Blob, bytes]:
    """A text's blob and its bytes."""
    encoded = text.encode([("p", words)])
    stored = container.deflate(encoded)
    mark = hashlib.sha256(stored).hexdigest()
    return Blob(hash=mark, size=len(stored), type=Type.TEXT, plain=len(encoded), base=base), stored


def manifest(*texts: str, issued: int = 1_800_000_000, base: str = "", old: tuple[str, ...] = ()) -> Manifest:
    """An edition with an article a text; those in `old` are left to its base."""
    blobs = tuple(blob_of(words, base=words in old)[0] for words in texts)
    articles = tuple(
        Article(
            id=article_id(f"https://news.example/{words}"),
            source=0,
            url=f"https://news.example/{number}",
            title=f"Title of {words[:40]}".strip(),
            text=number,
            published=issued - number,
            summary=words[:200].strip(),
        )
        for number, words in enumerate(texts)
    )
    source = Source(name="News", url="https://news.example/feed", licence="CC BY 4.0")
    return Manifest(
        schema=SCHEMA, title="Morning", issued=issued, sources=(source,), articles=articles, blobs=blobs, base=base
    )


def file_of(*manifests: Manifest, keys: tuple[SigningKey, ...] = (KEYS[0],), texts: tuple[str, ...] = ()) -> bytes:
    """The file of these editions, all signed by `keys`."""
    file = BytesIO()
    blobs = {blob.hash: stored for blob, stored in map(blob_of, texts)}
    container.write(file, [container.sign(one, keys) for one in manifests], blobs)
    return file.getvalue()


def small(*texts: str, keys: tuple[SigningKey, ...] = (KEYS[0],)) -> bytes:
    """A file of one edition."""
    return file_of(manifest(*texts), keys=keys, texts=texts)

"""What people do with a bundle: check it, see what is whole, compare two, put several into one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.issuer import Issuer
from rozaneh.offline import container, headlines
from rozaneh.offline.container import Edition, Head
from rozaneh.offline.headlines import Headlines
from rozaneh.offline.manifest import Article, Blob, Manifest


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that was read to its end.

    Attributes:
        head: its editions, every signature good.
        good: the hashes of blobs that are whole.
        appended: something stands behind its end.
    """

    head: Head
    good: frozenset[str]
    appended: bool

    @property
    def missing(self) -> tuple[Blob, ...]:
        """The blobs that should be in the file and are not, or are not as they were signed."""
        return tuple(blob for blob in self.head.order if blob.hash not in self.good)

    @property
    def whole(self) -> bool:
        """Whether it is exactly the file that its issuer made."""
        return not self.missing and not self.appended

    def readable(self, edition: Edition) -> list[Article]:
        """The articles of an edition whose text is here."""
        blobs = edition.manifest.blobs
        return [one for one in edition.manifest.articles if blobs[one.text].hash in self.good]


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file at `path`.

    Raises:
        Fault: USAGE when it cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise Fault(FaultKind.USAGE, f"`{path}` cannot be read", why=error.strerror or "") from None


def check(path: Path, issuer: Issuer | None) -> Checked:
    """Reads a file to its end.

    Raises:
        Fault: INTEGRITY when a signature does not fit or nothing of it can be used; USAGE when it cannot be read.
    """
    with opened(path) as file:
        head = container.read_head(file, issuer)
        good = frozenset(blob.hash for blob, content in container.read_blobs(file, head) if content is not None)
        return Checked(head, good, not container.at_end(file))


def contents(path: Path, issuer: Issuer | None) -> tuple[Head, dict[str, bytes]]:
    """A file's editions and its whole blobs, in memory.

    Raises:
        Fault: as `check`.
    """
    with opened(path) as file:
        head = container.read_head(file, issuer)
        found = {blob.hash: content for blob, content in container.read_blobs(file, head) if content is not None}
        return head, found


def headlines_in(path: Path, issuer: Issuer) -> Headlines | None:
    """The headlines in a file that holds those and no bundle.

    Raises:
        Fault: INTEGRITY when they are not the issuer's; USAGE when the file cannot be read.
    """
    with opened(path) as file:
        data = file.read(headlines.MAX_BYTES + 1)
    return headlines.read(data, issuer) if headlines.is_headlines(data) else None


@dataclass(frozen=True, slots=True)
class Difference:
    """What the second of two editions has that the first has not, and so on."""

    added: tuple[Article, ...]
    removed: tuple[Article, ...]
    changed: tuple[Article, ...]


def diff(first: Sequence[Manifest], second: Sequence[Manifest]) -> Difference:
    """How the articles of two files differ."""
    old, new = _texts(first), _texts(second)
    return Difference(
        added=tuple(article for name, (article, _) in new.items() if name not in old),
        removed=tuple(article for name, (article, _) in old.items() if name not in new),
        changed=tuple(article for name, (article, mark) in new.items() if name in old and old[name][1] != mark),
    )


def _texts(manifests: Sequence[Manifest]) -> dict[str, tuple[Article, str]]:
    """The articles of several editions by name, the newest edition's last word on each."""
    found: dict[str, tuple[Article, str]] = {}
    for one in sorted(manifests, key=lambda one: one.issued):
        for article in one.articles:
            found[article.id] = (article, one.blobs[article.text].hash)
    return found


def merge(parts: Sequence[tuple[Head, Mapping[str, bytes]]], file: BinaryIO) -> tuple[Edition, ...]:
    """Writes one file with every edition of several, the newest first, each as it was signed.

    Raises:
        Fault: INTEGRITY when bytes that an edition holds are in none of them; CONFIG when there are too many editions.
    """
    editions = {edition.encoded: edition for head, _ in parts for edition in head.editions}
    ordered = tuple(sorted(editions.values(), key=lambda one: (-one.manifest.issued, one.digest)))
    blobs = {mark: content for _, found in parts for mark, content in found.items()}
    lost = [blob for blob in container.stored(one.manifest for one in ordered) if blob.hash not in blobs]
    if lost:
        raise Fault(
            FaultKind.INTEGRITY,
            f"{len(lost)} parts are whole in none of the bundles",
            hint="get the damaged one again: `rozaneh bundle verify` says which it is",
        )
    container.write(file, ordered, blobs)
    return ordered

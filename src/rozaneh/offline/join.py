"""A bundle out of whatever arrived: pieces, pictures of codes, folders of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.offline.carriers import file, qr
from rozaneh.offline.headlines import is_headlines

_PICTURES = (b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"RIFF")
_MAX_FILES = 1_000_000


def paths(given: Iterable[Path]) -> Iterator[Path]:
    """The files that are meant: those given, and all of the folders given, in order.

    Raises:
        Fault: USAGE when one is not there.
    """
    count = 0
    for path in given:
        if path.is_dir():
            found = sorted(one for one in path.rglob("*") if one.is_file() and not one.is_symlink())
        elif path.is_file():
            found = [path]
        else:
            raise Fault(FaultKind.USAGE, f"There is no `{path}`")
        count += len(found)
        if count > _MAX_FILES:
            raise Fault(FaultKind.USAGE, "These are too many files")
        yield from found


def chunks_in(path: Path) -> Iterator[bytes]:
    """What may be chunks in a file, and headlines in a code; nothing in a file of another kind.

    Raises:
        Fault: USAGE when it cannot be read.
    """
    try:
        with path.open("rb") as opened:
            start = opened.read(4)
            if start == file.MAGIC:
                data = start + opened.read(file.MAX_PIECE)
            elif not start.startswith(_PICTURES):
                return
    except OSError as error:
        raise Fault(FaultKind.USAGE, f"`{path}` cannot be read", why=error.strerror or "") from None
    if start == file.MAGIC:
        yield from file.scan(data, len(file.MAGIC))
    else:
        for code in qr.read(path):
            if is_headlines(code):
                yield code
            else:
                yield from file.scan(code)

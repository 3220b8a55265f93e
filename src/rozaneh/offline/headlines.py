r"""Headlines: the day in at most 1,000 bytes, signed, so that one code on a wall holds it.

::

    "RZH1" | u8 number of signatures | per signature: 4 key's hint | 64 signature | raw deflate of the text

The text is UTF-8, one line each: the seconds since 1970 it was issued at, its title, its language, then headlines. What
is signed is the deflated text under the label `rozaneh headlines v1`. As in a bundle, each signature must be good and
enough must be of the issuer's keys; a signature whose key is not the issuer's cannot be checked here, for only the
hint of the key is there, and is refused.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.issuer import HINT_BYTES, Issuer, hint
from rozaneh.core.keys import SIGNATURE_BYTES, SigningKey, verify
from rozaneh.core.signed import signed_bytes
from rozaneh.offline.manifest import LAST_MOMENT, is_language, one_line

MAGIC = b"RZH1"
LABEL = "rozaneh headlines v1"
MAX_BYTES = 1_000  # a QR code of version 22 at level L holds 1,003 (ISO/IEC 18004 table 7)
MAX_TEXT = 16_384  # no thousand bytes of honest text inflate to more
_ENTRY = HINT_BYTES + SIGNATURE_BYTES
_MAX_SIGNATURES = 4
_LONGEST = 120  # characters of a headline
_NUMBER = re.compile(r"[1-9][0-9]{0,11}\Z")


@dataclass(frozen=True, slots=True)
class Headlines:
    """What the day was."""

    title: str
    issued: int
    language: str
    lines: tuple[str, ...]


def is_headlines(start: bytes) -> bool:
    """Whether a file that begins so holds headlines."""
    return start.startswith(MAGIC)


def make(
    title: str, issued: int, language: str, lines: Iterable[str], keys: Sequence[SigningKey], limit: int = MAX_BYTES
) -> tuple[bytes, Headlines]:
    """The file with as many of `lines`, the first ones, as fit in `limit` bytes.

    Raises:
        Fault: CONFIG for too many keys; FAILED when not one headline fits.
    """
    if not 1 <= len(keys) <= _MAX_SIGNATURES or len({key.public() for key in keys}) != len(keys):
        raise Fault(FaultKind.CONFIG, f"Headlines are signed by 1 to {_MAX_SIGNATURES} different keys")
    wanted = list(dict.fromkeys(filter(None, (one_line(line, _LONGEST) for line in lines))))
    best: tuple[bytes, Headlines] | None = None
    for count in range(1, len(wanted) + 1):
        day = Headlines(one_line(title, _LONGEST), issued, language, tuple(wanted[:count]))
        data = _sign(_deflate(_text(day)), keys)
        if len(data) > min(limit, MAX_BYTES):
            break
        best = data, day
    if best is None:
        raise Fault(FaultKind.FAILED, f"Not one headline fits in {limit} bytes", hint="give a larger `--limit`")
    return best


def read(data: bytes, issuer: Issuer) -> Headlines:
    """The headlines in a file, once enough of the issuer's keys are known to have signed them.

    Raises:
        Fault: INTEGRITY otherwise.
    """
    if not MAX_BYTES >= len(data) > len(MAGIC) + 1 + _ENTRY or not data.startswith(MAGIC):
        raise _none("they are too long, cut short, or no headlines")
    (count,) = struct.unpack_from(">B", data, len(MAGIC))
    start = len(MAGIC) + 1
    end = start + count * _ENTRY
    if not 1 <= count <= _MAX_SIGNATURES or end >= len(data):
        raise _none("their signatures are not written as they must be")
    packed = data[end:]
    message = signed_bytes(LABEL, packed)
    known = {hint(member.key): member.key for member in issuer.members}
    signers = []
    for at in range(start, end, _ENTRY):
        key = known.get(data[at : at + HINT_BYTES])
        if key is None or not verify(key, data[at + HINT_BYTES : at + _ENTRY], message):
            raise _none("a signature is not by a key of this issuer")
        signers.append(key)
    if signers != sorted(set(signers)) or not issuer.accepts(signers):
        raise _none("too few of the issuer's keys have signed them")
    return _parse(packed)


def _sign(packed: bytes, keys: Sequence[SigningKey]) -> bytes:
    message = signed_bytes(LABEL, packed)
    ordered = sorted(keys, key=lambda key: key.public())
    return MAGIC + bytes([len(keys)]) + b"".join(hint(key.public()) + key.sign(message) for key in ordered) + packed


def _text(day: Headlines) -> bytes:
    return "\n".join((str(day.issued), day.title, day.language, *day.lines)).encode("utf-8")


def _deflate(text: bytes) -> bytes:
    # Raw: a checksum and a header would be six bytes that the signature makes needless.
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(text) + stream.flush()


def _parse(packed: bytes) -> Headlines:
    stream = zlib.decompressobj(-15)
    try:
        text = stream.decompress(packed, MAX_TEXT)
        lines = text.decode("utf-8").split("\n")
    except (zlib.error, UnicodeDecodeError):
        raise _none("they are signed but not well formed") from None
    if not stream.eof or stream.unused_data or len(lines) < 4 or not _NUMBER.match(lines[0]):
        raise _none("they are signed but not well formed")
    issued, title, language, *headlines = int(lines[0]), *lines[1:]
    good = all(line and line == one_line(line, _LONGEST) for line in (title, *headlines))
    if not good or issued > LAST_MOMENT or (language and not is_language(language)):
        raise _none("they are signed but not well formed")
    return Headlines(title, issued, language, tuple(headlines))


def _none(why: str) -> Fault:
    return Fault(FaultKind.INTEGRITY, "These are no headlines of this issuer", why=why)

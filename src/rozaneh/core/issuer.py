r"""Who may sign: a key, a key that was rotated, or so many of several, written as lines a person can pass on.

::

    issuer    = [ "rozaneh-policy:1:" threshold LF ] 1*member
    member    = "rozaneh-key:1:" key LF *( rotation LF )
    rotation  = "rozaneh-rotation:1:" new key ":" old key's signature ":" new key's signature

Keys and signatures are base64url without padding. A file `*.pub` with one key line is the smallest issuer. In a
rotation both keys sign both keys: the old one to hand over, the new one to show that somebody holds it.

Whoever holds the lines of a rotation believes the newest key alone. An old key is retired because it may have been
seen by others, so what it signs later counts for nothing, and what it signed earlier cannot be told from that.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SigningKey, fingerprint, verify
from rozaneh.core.signed import signed_bytes

KEY_LINE = "rozaneh-key:1:"
ROTATION_LINE = "rozaneh-rotation:1:"
POLICY_LINE = "rozaneh-policy:1:"
MAX_MEMBERS = 16  # a board of editors; every signature costs 96 bytes in a headline edition of 1,000
MAX_ROTATIONS = 64  # one a year for longer than anybody keeps a key
HINT_BYTES = 4  # 1 in 2^32 finds two of a policy's keys alike, and then only a signature is not believed
_LABEL = "rozaneh key rotation v1"
_MAX_TEXT = MAX_MEMBERS * (MAX_ROTATIONS + 1) * 256


@dataclass(frozen=True, slots=True)
class Member:
    """One signer: the key it began with, and the keys that followed."""

    keys: tuple[bytes, ...]
    lines: tuple[str, ...]

    @property
    def key(self) -> bytes:
        """The key that counts."""
        return self.keys[-1]


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose signatures are asked for."""

    members: tuple[Member, ...]
    threshold: int = 1

    @property
    def text(self) -> str:
        """The lines, in their one form."""
        head = [f"{POLICY_LINE}{self.threshold}"] if len(self.members) > 1 else []
        return "\n".join([*head, *(line for member in self.members for line in member.lines)]) + "\n"

    @property
    def words(self) -> str:
        """What a person compares by voice: the key's words, or those of the whole policy."""
        if len(self.members) == 1:
            return fingerprint(self.members[0].key)
        return fingerprint(hashlib.sha256(b"rozaneh policy v1\x00" + self.text.encode("ascii")).digest())

    def accepts(self, signers: Iterable[bytes]) -> bool:
        """Whether signatures by these keys, each checked already, are enough."""
        given = set(signers)
        return sum(member.key in given for member in self.members) >= self.threshold

    def retired(self, signers: Iterable[bytes]) -> bool:
        """Whether one of these keys was a member's before it was rotated."""
        given = set(signers)
        return any(not given.isdisjoint(member.keys[:-1]) for member in self.members)


def of_key(public: bytes) -> Issuer:
    """The issuer that is one key."""
    return Issuer((Member((public,), (key_line(public),)),))


def hint(public: bytes) -> bytes:
    """What short signed things say of their signer's key: enough not to try every key that counts."""
    return hashlib.sha256(public).digest()[:HINT_BYTES]


def key_line(public: bytes) -> str:
    """A public key as its line."""
    return KEY_LINE + _text(public)


def rotation_line(old: SigningKey, new: SigningKey) -> str:
    """The line by which `old` hands over to `new`.

    Raises:
        Fault: CONFIG when they are one key.
    """
    if old.public() == new.public():
        raise Fault(FaultKind.CONFIG, "The old and the new key are the same", hint="make one with `rozaneh key new`")
    message = _rotation(old.public(), new.public())
    return f"{ROTATION_LINE}{_text(new.public())}:{_text(old.sign(message))}:{_text(new.sign(message))}"


def parse(text: str) -> Issuer:
    """The issuer that these lines name, every rotation checked.

    Raises:
        Fault: INTEGRITY when a line is damaged or a signature does not fit.
    """
    if len(text) > _MAX_TEXT or not text.isascii():
        raise _damaged("it is too long, or holds other than plain characters")
    lines = text.splitlines()
    threshold = 1
    policy = bool(lines) and lines[0].startswith(POLICY_LINE)
    if policy:
        threshold = _number(lines.pop(0)[len(POLICY_LINE) :])
    groups: list[list[str]] = []
    for line in lines:
        if line.startswith(KEY_LINE):
            groups.append([line])
        elif groups and line.startswith(ROTATION_LINE):
            groups[-1].append(line)
        else:
            raise _damaged("a line begins neither with a key nor with a rotation of the key before it")
    members = tuple(_member(group) for group in groups)
    if not members:
        raise _damaged("it names no key")
    if policy != (len(members) > 1):
        raise _damaged("several keys need a line that says how many must sign, and a single one needs none")
    if len(members) > MAX_MEMBERS or not 1 <= threshold <= len(members):
        raise _damaged("it names too many keys, or asks for more signatures than there are keys")
    every = [key for member in members for key in member.keys]
    if len(set(every)) != len(every):
        raise _damaged("it names a key twice")
    return Issuer(members, threshold)


def load(value: str) -> Issuer:
    """The issuer of a key line, or of a file with an issuer's lines.

    Raises:
        Fault: USAGE when there is no such file; INTEGRITY when its lines are damaged.
    """
    if value.startswith(KEY_LINE):
        return parse(value)
    try:
        with Path(value).open("rb") as file:
            content = file.read(_MAX_TEXT + 1)
    except OSError as error:
        raise Fault(
            FaultKind.USAGE,
            "The issuer cannot be read",
            why=error.strerror or "",
            hint=f"give the line `{KEY_LINE}…`, or a file that holds it",
        ) from None
    try:
        return parse(content.decode("ascii"))
    except UnicodeDecodeError:
        raise _damaged("it holds other than plain characters") from None


def _member(lines: list[str]) -> Member:
    if len(lines) > MAX_ROTATIONS + 1:
        raise _damaged("a key was rotated too often")
    keys = [_bytes(lines[0][len(KEY_LINE) :], PUBLIC_KEY_BYTES)]
    for line in lines[1:]:
        parts = line[len(ROTATION_LINE) :].split(":")
        if len(parts) != 3:
            raise _damaged("a rotation has three parts")
        new = _bytes(parts[0], PUBLIC_KEY_BYTES)
        message = _rotation(keys[-1], new)
        by_old, by_new = (_bytes(part, SIGNATURE_BYTES) for part in parts[1:])
        if not (verify(keys[-1], by_old, message) and verify(new, by_new, message)):
            raise _damaged("a rotation was not signed by both of its keys")
        keys.append(new)
    return Member(tuple(keys), tuple(lines))


def _rotation(old: bytes, new: bytes) -> bytes:
    return signed_bytes(_LABEL, old + new)


def _number(text: str) -> int:
    if not text.isdigit() or len(text) > 2 or text.startswith("0"):
        raise _damaged("how many must sign is not a small number")
    return int(text)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _bytes(text: str, size: int) -> bytes:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _damaged("a character is missing or wrong") from None
    if len(raw) != size or _text(raw) != text:
        raise _damaged("a character is missing or wrong")
    return raw


def _damaged(why: str) -> Fault:
    return Fault(
        FaultKind.INTEGRITY, "This is not a whole issuer", why=why, hint="get its lines again, every character"
    )

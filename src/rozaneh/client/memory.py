"""What a reader's device remembers between runs, in one file that is replaced whole.

The highest roster is written before it is used; because roster, number and digest share one atomic write, a cut of
power leaves either the old roster with its number or the new one with its own.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

import msgspec

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import read_private, write_private
from rozaneh.fleet.invites import Invite, decode, encode
from rozaneh.fleet.roster import MAX_BYTES, Highest

STATE_FILE = "state.json"
INVITE_FILE = "invite"
SCHEMA = "rozaneh.client/1"
_STATE_LIMIT = 8 * MAX_BYTES  # a roster in base64, and room for those of earlier invites
_INVITE_LIMIT = 4096
_MAX_ISSUERS = 4  # earlier invites' rosters are kept so that going back to one cannot be used to replay an old roster


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The highest roster of one issuer and compartment."""

    sequence: int
    digest: str
    document: str

    def highest(self) -> Highest:
        """As the rules want it."""
        return Highest(self.sequence, self.digest)

    def bytes(self) -> bytes:
        """The roster itself; empty when it is damaged, which makes the next fetch bring it again."""
        try:
            return base64.b64decode(self.document, validate=True)
        except (binascii.Error, ValueError):
            return b""


class Memory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything in ``state.json``."""

    schema: str = SCHEMA
    port: int | None = None
    last_good: str | None = None
    seen: dict[str, Seen] = {}

    def __repr__(self) -> str:
        return "Memory([hidden])"


def key_of(invite: Invite) -> str:
    """Under which key an invite's rosters are remembered."""
    return f"{invite.issuer.hex()}/{invite.compartment}"


def load(directory: Path) -> Memory:
    """What is remembered; nothing when there is no file yet.

    Raises:
        Fault: INTEGRITY when the file is damaged: forgetting the highest roster silently would let an old one back in.
    """
    try:
        content = read_private(directory / STATE_FILE, _STATE_LIMIT)
    except FileNotFoundError:
        return Memory()
    try:
        memory = msgspec.json.decode(content, type=Memory)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Fault(
            FaultKind.INTEGRITY,
            f"`{directory / STATE_FILE}` is damaged",
            hint="remove it with `rozaneh wipe` and use the invite again",
        ) from error
    if memory.schema != SCHEMA:
        raise Fault(FaultKind.UNSUPPORTED, f"`{directory / STATE_FILE}` was written by another version")
    return memory


def save(directory: Path, memory: Memory) -> None:
    """Remember; on disk before this returns.

    Raises:
        Fault: PERMISSION when it cannot be written.
    """
    write_private(directory / STATE_FILE, msgspec.json.encode(memory))


def remember_roster(directory: Path, memory: Memory, invite: Invite, highest: Highest, document: bytes) -> Memory:
    """Persist a verified roster as the highest one.

    Raises:
        Fault: PERMISSION when it cannot be written.
    """
    mine = key_of(invite)
    seen = {key: value for key, value in memory.seen.items() if key != mine}
    while len(seen) >= _MAX_ISSUERS:
        del seen[next(iter(seen))]
    seen[mine] = Seen(highest.sequence, highest.digest, base64.b64encode(document).decode("ascii"))
    changed = msgspec.structs.replace(memory, seen=seen)
    save(directory, changed)
    return changed


def stored_invite(directory: Path) -> Invite | None:
    """The invite an edge has accepted before, or None.

    Raises:
        Fault: INTEGRITY when the file is damaged.
    """
    try:
        content = read_private(directory / INVITE_FILE, _INVITE_LIMIT)
    except FileNotFoundError:
        return None
    return decode(content.decode("ascii", errors="replace"))


def store_invite(directory: Path, invite: Invite) -> None:
    """Keep an invite that works.

    Raises:
        Fault: PERMISSION when it cannot be written.
    """
    write_private(directory / INVITE_FILE, encode(invite).encode("ascii") + b"\n")

"""The roster: the signed, expiring, numbered list of ways for one compartment.

It is a signed object (``core.signed``, label ``rozaneh roster v1``) around canonical JSON: the keys of ``Roster`` in
that order, no blanks, ways in canonical form. The same bytes travel over every channel. Rules, in the order they are
applied:

1. The issuer's signature, before anything is parsed.
2. Canonical form: encoding what was decoded must give the same bytes (so no duplicate keys, no second spelling).
3. The compartment is the one that was asked for.
4. Never back: a lower sequence than the highest seen is refused, and so is the same sequence with other bytes. The
   caller persists the new highest before it uses a roster.
5. Time, with 24 hours of tolerance both ways because readers' clocks are wrong: not yet valid is refused; expired may
   be used to fetch a newer one and for nothing else.
6. No way leads into a private network unless the invite carried the local mark.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum

import msgspec

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.keys import SigningKey
from rozaneh.core.signed import open_sealed, seal
from rozaneh.fleet.invites import check_compartment, needs_local_mark
from rozaneh.ways.grammar import Way, parse_canonical

SCHEMA = "rozaneh.roster/1"
LABEL = "rozaneh roster v1"
MAX_BYTES = 256 * 1024  # 64 ways of the longest kind, h2+reality with an ML-DSA-65 key, take 196 KiB
MAX_WAYS = 64
LIFETIME = 7 * 86400
RENEW_AFTER = 86400
TOLERANCE = 86400  # issue: ±24 h; clocks of readers are wrong by time zones and dead batteries
_MAX_NUMBER = 2**53 - 1  # RFC 8259 section 6: integers every JSON reader keeps whole


class Roster(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the issuer says, as it stands in the signed bytes."""

    schema: str
    compartment: str
    sequence: int
    not_before: int
    expires: int
    ways: tuple[str, ...]

    def __repr__(self) -> str:
        # Ways lead to edges: the text of a roster must not end in a traceback.
        return f"Roster(compartment={self.compartment!r}, sequence={self.sequence}, ways={len(self.ways)})"

    def parsed_ways(self) -> tuple[Way, ...]:
        """The ways, validated.

        Raises:
            Fault: INTEGRITY when one is not canonical or may not stand in a roster; UNSUPPORTED when none is known to
            this version.
        """
        known: list[Way] = []
        for text in self.ways:
            try:
                way = parse_canonical(text)
            except Fault as fault:
                if fault.kind is FaultKind.UNSUPPORTED:
                    # A newer transport beside older ones: rosters move faster than releases.
                    continue
                raise Fault(
                    FaultKind.INTEGRITY, "The roster holds a way that is not written correctly", why=fault.why
                ) from None
            if not way.shareable:
                raise Fault(FaultKind.INTEGRITY, "The roster holds a way that may not be shared")
            known.append(way)
        if not known:
            raise Fault(FaultKind.UNSUPPORTED, "Every way in the roster needs a newer version")
        return tuple(known)


class Standing(Enum):
    """What a verified roster may be used for."""

    CURRENT = "current"
    EXPIRED = "expired"  # only to fetch a newer one


@dataclass(frozen=True, slots=True)
class Highest:
    """The highest sequence seen of a compartment, and the digest of its bytes."""

    sequence: int
    digest: str


@dataclass(frozen=True, slots=True)
class Verified:
    """A roster that passed every rule."""

    roster: Roster
    ways: tuple[Way, ...]
    standing: Standing
    highest: Highest
    document: bytes = field(repr=False)


def issue(
    key: SigningKey, compartment: str, sequence: int, now: int, ways: tuple[Way, ...], lifetime: int = LIFETIME
) -> bytes:
    """A signed roster.

    Raises:
        Fault: CONFIG when a value does not fit a roster.
    """
    roster = Roster(
        schema=SCHEMA,
        compartment=compartment,
        sequence=sequence,
        not_before=now,
        expires=now + lifetime,
        ways=tuple(str(way) for way in ways),
    )
    if any(not way.shareable for way in ways):
        raise Fault(FaultKind.CONFIG, "This way cannot stand in a roster")
    try:
        _check_values(roster)
    except ValueError as error:
        raise Fault(FaultKind.CONFIG, "The roster cannot be made", why=str(error)) from None
    return seal(key, LABEL, msgspec.json.encode(roster))


def read(document: bytes, issuer: bytes) -> Roster:
    """Rules 1 and 2: a roster that its issuer signed in these very bytes.

    Raises:
        Fault: INTEGRITY otherwise.
    """
    payload = open_sealed(document, issuer, LABEL, MAX_BYTES)
    try:
        roster = msgspec.json.decode(payload, type=Roster)
        _check_values(roster)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Fault(FaultKind.INTEGRITY, "The roster is signed but not well formed", why=str(error)) from None
    if msgspec.json.encode(roster) != payload:
        raise Fault(FaultKind.INTEGRITY, "The roster is not in canonical form")
    return roster


def verify(
    document: bytes, issuer: bytes, compartment: str, now: int, highest: Highest | None, *, local: bool = False
) -> Verified:
    """All rules.

    Args:
        document: the bytes as they came.
        issuer: the key from the invite.
        compartment: the one that was asked for.
        now: seconds since 1970 as this device believes.
        highest: what was persisted of this issuer and compartment, if anything.
        local: the invite carried the local mark.

    Raises:
        Fault: INTEGRITY for rules 1 to 4, CLOCK_WRONG for a roster that is not valid yet, UNSUPPORTED when no way is
        known,
            POLICY_DENIED for rule 6.
    """
    roster = read(document, issuer)
    if roster.compartment != compartment:
        raise Fault(FaultKind.INTEGRITY, "The roster belongs to another compartment")
    mine = Highest(roster.sequence, hashlib.sha256(document).hexdigest())
    if highest is not None:
        if mine.sequence < highest.sequence:
            raise Fault(
                FaultKind.INTEGRITY, "The roster is older than one seen before", why="somebody may be replaying it"
            )
        if mine.sequence == highest.sequence and mine.digest != highest.digest:
            raise Fault(
                FaultKind.INTEGRITY,
                "There are two different rosters with one number",
                why="somebody may be splitting readers",
            )
    ways = roster.parsed_ways()
    if not local and needs_local_mark(ways):
        raise Fault(FaultKind.POLICY_DENIED, "The roster leads into a private network", why="the invite did not say so")
    if now < roster.not_before - TOLERANCE:
        raise Fault(
            FaultKind.CLOCK_WRONG,
            "The roster begins in the future",
            why="this device's clock is behind by more than a day, or the issuer's is ahead",
        )
    standing = Standing.CURRENT if now <= roster.expires + TOLERANCE else Standing.EXPIRED
    return Verified(roster, ways, standing, mine, document)


def _check_values(roster: Roster) -> None:
    if roster.schema != SCHEMA:
        raise ValueError("unknown schema")
    check_compartment(roster.compartment)
    if not 1 <= roster.sequence <= _MAX_NUMBER:
        raise ValueError("the sequence is out of range")
    if not 0 <= roster.not_before < roster.expires <= _MAX_NUMBER:
        raise ValueError("the times are out of range")
    if not 1 <= len(roster.ways) <= MAX_WAYS or len(set(roster.ways)) != len(roster.ways):
        raise ValueError("it has no way, too many, or one twice")

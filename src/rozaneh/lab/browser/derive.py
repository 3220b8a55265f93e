"""From many hellos of one browser to the generators that make them (`rozaneh.data.browsers.schema.Hello`).

What is the same in all hellos is taken as it is. What varies must vary in a way the schema has a generator for; where
it does not, `DeriveError` says what it was, for a profile that guesses would show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from rozaneh.data.browsers import schema
from rozaneh.lab.browser import grease, statistics
from rozaneh.lab.codec import clienthello
from rozaneh.lab.codec.clienthello import ClientHello, is_grease

__all__ = ["LEAST", "DeriveError", "derive", "kinds", "outer_hello", "parsed", "records", "same_x25519", "shares"]

H = TypeVar("H", bound=Hashable)

# So many that what is equal, or never equal, by chance is not taken for a rule: two independent GREASE values differ
# 200 times running with probability (15/16)^200 = 2.5e-6.
LEAST = 200
# Weights are made equal unless the counts speak against it as clearly as the comparison asks for (issue: p > 0.001).
_CLEARLY = 0.001
_MOST_BODIES = 16
_X25519, _HYBRID = 0x001D, 0x11EC
_X25519_BYTES = 32
_PAD_ABOVE = 255  # RFC 7685 section 1: hellos of 256 to 511 bytes are what padding is for


class DeriveError(Exception):
    """The hellos vary in a way no generator of the schema can follow, or they are too few."""


def derive(flights: Sequence[bytes]) -> schema.Hello:
    """The generators behind these first flights (records that hold one ClientHello each)."""
    if len(flights) < LEAST:
        raise DeriveError(f"{len(flights)} hellos are too few: {LEAST} at least")
    hellos = [parsed(flight) for flight in flights]
    variables, called = grease.variables(hellos)
    return schema.Hello(
        record_version=_one((int.from_bytes(flight[1:3], "big") for flight in flights), "the record's version"),
        version=_one((hello.version for hello in hellos), "the version"),
        session_id=_one((len(hello.session_id) for hello in hellos), "the session id's length"),
        compression=_one((hello.compression for hello in hellos), "the compression methods").hex(),
        grease=variables,
        ciphers=_list([hello.ciphers for hello in hellos], "cipher", called),
        extensions=_Extensions(hellos, called).all(),
        records=_one((records(flight)[:-1] for flight in flights), "the cut into records"),
    )


def parsed(flight: bytes) -> ClientHello:
    """The ClientHello of a first flight; `DeriveError` where there is none."""
    hello = clienthello.parse(flight)
    if not isinstance(hello, ClientHello):
        raise DeriveError("a first flight holds no whole ClientHello")
    return hello


def records(flight: bytes) -> tuple[int, ...]:
    """The lengths of the records in these bytes."""
    found: list[int] = []
    at = 0
    while at + 5 <= len(flight):
        found.append(int.from_bytes(flight[at + 3 : at + 5], "big"))
        at += 5 + found[-1]
    return tuple(found)


def kinds(hello: ClientHello) -> list[str]:
    """What each extension is called across hellos: its number, or which GREASE extension it is."""
    found: list[str] = []
    number = 0
    for kind, _ in hello.extensions:
        if is_grease(kind):
            number += 1
            found.append(f"extension{number}")
        else:
            found.append(str(kind))
    return found


def shares(body: bytes) -> tuple[tuple[int, bytes], ...] | None:
    """The key shares in a key_share extension (RFC 8446 section 4.2.8); None where it is no such vector."""
    if int.from_bytes(body[:2], "big") != len(body) - 2:
        return None
    found: list[tuple[int, bytes]] = []
    at = 2
    while at < len(body):
        size = int.from_bytes(body[at + 2 : at + 4], "big")
        share = body[at + 4 : at + 4 + size]
        if at + 4 > len(body) or len(share) != size:
            return None
        found.append((int.from_bytes(body[at : at + 2], "big"), share))
        at += 4 + size
    return tuple(found)


def same_x25519(body: bytes) -> bool:
    """Whether the X25519 share of a key_share extension ends the X25519MLKEM768 share too."""
    found = dict(shares(body) or ())
    alone = found.get(_X25519, b"")
    return bool(alone) and found.get(_HYBRID, b"").endswith(alone)


def outer_hello(body: bytes) -> tuple[int, int, int, int, int] | None:
    """KDF, AEAD, id, key length and payload length of an outer ECH extension (RFC 9849 section 5); None otherwise."""
    if len(body) < 8 or body[0] != 0:
        return None
    key = int.from_bytes(body[6:8], "big")
    rest = body[8 + key :]
    payload = int.from_bytes(rest[:2], "big")
    if len(rest) != payload + 2:
        return None
    return int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big"), body[5], key, payload


def _one(values: Iterable[H], what: str) -> H:
    found = Counter(values)
    if len(found) != 1:
        raise DeriveError(f"{what} varies: {', '.join(str(value) for value, _ in found.most_common(4))}")
    return next(iter(found))


def _list(lists: Sequence[tuple[int, ...]], what: str, called: Mapping[str, str]) -> tuple[schema.Number, ...]:
    """The one list behind `lists`: numbers as they are, GREASE values by the name of their variable."""

    def named(values: tuple[int, ...]) -> tuple[schema.Number, ...]:
        made: list[schema.Number] = []
        number = 0
        for value in values:
            if is_grease(value):
                number += 1
                made.append(called.get(f"{what}{number}", f"{what}{number}"))
            else:
                made.append(value)
        return tuple(made)

    one = _one(map(named, lists), f"the list of {what} numbers")
    if any(isinstance(value, str) and value not in called.values() for value in one):
        raise DeriveError(f"a GREASE {what} is not in all hellos")
    return one


def _weights(counts: Sequence[int]) -> list[int]:
    """Equal weights where the counts may come from such, else the counts themselves."""
    return [1] * len(counts) if statistics.uniform(counts) > _CLEARLY else list(counts)


class _Extensions:
    """The extensions of all hellos, and what is made of them."""

    def __init__(self, hellos: Sequence[ClientHello], called: Mapping[str, str]) -> None:
        self._hellos = hellos
        self._called = called
        self._bodies: dict[str, list[bytes]] = {}
        self._orders = [kinds(hello) for hello in hellos]
        for hello, names in zip(hellos, self._orders, strict=True):
            if len(set(names)) != len(names):
                raise DeriveError("an extension stands twice in a hello")
            for name, (_, body) in zip(names, hello.extensions, strict=True):
                self._bodies.setdefault(name, []).append(body)

    def all(self) -> tuple[schema.Extension, ...]:
        """Every extension with its generator, in an order that is right for all hellos."""
        made: list[schema.Extension] = []
        for name, shuffled in self._order():
            bodies = self._bodies[name]
            share = None if len(bodies) == len(self._hellos) else round(len(bodies) / len(self._hellos), 4)
            made.append(self._generator(name, shuffled, share, bodies))
        return tuple(made)

    def _order(self) -> list[tuple[str, bool]]:
        """Names in order; an extension is shuffled when its order to some other is not always the same.

        Only runs of shuffled neighbours move, so an extension that others move around must move too.
        """
        before: dict[tuple[str, str], int] = Counter()
        place: Counter[str] = Counter()
        for order in self._orders:
            for index, name in enumerate(order):
                place[name] += index
                for later in order[index + 1 :]:
                    before[name, later] += 1
        names = list(self._bodies)
        moving = {a for a in names for b in names if before.get((a, b)) and before.get((b, a))}
        names.sort(key=lambda name: place[name] / len(self._bodies[name]))
        fixed = [name for name in names if name not in moving]
        # A fixed one stands behind all that is ever before it: with the moving ones of a run, all or none.
        ordered: list[tuple[str, bool]] = []
        left = [name for name in names if name in moving]
        for name in fixed:
            ahead = [one for one in left if before.get((one, name))]
            ordered += [(one, True) for one in sorted(ahead, key=_by_number)]
            left = [one for one in left if one not in ahead]
            ordered.append((name, False))
        return ordered + [(one, True) for one in sorted(left, key=_by_number)]

    def _generator(self, name: str, shuffle: bool, share: float | None, bodies: list[bytes]) -> schema.Extension:
        if not name.isdecimal():
            variable = self._called.get(name)
            if variable is None:
                raise DeriveError("a GREASE extension is not in all hellos")
            body = _one(bodies, "a GREASE extension's body").hex()
            return schema.Fixed(type=variable, shuffle=shuffle, share=share, body=body)
        kind = int(name)
        if kind == clienthello.SERVER_NAME:
            return schema.ServerName(type=kind, shuffle=shuffle, share=share)
        if kind == clienthello.KEY_SHARE:
            one = all(same_x25519(body) for body in bodies)
            return schema.KeyShare(type=kind, shuffle=shuffle, share=share, shares=self._shares(bodies), one_x25519=one)
        if kind == clienthello.PADDING and not any(b"".join(bodies)):
            lengths = (_size(hello) for hello in self._hellos if hello.padding is not None)
            to = _one(lengths, "the padded length")
            return schema.Padding(type=kind, shuffle=shuffle, above=_PAD_ABOVE, to=to)
        if kind in grease.VECTORS:
            lists = [grease.vector(kind, body) for body in bodies]
            prefix, what = grease.VECTORS[kind]
            whole = [one for one in lists if one is not None]
            if len(whole) == len(lists):
                values = _list(whole, what, self._called)
                return schema.Numbers(type=kind, shuffle=shuffle, share=share, prefix=prefix, values=values)
        if kind == clienthello.ECH:
            return _ech(kind, shuffle, share, bodies)
        found = Counter(bodies)
        if len(found) == 1:
            return schema.Fixed(type=kind, shuffle=shuffle, share=share, body=bodies[0].hex())
        if len(found) > _MOST_BODIES:
            raise DeriveError(f"extension {kind} varies in a way that no generator knows")
        ordered = sorted(found.items())
        weights = _weights([count for _, count in ordered])
        choices = tuple(schema.Body(body=b.hex(), weight=w) for (b, _), w in zip(ordered, weights, strict=True))
        return schema.Choice(type=kind, shuffle=shuffle, share=share, bodies=choices)

    def _shares(self, bodies: list[bytes]) -> tuple[schema.Share, ...]:
        lists = [shares(body) for body in bodies]
        whole = [one for one in lists if one is not None]
        if len(whole) < len(lists):
            raise DeriveError("a key_share extension is not well formed")
        groups = _list([tuple(group for group, _ in one) for one in whole], "share", self._called)
        made: list[schema.Share] = []
        for index, group in enumerate(groups):
            body = None if isinstance(group, int) else _one((one[index][1] for one in whole), "a GREASE share").hex()
            made.append(schema.Share(group=group, body=body))
        return tuple(made)


def _by_number(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (-1, name)


def _size(hello: ClientHello) -> int:
    """The length of the message, its header included (RFC 8446 sections 4 and 4.1.2)."""
    vectors = len(hello.session_id) + 2 * len(hello.ciphers) + len(hello.compression)
    return 4 + 2 + 32 + 1 + 2 + 1 + vectors + 2 + sum(4 + len(body) for _, body in hello.extensions)


def _ech(kind: int, shuffle: bool, share: float | None, bodies: list[bytes]) -> schema.EchGrease:
    read = [outer_hello(body) for body in bodies]
    outer = [one for one in read if one is not None]
    if len(outer) < len(read):
        raise DeriveError("an ECH extension is no outer hello's")
    suites = sorted(Counter((kdf, aead) for kdf, aead, *_ in outer).items())
    payloads = sorted(Counter(payload for *_, payload in outer).items())
    if len(payloads) > _MOST_BODIES:
        raise DeriveError("the lengths of ECH payloads vary in a way that no generator knows")
    key = _one((key for _, _, _, key, _ in outer), "the ECH key's length")
    suite_weights, payload_weights = (_weights([count for _, count in found]) for found in (suites, payloads))
    return schema.EchGrease(
        type=kind,
        shuffle=shuffle,
        share=share,
        suites=tuple(
            schema.Suite(kdf=kdf, aead=aead, weight=weight)
            for ((kdf, aead), _), weight in zip(suites, suite_weights, strict=True)
        ),
        key=key,
        # RFC 7748 section 5: the highest bit of the last byte is not part of the number, and nobody sets it.
        x25519=key == _X25519_BYTES and all(body[7 + key] < 0x80 for body in bodies),
        payloads=tuple(
            schema.Length(length=length, weight=weight)
            for (length, _), weight in zip(payloads, payload_weights, strict=True)
        ),
    )

"""Where a hello has GREASE values (RFC 8701), which of them are one, and which are kept from being equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rozaneh.data.browsers import schema
from rozaneh.lab.codec import clienthello
from rozaneh.lab.codec.clienthello import ClientHello, is_grease

# Extensions whose body is one vector of two-byte numbers: the bytes of its length, and what a place in it is called.
VECTORS = {
    clienthello.SUPPORTED_GROUPS: (2, "group"),
    clienthello.SIGNATURE_ALGORITHMS: (2, "signature"),
    clienthello.SUPPORTED_VERSIONS: (1, "version"),
    27: (1, "compression"),  # compress_certificate, RFC 8879
    34: (2, "delegated"),  # delegated_credentials, RFC 9345
    50: (2, "certificate-signature"),  # signature_algorithms_cert, RFC 8446 4.2.3
}
_FLIP = 0x1010  # leads from each GREASE value to another one
# A value drawn again is each of the fifteen others with 1/15; one that is flipped is at `_FLIP` with 2/16: halfway.
_FLIPPED = (1 / 15 + 2 / 16) / 2


def vector(kind: int, body: bytes) -> tuple[int, ...] | None:
    """The numbers in an extension of `VECTORS`; None where its body is no such vector."""
    prefix, _ = VECTORS[kind]
    inner = body[prefix:]
    if int.from_bytes(body[:prefix], "big") != len(inner) or len(inner) % 2 or len(body) < prefix:
        return None
    return tuple(int.from_bytes(inner[at : at + 2], "big") for at in range(0, len(inner), 2))


def places(hello: ClientHello) -> dict[str, int]:
    """Every GREASE value by its place: `cipher1`, `extension2`, `group1`, `share1`, …, in the order of the message."""
    found: dict[str, int] = {}

    def look(what: str, values: Iterable[int]) -> None:
        number = 0
        for value in values:
            if is_grease(value):
                number += 1
                found[f"{what}{number}"] = value

    look("cipher", hello.ciphers)
    look("extension", (kind for kind, _ in hello.extensions))
    for kind, (_, what) in VECTORS.items():
        body = hello.extension(kind)
        if body is not None:
            look(what, vector(kind, body) or ())
    look("share", hello.key_shares)
    return found


def variables(hellos: Sequence[ClientHello]) -> tuple[tuple[schema.Grease, ...], dict[str, str]]:
    """The GREASE variables of these hellos, and which of them each place is called by.

    A place that is not in all hellos is left out: where it counts, the caller misses it.
    """
    seen = [places(hello) for hello in hellos]
    common = [place for place in seen[0] if all(place in one for one in seen)]
    firsts: list[str] = []
    called: dict[str, str] = {}
    for place in common:
        same = next((first for first in firsts if all(one[first] == one[place] for one in seen)), None)
        if same is None:
            firsts.append(place)
        called[place] = same or place
    made: list[schema.Grease] = []
    for index, place in enumerate(firsts):
        earlier = firsts[:index]
        other = next((first for first in earlier if all(one[first] != one[place] for one in seen)), None)
        made.append(schema.Grease(name=place, unlike=other, flip=0 if other is None else _flip(seen, other, place)))
    return tuple(made), called


def _flip(seen: Sequence[Mapping[str, int]], first: str, second: str) -> int:
    """How an equal draw was made unequal: flipped, when one difference is as frequent as two others."""
    between = Counter(one[first] ^ one[second] for one in seen)
    return _FLIP if between[_FLIP] > _FLIPPED * len(seen) else 0

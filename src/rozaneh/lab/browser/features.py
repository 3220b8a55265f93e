"""What a first hello shows, field by field: each value an observer could count, positions and lengths included."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from rozaneh.lab.browser import derive, grease
from rozaneh.lab.codec import clienthello
from rozaneh.lab.codec.clienthello import ClientHello, is_grease

__all__ = ["fields"]


def fields(flight: bytes) -> dict[str, str]:
    """Name and value of every field of the hello in this first flight.

    What is random byte for byte counts by its first four bits; a body that is random or named after the server counts
    by its length and by its own fields.
    """
    hello = derive.parsed(flight)
    found = {
        "record.version": flight[1:3].hex(),
        "record.lengths": _joined(derive.records(flight)[:-1]),
        "length": str(sum(derive.records(flight))),
        "version": f"{hello.version:04x}",
        "random": _nibble(hello.random),
        "session_id.length": str(len(hello.session_id)),
        "session_id": _nibble(hello.session_id),
        "ciphers": _list(hello.ciphers),
        "compression": hello.compression.hex(),
        "extensions": _joined(sorted(derive.kinds(hello))),
    }
    values = grease.places(hello)
    for place, value in values.items():
        found[f"grease.{place}"] = f"{value:04x}"
    # Two by two along the message: what is equal, kept apart or made from another shows in the difference.
    for (place, value), (other, second) in pairwise(values.items()):
        found[f"grease.{place}^{other}"] = f"{value ^ second:04x}"
    names = derive.kinds(hello)
    for position, (name, (_, body)) in enumerate(zip(names, hello.extensions, strict=True)):
        found[f"{name}.position"] = str(position)
        found[f"{name}.behind"] = names[position - 1] if position else "-"
        found |= {f"{name}.{key}": value for key, value in _body(name, body, hello).items()}
    return found


def _body(name: str, body: bytes, hello: ClientHello) -> dict[str, str]:
    found = {"length": str(len(body))}
    kind = int(name) if name.isdecimal() else -1
    if kind == clienthello.SERVER_NAME:
        head = len(body) - len(hello.server_name_as_sent or "")
        found["head"] = body[:head].hex()
    elif kind == clienthello.KEY_SHARE:
        shares = derive.shares(body)
        found["shares"] = "malformed" if shares is None else _joined(f"{_number(g)}/{len(b)}" for g, b in shares)
        found["one_x25519"] = str(derive.same_x25519(body))
        for group, share in shares or ():
            # A real key's last byte: X25519's highest bit is 0 (RFC 7748 section 5), and so is what ML-KEM ends with.
            found[f"{_number(group)}"] = share.hex() if len(share) < 4 else f"{share[-1] >> 7}"
    elif kind == clienthello.ECH and (outer := derive.outer_hello(body)) is not None:
        kdf, aead, number, key, payload = outer
        found |= {"suite": f"{kdf}/{aead}", "id": f"{number >> 4:x}", "key": str(key), "payload": str(payload)}
        found |= {"key.first": _nibble(body[8:]), "key.high": str(body[7 + key] >> 7)}
        found["payload.first"] = _nibble(body[10 + key :])
    elif kind == clienthello.PRE_SHARED_KEY:
        pass
    elif kind in grease.VECTORS and (values := grease.vector(kind, body)) is not None:
        found["values"] = _list(values)
    else:
        found["body"] = body.hex()
    return found


def _number(value: int) -> str:
    return "grease" if is_grease(value) else f"{value:04x}"


def _list(values: tuple[int, ...]) -> str:
    return _joined(map(_number, values))


def _joined(values: Iterable[object]) -> str:
    return " ".join(map(str, values))


def _nibble(data: bytes) -> str:
    return f"{data[0] >> 4:x}" if data else "-"

r"""One line of text and one frozen object say the same: the grammar of ways.

::

    way        = layer *( "|" layer )                  outermost first: "a|b" reaches b through a
    layer      = name "(" [ parameter *( "," parameter ) ] ")"
    parameter  = name "=" ( bare / quoted )
    name       = lower-case letter *( lower-case letter / digit / "_" / "-" / "+" )
    bare       = 1*( letter / digit / any of "._:/@%+~[]-" )
    quoted     = DQUOTE *( printable ASCII but DQUOTE and "\" / "\" DQUOTE / "\\" ) DQUOTE

Blanks may stand around every token when reading and never when printing. Each line has exactly one canonical form
(catalogue order, defaults left out, quotes only where needed); rosters accept nothing else, so two texts never name
one way. ``redacted()`` prints the same shape without anything that leads to the edge or into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.redact import HIDDEN
from rozaneh.ways.catalogue import CATALOGUE, Transport

MAX_LAYERS = 4
# The longest layer that may be shared is h2+reality with an ML-DSA-65 key (2,603 characters of base64url), a name of
# 253 and an IPv6 address: 3,100 characters. Credentials of 255 characters each, every one escaped, add 1,050.
MAX_LINE = MAX_LAYERS * 5120
_TOKEN = re.compile(
    r"""[ \t]*(?:(?P<mark>[(),|=])|"(?P<quoted>(?:[ !#-\[\]-~]|\\["\\])*)"|(?P<bare>[A-Za-z0-9._:/@%+~\[\]-]+))"""
)
_NAME = re.compile(r"[a-z][a-z0-9_+-]*\Z")
_BARE = re.compile(r"[A-Za-z0-9._:/@%+~\[\]-]+\Z")


@dataclass(frozen=True, slots=True)
class Layer:
    """One transport with its checked parameters."""

    transport: Transport
    values: Mapping[str, str]

    def get(self, name: str) -> str | None:
        """A parameter's text, its default where it was not written, or None."""
        parameter = self.transport.parameter(name)
        return self.values.get(name, parameter.default if parameter else None)

    def __hash__(self) -> int:
        return hash((self.transport.name, tuple(self.values.items())))

    def __str__(self) -> str:
        inner = ",".join(f"{name}={_spell(value)}" for name, value in self.values.items())
        return f"{self.transport.name}({inner})"

    def redacted(self) -> str:
        """The layer without anything that leads to the edge or into it."""
        shown = []
        for name, value in self.values.items():
            parameter = self.transport.parameter(name)
            hide = parameter is None or parameter.secret or parameter.reveals_edge
            shown.append(f"{name}={HIDDEN if hide else _spell(value)}")
        return f"{self.transport.name}({','.join(shown)})"

    def __repr__(self) -> str:
        return self.redacted()


@dataclass(frozen=True, slots=True)
class Way:
    """One concrete manner of getting out, validated; ``str`` is its canonical line, ``repr`` is redacted."""

    layers: tuple[Layer, ...]

    @property
    def last(self) -> Layer:
        """The layer that ends at an edge."""
        return self.layers[-1]

    @property
    def shareable(self) -> bool:
        """Whether it may stand in an invite or a roster: known there, and without credentials."""
        return all(
            layer.transport.shareable
            and not any(p.secret and p.name in layer.values for p in layer.transport.parameters)
            for layer in self.layers
        )

    def __str__(self) -> str:
        return "|".join(str(layer) for layer in self.layers)

    def redacted(self) -> str:
        """The way for logs and screens."""
        return "|".join(layer.redacted() for layer in self.layers)

    def __repr__(self) -> str:
        return self.redacted()


def make(transport: str, **values: str | None) -> Way:
    """A way of one layer from values instead of text.

    Raises:
        Fault: CONFIG when a value does not fit.
    """
    return Way((_layer(transport, [(name, value) for name, value in values.items() if value is not None]),))


def parse(text: str) -> Way:
    """The way a line describes.

    Raises:
        Fault: CONFIG for anything the grammar or the catalogue does not know; the text repeats no value.
    """
    if len(text) > MAX_LINE:
        raise _wrong(f"it is longer than {MAX_LINE} characters")
    tokens = list(_tokens(text))
    layers: list[Layer] = []
    at = 0
    while True:
        layer, at = _read_layer(tokens, at)
        layers.append(layer)
        if at == len(tokens):
            break
        if tokens[at] != ("mark", "|"):
            raise _wrong("layers are joined by `|`")
        if len(layers) == MAX_LAYERS:
            raise _wrong(f"it has more than {MAX_LAYERS} layers")
        at += 1
    return Way(tuple(layers))


def parse_canonical(text: str) -> Way:
    """The way of a line that must be written in its one canonical form.

    Raises:
        Fault: CONFIG, also for a readable line in another form.
    """
    way = parse(text)
    if str(way) != text:
        raise _wrong("it is not in canonical form")
    return way


Token = tuple[str, str]


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    end = len(text.rstrip(" \t"))
    while at < end:
        match = _TOKEN.match(text, at, end)
        if match is None:
            raise _wrong(f"character {at + 1} cannot stand there")
        kind = match.lastgroup or ""
        value = match[kind]
        yield kind, re.sub(r"\\(.)", r"\1", value) if kind == "quoted" else value
        at = match.end()


def _read_layer(tokens: list[Token], at: int) -> tuple[Layer, int]:
    def take(kind: str, value: str | None = None) -> str:
        nonlocal at
        if at >= len(tokens) or tokens[at][0] != kind or (value is not None and tokens[at][1] != value):
            raise _wrong(f"`{value}` is missing" if value else "a name is missing")
        at += 1
        return tokens[at - 1][1]

    name = take("bare")
    take("mark", "(")
    pairs: list[tuple[str, str]] = []
    if at < len(tokens) and tokens[at] == ("mark", ")"):
        at += 1
        return _layer(name, pairs), at
    while True:
        key = take("bare")
        take("mark", "=")
        if at >= len(tokens) or tokens[at][0] == "mark":
            raise _wrong("a value is missing")
        pairs.append((key, tokens[at][1]))
        at += 1
        if at < len(tokens) and tokens[at] == ("mark", ","):
            at += 1
            continue
        take("mark", ")")
        return _layer(name, pairs), at


def _layer(name: str, pairs: list[tuple[str, str]]) -> Layer:
    if not _NAME.match(name):
        raise _wrong("a transport's name is lower-case")
    transport = CATALOGUE.get(name)
    if transport is None:
        raise Fault(FaultKind.UNSUPPORTED, "A way uses a transport this version does not know")
    given: dict[str, str] = {}
    for key, value in pairs:
        parameter = transport.parameter(key)
        if parameter is None:
            raise _wrong(f"`{transport.name}` has no such parameter")
        if key in given:
            raise _wrong(f"`{key}` stands twice")
        try:
            given[key] = parameter.check(value)
        except ValueError as error:
            # The checks' texts name a rule, never the value: parameters are secrets or lead to an edge.
            raise _wrong(f"`{key}`: {error}") from None
    ordered: dict[str, str] = {}
    for parameter in transport.parameters:
        value_or_none = given.get(parameter.name)
        if value_or_none is None:
            if parameter.required:
                raise _wrong(f"`{parameter.name}` is missing")
        elif value_or_none != parameter.default:
            ordered[parameter.name] = value_or_none
    if ("user" in ordered) != ("password" in ordered):
        raise _wrong("`user` and `password` stand together or not at all")
    return Layer(transport, MappingProxyType(ordered))


def _spell(value: str) -> str:
    if _BARE.match(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _wrong(why: str) -> Fault:
    return Fault(
        FaultKind.CONFIG,
        "A way is not written correctly",
        why=why,
        hint="a way looks like `h2+tls(address=…,name=…,pin=…)`",
    )

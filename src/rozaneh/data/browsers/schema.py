"""The document `rozaneh.browser/1`: how one browser opens its connections, with a generator for all that varies.

A hello is written from top to bottom. Wherever a number may be a GREASE value (RFC 8701), the name of one of the
hello's `grease` variables may stand in its place; a variable is drawn once a hello, so what is equal in the browser's
hellos stays equal. Extensions stand in the order they are sent, but a run of neighbours marked `shuffle` is put in
uniformly random order. Bytes are hexadecimal. Weights are relative.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

SCHEMA = "rozaneh.browser/1"

# A registered number, or the name of a GREASE variable.
Number: TypeAlias = int | str


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Every part of the document: unknown keys are refused, defaults are left out."""


class Grease(_Part, frozen=True, kw_only=True):
    """One GREASE value of a hello, uniform among the sixteen.

    `unlike` names an earlier variable it never equals; when the draw is equal all the same it is flipped by exclusive
    or with `flip`, or drawn again where `flip` is 0.
    """

    name: str
    unlike: str | None = None
    flip: int = 0


class Body(_Part, frozen=True, kw_only=True):
    """One of several bodies."""

    body: str
    weight: int


class Length(_Part, frozen=True, kw_only=True):
    """One of several lengths."""

    length: int
    weight: int


class Suite(_Part, frozen=True, kw_only=True):
    """One of several HPKE suites (RFC 9180 section 7)."""

    kdf: int
    aead: int
    weight: int


class Share(_Part, frozen=True, kw_only=True):
    """A key share: of this group with a real key, or with these very bytes."""

    group: Number
    body: str | None = None


class _Extension(_Part, frozen=True, kw_only=True, tag_field="kind"):
    """What all extensions have: `share` is the part of the hellos it stands in, all of them by default."""

    type: Number
    shuffle: bool = False
    share: float | None = None


class Fixed(_Extension, frozen=True, kw_only=True, tag="fixed"):
    """Always this body."""

    body: str = ""


class Choice(_Extension, frozen=True, kw_only=True, tag="choice"):
    """One of these bodies."""

    bodies: tuple[Body, ...]


class ServerName(_Extension, frozen=True, kw_only=True, tag="server_name"):
    """The name asked for (RFC 6066 section 3)."""


class Numbers(_Extension, frozen=True, kw_only=True, tag="numbers"):
    """A vector of numbers of two bytes, its length in `prefix` bytes."""

    prefix: int
    values: tuple[Number, ...]


class KeyShare(_Extension, frozen=True, kw_only=True, tag="key_share"):
    """Key shares (RFC 8446 section 4.2.8); `one_x25519`: the X25519 share's key is that of the hybrid share too."""

    shares: tuple[Share, ...]
    one_x25519: bool = False


class EchGrease(_Extension, frozen=True, kw_only=True, tag="ech_grease"):
    """Encrypted ClientHello that encrypts nothing (RFC 9849 section 6.2): random id, key and payload.

    `x25519`: the key is one of X25519, whose highest bit is never set; otherwise any bytes.
    """

    suites: tuple[Suite, ...]
    key: int
    x25519: bool = False
    payloads: tuple[Length, ...]


class Padding(_Extension, frozen=True, kw_only=True, tag="padding"):
    """Zeros (RFC 7685) that bring a message longer than `above` up to `to` bytes; left out otherwise."""

    above: int
    to: int


Extension: TypeAlias = Fixed | Choice | ServerName | Numbers | KeyShare | EchGrease | Padding


class Hello(_Part, frozen=True, kw_only=True):
    """The first ClientHello of a connection without a ticket, and the records it goes in.

    `records` are the lengths of all records but the last, as far as the message reaches; none means one record.
    """

    record_version: int
    version: int
    session_id: int
    compression: str
    grease: tuple[Grease, ...]
    ciphers: tuple[Number, ...]
    extensions: tuple[Extension, ...]
    records: tuple[int, ...] = ()


class Retry(_Part, frozen=True, kw_only=True):
    """What a second hello keeps of the first after a HelloRetryRequest (RFC 8446 section 4.1.2)."""

    record_version: int
    same_random: bool
    same_session_id: bool
    same_order: bool
    same_ech: bool
    same_grease: bool
    grease_share: bool
    change_cipher_spec: bool


class Resumption(_Part, frozen=True, kw_only=True):
    """How tickets (RFC 8446 section 4.6.1) are used. `identities` is 0 where none is ever offered."""

    identities: int
    tickets_used_again: bool
    early_data: bool
    added: tuple[int, ...]
    removed: tuple[int, ...]
    last: bool


class Priority(_Part, frozen=True, kw_only=True):
    """The priority of the first request (RFC 9113 section 5.3, as RFC 7540 had it)."""

    exclusive: bool
    depends_on: int
    weight: int


class Http2(_Part, frozen=True, kw_only=True):
    """The client's opening in HTTP/2: frames before an answer, by records, and how the first request is written.

    `values` are those of `headers` when a person opens a page; none where they are not known. `stream_update` is what
    the first request's stream may receive more, told in the request's record.
    """

    settings: tuple[tuple[int, int], ...]
    window_update: int
    first_stream: int
    priority: Priority | None
    pseudo: tuple[str, ...]
    headers: tuple[str, ...]
    values: tuple[str, ...] = ()
    opening: tuple[tuple[str, ...], ...]
    stream_update: int = 0


class Connections(_Part, frozen=True, kw_only=True):
    """Habits: how many connections many requests at once to a new name open, and after how long idle ones are closed.

    Idle ones were watched for `watched_s` seconds, 0 where they were not; null where they were kept for longer.
    """

    http1_at_once: int
    http2_at_once: int
    http1_idle_s: float | None = None
    http2_idle_s: float | None = None
    watched_s: int = 0


class Browser(_Part, frozen=True, kw_only=True):
    """The document. `hellos` is how many first hellos it was derived from, `ja4` what they all had."""

    schema: str
    name: str
    version: str
    platform: str
    captured: str
    hellos: int
    ja4: str
    hello: Hello
    retry: Retry | None = None
    resumption: Resumption | None = None
    http2: Http2 | None = None
    connections: Connections | None = None

"""Browsers as signed data: finds, checks, reads and signs documents of the schema `rozaneh.browser/1`.

A profile is two files: `NAME.json`, the document in its one canonical form, and `NAME.json.sig`, the 128 hexadecimal
digits of an Ed25519 signature over it (`core.signed`, label `rozaneh browser v1`). Those that come with the program
are signed with the key whose public half is `publisher.pub`; whoever takes a profile from elsewhere says whose
signature it must bear. The signature is checked before anything is parsed.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import msgspec

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SigningKey, verify
from rozaneh.core.signed import signed_bytes
from rozaneh.data.browsers import schema
from rozaneh.data.browsers.schema import SCHEMA, Browser

__all__ = ["LABEL", "check", "decode", "encode", "load", "names", "publisher", "read", "sign"]

LABEL = "rozaneh browser v1"
MAX_BYTES = 64 * 1024  # Chromium's takes 4 KiB
_MAX_ITEMS = 256  # in any list; far above what browsers have
_MAX_NUMBER = 0xFFFF
_X25519_BYTES = 32  # RFC 7748 section 5
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def names() -> tuple[str, ...]:
    """The profiles that come with the program."""
    found = (entry.name for entry in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in found if name.endswith(".json")))


def publisher() -> bytes:
    """The public key that signs the profiles that come with the program."""
    return bytes.fromhex(resources.files(__name__).joinpath("publisher.pub").read_text("ascii"))


def load(name: str, public: bytes | None = None) -> Browser:
    """The profile `name` that comes with the program, or in the file `name` where that is a path to one.

    Raises:
        Fault: USAGE when there is none; INTEGRITY when signature (under `public`, the program's own publisher by
        default) or document is not right.
    """
    if name in names():
        folder = resources.files(__name__)
        document = folder.joinpath(f"{name}.json").read_bytes()
        signature = folder.joinpath(f"{name}.json.sig").read_text("ascii")
    else:
        path = Path(name)
        try:
            document = path.read_bytes()
            signature = path.with_name(f"{path.name}.sig").read_text("ascii")
        except OSError as error:
            hint = f"there are: {', '.join(names())}"
            raise Fault(FaultKind.USAGE, f"There is no signed profile {name!r}", why=str(error), hint=hint) from None
        except ValueError:
            signature = ""
    return check(document, signature, public or publisher())


def check(document: bytes, signature: str, public: bytes) -> Browser:
    """The profile in `document` once its signature has been checked.

    Raises:
        Fault: INTEGRITY when the signature is not `public`'s or the document is not well formed.
    """
    if len(document) > MAX_BYTES:
        raise Fault(FaultKind.INTEGRITY, f"The browser profile is larger than {MAX_BYTES} bytes")
    try:
        raw = bytes.fromhex(signature.strip())
    except ValueError:
        raw = b""
    if (
        len(raw) != SIGNATURE_BYTES
        or len(public) != PUBLIC_KEY_BYTES
        or not verify(public, raw, signed_bytes(LABEL, document))
    ):
        raise Fault(FaultKind.INTEGRITY, "The signature of the browser profile is not the publisher's")
    return decode(document)


def read(path: Path) -> Browser:
    """The profile in a file of one's own, whoever signed it.

    Raises:
        Fault: USAGE when it cannot be read, INTEGRITY when it is not well formed.
    """
    try:
        with path.open("rb") as file:
            return decode(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise Fault(FaultKind.USAGE, f"`{path}` cannot be read", why=str(error)) from None


def sign(document: bytes, key: SigningKey) -> str:
    """The content of the signature's file."""
    return key.sign(signed_bytes(LABEL, document)).hex() + "\n"


def encode(browser: Browser) -> bytes:
    """The one canonical form: the schema's keys in its order, one blank a level, one line feed at the end."""
    return msgspec.json.format(msgspec.json.encode(browser), indent=1) + b"\n"


def decode(document: bytes) -> Browser:
    """The profile in these bytes.

    Raises:
        Fault: INTEGRITY for anything else than one in canonical form whose values make sense.
    """
    if len(document) > MAX_BYTES:
        raise Fault(FaultKind.INTEGRITY, f"The browser profile is larger than {MAX_BYTES} bytes")
    try:
        browser = msgspec.json.decode(document, type=Browser)
        _check_values(browser)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Fault(FaultKind.INTEGRITY, "The browser profile is not well formed", why=str(error)) from None
    if encode(browser) != document:
        raise Fault(FaultKind.INTEGRITY, "The browser profile is not in canonical form")
    return browser


def _check_values(browser: Browser) -> None:
    if browser.schema != SCHEMA:
        raise ValueError("unknown schema")
    if not _NAME.fullmatch(browser.name):
        raise ValueError("the name has other characters than small letters, digits, dots and hyphens")
    if not _DATE.fullmatch(browser.captured):
        raise ValueError("`captured` is no date")
    _check_hello(browser.hello)
    if browser.http2 is not None:
        for number, value in browser.http2.settings:
            _in(number, _MAX_NUMBER, "a setting's number")
            _in(value, 2**32 - 1, "a setting's value")
        _in(browser.http2.window_update, 2**31 - 1, "the window update")
        _in(browser.http2.stream_update, 2**30 - 1, "the first stream's window update")
        values = browser.http2.values
        if values and len(values) != len(browser.http2.headers):
            raise ValueError("there is not a value for every header")
        if not all(value.isascii() and value.isprintable() for value in values):
            raise ValueError("a header's value has other characters than printable ones")


def _check_hello(hello: schema.Hello) -> None:
    known: set[str] = set()
    for variable in hello.grease:
        if variable.name in known or (variable.unlike is not None and variable.unlike not in known):
            raise ValueError("GREASE variables are named once, and unlike earlier ones only")
        # Exclusive or with a nibble four times over is the only flip that leads from one GREASE value to another.
        if variable.flip & 0x0F0F or variable.flip >> 8 != variable.flip & 0xFF:
            raise ValueError("`flip` does not lead from one GREASE value to another")
        known.add(variable.name)
    _in(hello.session_id, 32, "the session id's length")
    for number in (hello.record_version, hello.version, *hello.records):
        _in(number, _MAX_NUMBER, "a version or a record's length")
    if not 1 <= len(hello.ciphers) <= _MAX_ITEMS or not 1 <= len(hello.extensions) <= _MAX_ITEMS:
        raise ValueError("there are no cipher suites or extensions, or too many")
    if not 0 < len(bytes.fromhex(hello.compression)) < 256:
        raise ValueError("the compression methods do not fit")
    _numbers(hello.ciphers, known)
    for extension in hello.extensions:
        _numbers((extension.type,), known)
        if extension.share is not None and not 0 < extension.share < 1:
            raise ValueError("a share of the hellos is above 0 and below 1")
        _check_extension(extension, known)


def _check_extension(extension: schema.Extension, known: set[str]) -> None:
    match extension:
        case schema.Fixed():
            bytes.fromhex(extension.body)
        case schema.Choice():
            for choice in extension.bodies:
                bytes.fromhex(choice.body)
            _weights([choice.weight for choice in extension.bodies])
        case schema.Numbers():
            if extension.prefix not in (1, 2) or 2 * len(extension.values) >= 256**extension.prefix:
                raise ValueError("a vector's length does not fit its prefix")
            _numbers(extension.values, known)
        case schema.KeyShare():
            _numbers(tuple(share.group for share in extension.shares), known)
            for share in extension.shares:
                if share.body is None and isinstance(share.group, str):
                    raise ValueError("there are no real keys for GREASE groups")
                bytes.fromhex(share.body or "")
        case schema.EchGrease():
            _weights([suite.weight for suite in extension.suites])
            _weights([payload.weight for payload in extension.payloads])
            if extension.x25519 and extension.key != _X25519_BYTES:
                raise ValueError("a key of X25519 has 32 bytes")
            for number in (extension.key, *(payload.length for payload in extension.payloads)):
                _in(number, 16_384, "a length of the ECH extension")
        case schema.Padding():
            _in(extension.above, extension.to, "where padding begins")
            _in(extension.to, 16_384, "what is padded to")
        case schema.ServerName():
            pass


def _numbers(values: tuple[schema.Number, ...], known: set[str]) -> None:
    for value in values:
        if isinstance(value, int):
            _in(value, _MAX_NUMBER, "a registered number")
        elif value not in known:
            raise ValueError(f"there is no GREASE variable {value!r}")


def _weights(weights: list[int]) -> None:
    if not 0 < len(weights) <= _MAX_ITEMS or any(not 0 < weight < 2**31 for weight in weights):
        raise ValueError("weights are above 0, and there is at least one")


def _in(value: int, highest: int, what: str) -> None:
    if not 0 <= value <= highest:
        raise ValueError(f"{what} is out of range")

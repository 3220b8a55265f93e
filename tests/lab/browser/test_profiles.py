"""Profiles of browsers: signed, canonical, strict; and those that come with the program are what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.keys import SigningKey
from rozaneh.data import browsers
from rozaneh.data.browsers import schema
from rozaneh.lab.browser import derive
from rozaneh.lab.codec.fingerprint import ja4
from tests.lab.browser.generator import flights

KEY = SigningKey.from_seed(bytes(range(32)))
CHROMIUM = browsers.load("chromium")
ECH = next(one for one in CHROMIUM.hello.extensions if isinstance(one, schema.EchGrease))
DOCUMENT = browsers.encode(CHROMIUM)


def refused(document: bytes, signature: str | None = None, public: bytes = KEY.public()) -> Fault:
    with pytest.raises(Fault) as caught:
        browsers.check(document, browsers.sign(document, KEY) if signature is None else signature, public)
    assert caught.value.kind is FaultKind.INTEGRITY
    return caught.value


def changed(**values: object) -> bytes:
    return browsers.encode(replace(CHROMIUM, **values))


def in_hello(**values: object) -> bytes:
    return changed(hello=replace(CHROMIUM.hello, **values))


def test_every_profile_that_comes_along_is_signed_and_has_the_ja4_it_names() -> None:
    assert "chromium" in browsers.names()
    for name in browsers.names():
        profile = browsers.load(name)
        assert profile.name == name
        made = flights(profile.hello, 20)
        assert {ja4(derive.parsed(flight)) for flight in made} == {profile.ja4}


def test_a_cover_can_be_visited_like_every_browser_that_comes_along() -> None:
    for name in browsers.names():
        http2 = browsers.load(name).http2
        assert http2 is not None
        assert len(http2.values) == len(http2.headers)
        agent = dict(zip(http2.headers, http2.values, strict=True))["user-agent"]
        assert browsers.load(name).version.partition(".")[0] in agent
        assert "Headless" not in agent


def test_headers_without_their_values_or_with_others_than_text_are_refused() -> None:
    http2 = CHROMIUM.http2
    assert http2 is not None
    for values in (http2.values[1:], (*http2.values[1:], "\r\n"), (*http2.values[1:], "\u0663")):
        refused(changed(http2=replace(http2, values=values)))


def test_a_signed_document_comes_back_whole() -> None:
    assert browsers.check(DOCUMENT, browsers.sign(DOCUMENT, KEY), KEY.public()) == CHROMIUM
    assert browsers.decode(DOCUMENT) == CHROMIUM


def test_any_other_signature_is_refused() -> None:
    good = browsers.sign(DOCUMENT, KEY)
    for signature in ("", "zz", good[:-3], good[2:], "00" * 64):
        refused(DOCUMENT, signature)
    refused(DOCUMENT, good, SigningKey.from_seed(bytes(32)).public())
    refused(DOCUMENT, good, b"")
    for at in range(0, len(DOCUMENT), 97):
        flipped = bytearray(DOCUMENT)
        flipped[at] ^= 1
        refused(bytes(flipped), good)


def test_files_of_ones_own_need_the_signature_of_whom_one_names(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(DOCUMENT)
    with pytest.raises(Fault) as caught:
        browsers.load(str(path), KEY.public())
    assert caught.value.kind is FaultKind.USAGE
    path.with_name("mine.json.sig").write_text(browsers.sign(DOCUMENT, KEY))
    assert browsers.load(str(path), KEY.public()) == CHROMIUM
    with pytest.raises(Fault) as caught:
        browsers.load(str(path))
    assert caught.value.kind is FaultKind.INTEGRITY
    assert browsers.read(path) == CHROMIUM
    with pytest.raises(Fault) as caught:
        browsers.read(tmp_path / "none.json")
    assert caught.value.kind is FaultKind.USAGE


def test_only_the_canonical_form_is_read() -> None:
    for other in (
        DOCUMENT[:-1],
        DOCUMENT + b"\n",
        DOCUMENT.replace(b"\n ", b"\n  ", 1),
        DOCUMENT.replace(b'{\n "schema"', b'{\n "hellos": 1,\n "schema"'),
        DOCUMENT.replace(b'"hellos"', b'"hello-count"'),
        DOCUMENT.replace(b'"kind": "server_name"', b'"kind": "client_name"'),
        b"",
        b"[" * 40_000,
        b" " * (browsers.MAX_BYTES + 1),
    ):
        assert other != DOCUMENT
        refused(other)


def test_values_that_make_no_sense_are_refused() -> None:
    grease = schema.Grease
    extension = CHROMIUM.hello.extensions[1]
    for document in (
        changed(schema="rozaneh.browser/2"),
        changed(name="Chromium"),
        changed(name="../x"),
        changed(captured="today"),
        in_hello(session_id=33),
        in_hello(version=65_536),
        in_hello(ciphers=()),
        in_hello(ciphers=("nobody",)),
        in_hello(ciphers=(-1,)),
        in_hello(compression=""),
        in_hello(compression="0"),
        in_hello(grease=(*CHROMIUM.hello.grease, grease(name="cipher1"))),
        in_hello(grease=(*CHROMIUM.hello.grease, grease(name="new", unlike="later"))),
        in_hello(grease=(*CHROMIUM.hello.grease, grease(name="new", unlike="cipher1", flip=1))),
        in_hello(extensions=()),
        in_hello(extensions=(replace(extension, share=0.0),)),
        in_hello(extensions=(replace(extension, share=1.5),)),
        in_hello(extensions=(schema.Fixed(type=5, body="0x"),)),
        in_hello(extensions=(schema.Choice(type=5, bodies=()),)),
        in_hello(extensions=(schema.Choice(type=5, bodies=(schema.Body(body="", weight=0),)),)),
        in_hello(extensions=(schema.Numbers(type=5, prefix=3, values=()),)),
        in_hello(extensions=(schema.Numbers(type=5, prefix=1, values=(1,) * 128),)),
        in_hello(extensions=(schema.KeyShare(type=51, shares=(schema.Share(group="group1"),)),)),
        in_hello(extensions=(schema.EchGrease(type=5, suites=(), key=32, payloads=()),)),
        in_hello(extensions=(replace(ECH, key=65, x25519=True),)),
        in_hello(extensions=(schema.Padding(type=21, above=512, to=256),)),
    ):
        refused(document)

"""The TLS engine against stacks that nobody here wrote: Python's ssl, GnuTLS, Go, nginx. OpenSSL and rustls are met in
`crates/tls/tests`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop import tls_foreign as tls
from tests.interop.rig import make_identity

SUITES = {tls.AES128: "AES-128-GCM", tls.AES256: "AES-256-GCM", tls.CHACHA: "CHACHA20-POLY1305"}


@pytest.fixture(scope="module")
def program() -> Path:
    return tls.built()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tls.Keys:
    folder = tmp_path_factory.mktemp("keys")
    identity = make_identity(folder)
    return tls.keys(folder, identity.cert, identity.key)


@pytest.fixture(scope="module")
def rsa(tmp_path_factory: pytest.TempPathFactory) -> tls.Keys:
    folder = tmp_path_factory.mktemp("rsa")
    identity = make_identity(folder, kind="rsa")
    return tls.keys(folder, identity.cert, identity.key)


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tls.go_program(tmp_path_factory.mktemp("go"))


def said(found: list[tls.Spec]) -> list[str]:
    return [one.get("said", str(one)) for one in found]


# ---- our client ----


def test_our_client_and_pythons_server(program: Path, made: tls.Keys) -> None:
    for curve, group, retried in (("", tls.X25519, False), ("secp384r1", tls.P384, True)):
        with tls.told_port(tls.python("server", 0, made, curve)) as port:
            for suite in SUITES:
                found = tls.connect(
                    program, port, certificate=str(made.cert_der), suites=[suite], alpn=["h2"], connections=2
                )
                assert said(found) == ["a line\n"] * 2
                assert [(one["suite"], one["group"], one["alpn"]) for one in found] == [(suite, group, "h2")] * 2
                assert [one["resumed"] for one in found] == [False, True]
                assert [one["retried"] for one in found] == [retried] * 2


def test_our_client_and_gnutls(program: Path, made: tls.Keys, rsa: tls.Keys) -> None:
    for keys in (made, rsa):
        with tls.gnutls_server(keys, tls.gnutls_priority()) as port:
            for suite in SUITES:
                found = tls.connect(program, port, certificate=str(keys.cert_der), suites=[suite], connections=2)
                assert said(found) == ["a line\n"] * 2
                assert [one["suite"] for one in found] == [suite] * 2
                assert [one["resumed"] for one in found] == [False, True]
    for name, group in (("SECP256R1", tls.P256), ("SECP384R1", tls.P384), ("X25519", tls.X25519)):
        with tls.gnutls_server(made, tls.gnutls_priority(name)) as port:
            (found,) = tls.connect(program, port)
            assert (found["said"], found["group"], found["retried"]) == ("a line\n", group, group != tls.X25519)


def test_our_client_and_gos_server(program: Path, made: tls.Keys, rsa: tls.Keys, go: Path) -> None:
    for keys in (made, rsa):
        for group in (tls.HYBRID, tls.X25519, tls.P256, tls.P384):
            with tls.told_port([go, "server", "0", keys.cert, keys.key, str(group)]) as port:
                found = tls.connect(program, port, certificate=str(keys.cert_der), alpn=["h2"], connections=2)
                assert said(found) == ["a line\n"] * 2
                assert [(one["group"], one["alpn"], one["resumed"]) for one in found] == [
                    (group, "h2", False),
                    (group, "h2", True),
                ]
                assert found[0]["retried"] == (group in (tls.P256, tls.P384))


def test_our_client_and_nginx(program: Path, made: tls.Keys, tmp_path: Path) -> None:
    with tls.nginx(made, tmp_path) as port:
        found = tls.connect(
            program,
            port,
            certificate=str(made.cert_der),
            send="GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            until="a page",
            connections=2,
        )
    assert all(one.get("said", "").endswith("a page") for one in found), found
    assert [one["resumed"] for one in found] == [False, True]


def test_a_certificate_of_somebody_else_is_refused(program: Path, made: tls.Keys, rsa: tls.Keys) -> None:
    with tls.told_port(tls.python("server", 0, made)) as port:
        (found,) = tls.connect(program, port, certificate=str(rsa.cert_der))
    assert found["sent"] == "certificate_unknown"


# ---- our server ----


def test_pythons_client_and_our_server(program: Path, made: tls.Keys, rsa: tls.Keys) -> None:
    for keys in (made, rsa):
        for suite, name in SUITES.items():
            spec = {"suites": [suite], "alpn": ["h2"], "tickets": 2, "connections": 2}
            with (
                tls.ours(program, keys, **spec) as (port, server),
                tls.child(tls.python("client", port, keys)) as client,
            ):
                assert client.stdout is not None
                lines = [client.stdout.readline().split() for _ in range(2)]
                assert [(words[:2], words[3:]) for words in lines] == [
                    (["a", "line"], ["h2", "False"]),
                    (["a", "line"], ["h2", "True"]),
                ]
                assert name.replace("-", "_") in lines[0][2].replace("-", "_")
                assert [tls.told(server)["resumed"] for _ in range(2)] == [False, True]


def test_gnutls_client_and_our_server(program: Path, made: tls.Keys) -> None:
    # It sends shares of the first curve of each kind, and so the third group has to be asked for.
    priority = tls.gnutls_priority("X25519:+GROUP-SECP256R1:+GROUP-SECP384R1")
    for group in (tls.X25519, tls.P256, tls.P384):
        with tls.ours(program, made, alpn=["h2"], groups=[group]) as (port, server):
            text = tls.gnutls_client(port, made, priority, "--alpn", "h2")
            assert "a line" in text, text
            found = tls.told(server)
        assert (found["said"], found["group"], found["alpn"]) == ("a line\n", group, "h2")
        assert found["retried"] == (group == tls.P384)


def test_gos_client_and_our_server(program: Path, made: tls.Keys, go: Path) -> None:
    for group in (tls.HYBRID, tls.X25519, tls.P256, tls.P384):
        spec = {"groups": [group], "alpn": ["h2"], "tickets": 1, "connections": 2}
        with (
            tls.ours(program, made, **spec) as (port, server),
            tls.child([go, "client", str(port), made.cert, made.key, str(group)]) as client,
        ):
            assert client.stdout is not None
            lines = [client.stdout.readline().split() for _ in range(2)]
            assert [words[:2] + words[3:] for words in lines] == [
                ["a", "line", "h2", "false", str(group)],
                ["a", "line", "h2", "true", str(group)],
            ]
            assert [tls.told(server)["group"] for _ in range(2)] == [group] * 2


# ---- a liar ----

LIAR = Path(__file__).with_name("tls_liar.py")

# Chrome's alerts, which are RFC 8446's (sections 4.1.3, 4.2.1, 4.4.3, 4.4.4) but where BoringSSL has its own: an empty
# chain, a session id that is not echoed, an extension twice (its runner's tests, in `docs/evidence`).
SERVERS_LIES = {
    "finished": "decrypt_error",
    "signature": "decrypt_error",
    "scheme": "illegal_parameter",
    "chain": "certificate_required",
    "extension": "unsupported_extension",
    "twice": "decode_error",
    "ticket": "decode_error",
    "suite": "illegal_parameter",
    "session": "decode_error",
    "version": "illegal_parameter",
}


@pytest.fixture(scope="module")
def liar(peers: Path) -> Path:
    """The Python that has tlslite-ng."""
    return peers / "bin/python"


def test_an_honest_tlslite_is_understood(program: Path, made: tls.Keys, liar: Path) -> None:
    with tls.told_port([liar, LIAR, "server", "none", made.cert, made.key]) as port:
        found = tls.connect(program, port, certificate=str(made.cert_der), connections=2)
    assert said(found) == ["a line\n"] * 2
    assert [one["resumed"] for one in found] == [False, True]
    with (
        tls.ours(program, made, tickets=1) as (port, server),
        tls.child([liar, LIAR, "client", "none", str(port)]) as client,
    ):
        assert client.stdout is not None
        assert client.stdout.readline() == "a line\n"
        assert tls.told(server)["said"] == "a line\n"


@pytest.mark.parametrize(("lie", "alert"), SERVERS_LIES.items())
def test_a_server_that_lies_is_told_so(program: Path, made: tls.Keys, liar: Path, lie: str, alert: str) -> None:
    with tls.told_port([liar, LIAR, "server", lie, made.cert, made.key]) as port:
        (found,) = tls.connect(program, port)
    assert found.get("sent") == alert, found


@pytest.mark.parametrize(("lie", "alert"), {"finished": "decrypt_error", "old": "protocol_version"}.items())
def test_a_client_that_lies_is_told_so(program: Path, made: tls.Keys, liar: Path, lie: str, alert: str) -> None:
    with (
        tls.ours(program, made) as (port, server),
        tls.child([liar, LIAR, "client", lie, str(port)]) as client,
    ):
        assert tls.told(server)["sent"] == alert
        assert client.stdout is not None
        assert alert in client.stdout.readline()

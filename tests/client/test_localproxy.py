"""The local proxy is never open: every combination of flags, and what it comes to."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest

from rozaneh.client.localproxy import decide, free_port
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import write_private
from rozaneh.engine.config import Password, PeerCred, SameUser


def choose(**flags: Any) -> Any:
    plain = {
        "listen": None,
        "user": None,
        "password_file": None,
        "same_user": False,
        "kept_port": None,
        "platform": "linux",
    }
    return decide(**(plain | flags))


def refused(kind: FaultKind, **flags: Any) -> None:
    with pytest.raises(Fault) as caught:
        choose(**flags)
    assert caught.value.kind is kind


@pytest.fixture
def password(tmp_path: Path) -> Path:
    write_private(tmp_path / "password", b"long enough\n")
    return tmp_path / "password"


def test_the_default_asks_the_kernel() -> None:
    proxy = choose(pick=lambda: 23_456)
    assert (proxy.bind, proxy.auth, proxy.port) == ("127.0.0.1:23456", SameUser(), 23_456)
    assert choose(kept_port=22_222).bind == "127.0.0.1:22222"
    assert choose(kept_port=22_222, listen="127.0.0.1:1080").bind == "127.0.0.1:1080"
    assert choose(listen="[::1]:1080").bind == "[::1]:1080"


def test_a_unix_socket_asks_the_kernel_everywhere(tmp_path: Path) -> None:
    for platform in ("linux", "darwin"):
        proxy = choose(listen=f"unix:{tmp_path}/s", platform=platform)
        assert (proxy.bind, proxy.auth, proxy.port) == (f"unix:{tmp_path}/s", PeerCred(), None)
    assert choose(listen="unix:s").bind == f"unix:{Path('s').absolute()}"


def test_a_password_is_kept_as_its_digest(password: Path) -> None:
    proxy = choose(user="me", password_file=password, kept_port=1)
    assert proxy.auth == Password(user="me", password_sha256=hashlib.sha256(b"long enough").hexdigest())
    assert "long enough" not in repr(proxy)


def test_what_does_not_fit_together(password: Path) -> None:
    refused(FaultKind.USAGE, user="me")
    refused(FaultKind.USAGE, password_file=password)
    refused(FaultKind.USAGE, user="me", password_file=password, same_user=True)


@pytest.mark.parametrize("listen", ["0.0.0.0:1080", "[::]:1080", "192.168.1.2:1080", "93.184.215.14:1080"])
def test_it_serves_this_device_only_even_with_a_password(listen: str, password: Path) -> None:
    refused(FaultKind.USAGE, listen=listen)
    refused(FaultKind.USAGE, listen=listen, user="me", password_file=password)


def test_elsewhere_than_linux_tcp_needs_a_password(password: Path) -> None:
    for platform in ("win32", "darwin"):
        refused(FaultKind.USAGE, platform=platform)
        refused(FaultKind.USAGE, platform=platform, same_user=True)
        assert isinstance(choose(platform=platform, user="me", password_file=password, kept_port=1).auth, Password)


@pytest.mark.parametrize("content", [b"", b"short", b"\n", b"two lines\nof it", b"x" * 256])
def test_passwords_that_are_none(tmp_path: Path, content: bytes) -> None:
    write_private(tmp_path / "p", content)
    refused(FaultKind.CONFIG, user="me", password_file=tmp_path / "p")


def test_a_password_file_others_can_read_or_that_is_missing(password: Path) -> None:
    password.chmod(0o644)
    refused(FaultKind.PERMISSION, user="me", password_file=password)
    refused(FaultKind.CONFIG, user="me", password_file=password.with_name("missing"))


def test_a_free_port_is_free_and_not_always_the_same() -> None:
    ports = {free_port() for _ in range(8)}
    assert len(ports) > 1
    for port in ports:
        assert 20_000 <= port < 32_768
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", ports.pop()))

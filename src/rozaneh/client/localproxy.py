"""Where programs on this device reach the way out, and how they prove that they may.

There is no open local proxy: other users' programs, and web pages that probe localhost, get nothing. On TCP the
kernel is asked which user a connection belongs to (browsers cannot give SOCKS a password), or a password is needed; a
unix socket asks the kernel always. The port is random at first, so that no scan for "the" port finds it, and kept
from then on, so that a browser's settings stay right.
"""

from __future__ import annotations

import hashlib
import secrets
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rozaneh.core.addresses import Endpoint
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import read_private
from rozaneh.engine.config import Password, PeerCred, ProxyListener, SameUser

# Below the ephemeral range of Linux (32768-60999) and above what services use by habit.
_FIRST_PORT, _LAST_PORT = 20_000, 32_767
_TRIES = 64
_PASSWORD_LIMIT = 1024
_LEAST_PASSWORD = 8


@dataclass(frozen=True, slots=True)
class LocalProxy:
    """A listener that is decided on."""

    bind: str
    auth: SameUser | PeerCred | Password

    def listener(self, upstream: str) -> ProxyListener:
        """The engine's listener."""
        return ProxyListener(tag="local", bind=self.bind, auth=self.auth, upstream=upstream)

    @property
    def port(self) -> int | None:
        """Its TCP port, or None for a unix socket."""
        return None if self.bind.startswith("unix:") else Endpoint.parse(self.bind).port


def decide(
    listen: str | None,
    user: str | None,
    password_file: Path | None,
    same_user: bool,
    kept_port: int | None,
    platform: str = sys.platform,
    pick: Callable[[], int] | None = None,
) -> LocalProxy:
    """Where to listen and whom to let in.

    Args:
        listen: what the person asked for, or None.
        user: user name for a password.
        password_file: a private file with the password.
        same_user: the person asked for the same-user check by name.
        kept_port: the port of earlier runs.
        platform: ``sys.platform``.
        pick: gives a free random port.

    Raises:
        Fault: USAGE when the flags do not fit together or would open the proxy to others; PERMISSION for a readable
        password file.
    """
    if (user is None) != (password_file is None):
        raise Fault(FaultKind.USAGE, "`--user` and `--password-file` stand together")
    if user is not None and same_user:
        raise Fault(FaultKind.USAGE, "Choose a password or the same-user check, not both")
    auth: SameUser | PeerCred | Password
    unix = listen is not None and listen.startswith("unix:")
    if user is not None and password_file is not None:
        auth = Password(user=user, password_sha256=_password_digest(password_file))
    elif unix:
        auth = PeerCred()
    elif platform == "linux":
        auth = SameUser()
    else:
        raise Fault(
            FaultKind.USAGE,
            "This system cannot tell which user a local connection belongs to",
            hint="use `--listen unix:PATH`, or `--user U --password-file F`",
        )
    if listen is None:
        return LocalProxy(f"127.0.0.1:{kept_port or (pick or free_port)()}", auth)
    if unix:
        return LocalProxy("unix:" + str(Path(listen[5:]).absolute()), auth)
    if not Endpoint.parse(listen).address.is_loopback:
        raise Fault(
            FaultKind.USAGE,
            "The local proxy serves this device only",
            hint="listen on 127.0.0.1, on [::1] or on a unix socket",
        )
    return LocalProxy(listen, auth)


def free_port() -> int:
    """A random port of 127.0.0.1 that nobody listens on right now.

    Raises:
        Fault: LOCAL_NETWORK when many tries found none.
    """
    for _ in range(_TRIES):
        port = _FIRST_PORT + secrets.randbelow(_LAST_PORT - _FIRST_PORT + 1)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise Fault(FaultKind.LOCAL_NETWORK, "No free local port was found", hint="name one with `--listen 127.0.0.1:PORT`")


def _password_digest(path: Path) -> str:
    try:
        content = read_private(path, _PASSWORD_LIMIT)
    except FileNotFoundError:
        raise Fault(FaultKind.CONFIG, f"There is no password file `{path}`") from None
    password = content.rstrip(b"\r\n")
    # RFC 1929 section 2: a password has at most 255 bytes.
    if not _LEAST_PASSWORD <= len(password) <= 255 or b"\n" in password:
        raise Fault(FaultKind.CONFIG, f"The password in `{path}` must be one line of 8 to 255 bytes")
    return hashlib.sha256(password).hexdigest()

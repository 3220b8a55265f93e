"""Firefox beside a loopback listener, driven through Marionette: the same acts as `headless.Headless`.

Marionette is JSON behind its length and a colon, over one loopback connection. Every name is answered with the
loopback by a setting of Firefox's own, so nothing leaves this machine; what it would tell its maker is switched off.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rozaneh.lab import processes
from rozaneh.lab.browser import headless
from rozaneh.lab.browser.devtools import DevToolsError
from rozaneh.lab.isolate import LabUnavailable

NAMES = ("firefox-esr", "firefox")

_START_S = 60.0
_LOOK_S = 0.05
_MAX_MESSAGE = 1 << 24
_SETTINGS: Mapping[str, object] = {
    "marionette.port": 0,  # any free one; it is written into the profile
    "network.dns.forceResolve": "127.0.0.1",
    "network.lna.blocking": False,  # pages of the open network may talk to the loopback
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.http.http3.enable": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.normandy.enabled": False,
    "services.settings.server": "https://settings.invalid",
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
}
_FETCH = """
const [urls] = arguments;
const one = (url) => fetch(url, { cache: "no-store", mode: "no-cors", credentials: "include" })
  .then(() => true, () => false);
window.labFetched = Promise.all(urls.map(one)).then((all) => all.filter((good) => good).length);
"""


class MarionetteError(DevToolsError):
    """Firefox refused a command, ended, or did not answer in time."""


def find() -> str:
    """Where Firefox is; `LabUnavailable` where it is not."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise LabUnavailable("Firefox is missing: `apt-get install firefox-esr`")
    return program


class Firefox:
    """Firefox, headless, in a profile of its own; the arguments are those of `headless.Headless`."""

    def __init__(self, port: int, authority: Path | None = None) -> None:
        del port  # addresses name it
        program = find()
        self._folder = Path(tempfile.mkdtemp(prefix="browser-"))
        self._process: processes.Process | None = None
        self._peer: socket.socket | None = None
        self._number = 0
        try:
            self._start(program, authority)
        except BaseException:
            self.close()
            raise

    def _start(self, program: str, authority: Path | None) -> None:
        profile = self._folder / "profile"
        profile.mkdir(mode=0o700)
        lines = (f"user_pref({json.dumps(key)}, {json.dumps(value)});" for key, value in _SETTINGS.items())
        (profile / "user.js").write_text("\n".join(lines) + "\n")
        if authority is not None:
            headless.trust(profile, authority)
        env = {key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL") if key in os.environ}
        env |= {"HOME": str(self._folder), "TMPDIR": str(self._folder), "MOZ_CRASHREPORTER_DISABLE": "1"}
        # The lab's programs may run as root, for whom there is no sandbox; the pages are our own.
        env |= {"MOZ_DISABLE_CONTENT_SANDBOX": "1", "DBUS_SESSION_BUS_ADDRESS": "disabled:"}
        argv = [program, "--headless", "--marionette", "--no-remote", "--profile", str(profile), "about:blank"]
        self._process = processes.spawn(argv, env=env, log=self._folder / "log")
        limit = time.monotonic() + _START_S
        announced = profile / "MarionetteActivePort"
        while not (text := announced.read_text() if announced.exists() else "").isdecimal():
            if time.monotonic() > limit or not self._process.running():
                raise LabUnavailable(f"Firefox did not start: {self._process.output()[-500:]}")
            time.sleep(_LOOK_S)
        self._peer = socket.create_connection(("127.0.0.1", int(text)), timeout=_START_S)
        # Its greeting is the only message that is no answer, and an object.
        self._receive()
        answer = self._call("WebDriver:NewSession", {"capabilities": {}})
        self.version = str(answer["capabilities"]["browserVersion"])

    def __enter__(self) -> Firefox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the browser and all its processes; everything it wrote goes with it."""
        if self._peer is not None:
            self._peer.close()
        if self._process is not None:
            self._process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def open(self, url: str, *, timeout: float = 60.0) -> str:
        """Opens `url` and waits until it is loaded; the browser's own word for what went wrong, or empty."""
        try:
            self._call("WebDriver:Navigate", {"url": url}, timeout)
        except MarionetteError as error:
            return str(error)
        return ""

    def fetch(self, urls: Sequence[str], *, timeout: float = 120.0) -> int:
        """Has the open page fetch all of `urls` at once; how many were answered."""
        self.start(urls)
        return self.finish(timeout=timeout)

    def start(self, urls: Sequence[str]) -> None:
        """Has the open page begin to fetch all of `urls` at once."""
        self._call("WebDriver:ExecuteScript", {"script": _FETCH, "args": [list(urls)], "sandbox": None})

    def finish(self, *, timeout: float = 120.0) -> int:
        """Waits for what `start` began; how many were answered."""
        script: dict[str, object] = {"script": "return window.labFetched", "args": [], "sandbox": None}
        return int(self._call("WebDriver:ExecuteScript", script, timeout)["value"] or 0)

    def _call(self, command: str, params: Mapping[str, object], timeout: float = _START_S) -> dict[str, Any]:
        peer = self._connected()
        self._number += 1
        peer.settimeout(timeout)
        message = json.dumps([0, self._number, command, params]).encode()
        try:
            peer.sendall(b"%d:" % len(message) + message)
            answer = self._receive()
        except OSError as error:
            raise MarionetteError(f"{command} was not answered: {error}") from error
        kind, number, refusal, result = answer
        if (kind, number) != (1, self._number):
            raise MarionetteError(f"{command} got another's answer")
        if refusal is not None:
            raise MarionetteError(f"{command}: {str(refusal.get('message')).partition(chr(10))[0]}")
        return dict(result)

    def _connected(self) -> socket.socket:
        if self._peer is None:
            raise MarionetteError("Firefox is not running")
        return self._peer

    def _receive(self) -> list[Any]:
        size = b""
        while not size.endswith(b":"):
            size += self._take(1)
            if len(size) > 9:
                raise MarionetteError("Firefox sent no length")
        length = int(size[:-1])
        if length > _MAX_MESSAGE:
            raise MarionetteError("Firefox sent a message without an end")
        return list(json.loads(self._take(length)))

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self._connected().recv(count - len(data))
            if not chunk:
                raise MarionetteError("Firefox ended")
            data += chunk
        return data

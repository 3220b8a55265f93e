"""A browser beside a loopback listener, in no world: what it says to servers is measured as it is at home.

Every name below `NAMES` leads to one port of the loopback; every other name leads nowhere. The browser's store trusts
one authority made for the run, so no flag about certificates is needed here either. The page that loads others is
served by the same listener: Chromium asks its user before a page of the open network may talk to the loopback.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

from rozaneh.lab import processes
from rozaneh.lab.browser import chromium
from rozaneh.lab.browser.devtools import DevToolsError
from rozaneh.lab.isolate import LabUnavailable

# Names of RFC 2606 section 2, so that none of them can be somebody's.
NAMES = "garden-photos.example"

_START_S = 60.0
_FEATURES_OFF = (*chromium.FEATURES_OFF, "LocalNetworkAccessChecks", "LocalNetworkAccessChecksWebSockets")

# Starts to fetch; `labFetched` becomes a promise of how many were answered.
_FETCH = """
(urls) => {
  const one = async (url) => {
    try { await fetch(url, { cache: "no-store", mode: "no-cors", credentials: "include" }); return true; }
    catch (error) { return false; }
  };
  window.labFetched = Promise.all(urls.map(one)).then((all) => all.filter((good) => good).length);
  return true;
}
"""


class Driven(Protocol):
    """What captures ask of any browser; it is ended when its block is left."""

    version: str

    def __enter__(self) -> Driven:
        """The browser, which runs already."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it."""

    def open(self, url: str, *, timeout: float = 60.0) -> str:
        """Opens `url` and waits until it is loaded; the browser's own word for what went wrong, or empty."""

    def fetch(self, urls: Sequence[str], *, timeout: float = 120.0) -> int:
        """Has the open page fetch all of `urls` at once; how many were answered."""

    def start(self, urls: Sequence[str]) -> None:
        """Has the open page begin to fetch all of `urls` at once."""

    def finish(self, *, timeout: float = 120.0) -> int:
        """Waits for what `start` began; how many were answered."""


class Headless:
    """Chromium, headless, whose names under `NAMES` are answered by `port` of the loopback; one tab is open.

    Args:
        port: Where the listener is.
        authority: PEM file of the root it shall trust; None where no handshake will be completed.
    """

    def __init__(self, port: int, authority: Path | None = None) -> None:
        program = chromium.find()
        self._folder = Path(tempfile.mkdtemp(prefix="browser-"))
        home = self._folder / "home"
        home.mkdir(mode=0o700)
        try:
            if authority is not None:
                store = home / ".pki" / "nssdb"
                store.mkdir(parents=True, mode=0o700)
                trust(store, authority)
            self._start(program, home, port)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def _start(self, program: str, home: Path, port: int) -> None:
        argv = [
            program,
            *chromium.flags(_FEATURES_OFF, f"MAP *.{NAMES} 127.0.0.1:{port}, MAP * ~NOTFOUND"),
            f"--user-data-dir={self._folder / 'profile'}",
        ]
        env = {key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL") if key in os.environ}
        env |= {"HOME": str(home), "TMPDIR": str(self._folder), "XDG_RUNTIME_DIR": str(self._folder)}
        log = self._folder / "log"
        self._process, self._tools, product = chromium.start(
            lambda descriptors: processes.spawn(argv, env=env | chromium.NO_BUS, log=log, descriptors=descriptors),
            _START_S,
        )
        self.version = product.partition("/")[2]
        try:
            target = self._tools.call("Target.createTarget", {"url": "about:blank"})["targetId"]
            attached = self._tools.call("Target.attachToTarget", {"targetId": target, "flatten": True})
            self._session = str(attached["sessionId"])
            self._tools.call("Page.enable", session=self._session)
        except DevToolsError as error:
            self.close()
            raise LabUnavailable(f"Chromium did not start: {error}; {self._process.output()[-500:]}") from error

    def __enter__(self) -> Headless:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the browser and all its processes; everything it wrote goes with it."""
        self._tools.close()
        self._process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def open(self, url: str, *, timeout: float = 60.0) -> str:
        """Opens `url` in the tab and waits until it is loaded; the browser's own word for what went wrong, or empty."""
        answer = self._tools.call("Page.navigate", {"url": url}, session=self._session, timeout=timeout)
        error = str(answer.get("errorText", ""))
        if not error:
            self._tools.event("Page.loadEventFired", session=self._session, timeout=timeout)
        return error

    def fetch(self, urls: Sequence[str], *, timeout: float = 120.0) -> int:
        """Has the open page fetch all of `urls` at once; how many were answered."""
        self.start(urls)
        return self.finish(timeout=timeout)

    def start(self, urls: Sequence[str]) -> None:
        """Has the open page begin to fetch all of `urls` at once."""
        params = {"expression": f"({_FETCH})({json.dumps(list(urls))})", "returnByValue": True}
        self._tools.call("Runtime.evaluate", params, session=self._session)

    def finish(self, *, timeout: float = 120.0) -> int:
        """Waits for what `start` began; how many were answered."""
        params = {"expression": "labFetched", "returnByValue": True, "awaitPromise": True}
        answer = self._tools.call("Runtime.evaluate", params, session=self._session, timeout=timeout)
        return int(answer["result"].get("value", 0))


def trust(store: Path, authority: Path) -> None:
    """Makes the certificate store in the folder `store`, with the run's root in it."""
    env = {"PATH": os.environ["PATH"], "HOME": str(store)}
    chromium.make_store(store, authority, lambda argv: processes.spawn(argv, env=env).finish(30))

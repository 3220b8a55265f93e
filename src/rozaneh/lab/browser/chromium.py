"""Chromium on a node of the world: opens a page as a reader would and reports what came of it.

No flag here touches how certificates are judged: the world's authority is in the browser's own store (`trust`), and a
page under any other certificate fails as it would at home. The flags only keep the browser from talking to its maker,
from asking for a second try on its own, and from doing over HTTPS what was asked for over HTTP (a plain link in a
chat is what the HTTP block is about; with the upgrade the demo would not show what it says).
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from rozaneh.lab.browser import loading
from rozaneh.lab.browser.devtools import DevTools, DevToolsError
from rozaneh.lab.isolate import LabUnavailable
from rozaneh.lab.nodes import Node
from rozaneh.lab.processes import Process

# What it is called, in the order it is looked for.
NAMES = ("chromium", "chromium-browser", "google-chrome")

_START_S = 30.0
_SETTLE_S = 5.0
_WIDTH, _HEIGHT = 800, 500

FEATURES_OFF = ("HttpsUpgrades", "HttpsFirstBalancedModeAutoEnable", "OptimizationHints", "MediaRouter")

# For every Chromium here; features and names are each one's own (`flags`).
_COMMON = (
    "--headless",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-domain-reliability",
    "--disable-auto-reload",
    "--metrics-recording-only",
    "--password-store=basic",
    "--mute-audio",
    "--hide-scrollbars",
    f"--window-size={_WIDTH},{_HEIGHT}",
    # The lab's programs run as (a namespace's) root, for whom Chromium has no sandbox; the pages are our own.
    "--no-sandbox",
)


def flags(features_off: Sequence[str], names: str) -> tuple[str, ...]:
    """A command line's flags: without these features, and with these rules for names."""
    return (*_COMMON, f"--disable-features={','.join(features_off)}", f"--host-resolver-rules={names}")


_FLAGS = flags(
    FEATURES_OFF,
    # Its maker's and its packager's names are not even asked for: no question of its own mixes with what is measured.
    "MAP *.google.com ~NOTFOUND, MAP *.googleapis.com ~NOTFOUND, MAP *.duckduckgo.com ~NOTFOUND",
)

# There is no bus in a world, and none is looked for elsewhere.
NO_BUS = {"DBUS_SESSION_BUS_ADDRESS": "disabled:", "DBUS_SYSTEM_BUS_ADDRESS": "disabled:"}


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of opening one address.

    `error` is the network error (`net::ERR_…`) that kept the page away, or empty; `status`, `text` and `url` are the
    page's that is shown in the end; `secure` tells whether it came over a connection the browser calls secure.
    """

    error: str
    status: int
    text: str
    url: str
    secure: bool


def find() -> str:
    """Where Chromium is; `LabUnavailable` where it is not."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise LabUnavailable("Chromium is missing: `apt-get install chromium`")
    return program


def make_store(store: Path, authority: Path, run: Callable[[list[str]], tuple[int, str]]) -> None:
    """Makes the certificate store in the folder `store` and puts a root into it; `run` gives exit code and output."""
    if shutil.which("certutil") is None:
        raise LabUnavailable("certutil is missing: `apt-get install libnss3-tools`")
    for argv in (
        ["certutil", "-N", "-d", f"sql:{store}", "--empty-password"],
        ["certutil", "-A", "-d", f"sql:{store}", "-n", "world", "-t", "C,,", "-i", str(authority)],
    ):
        code, output = run(argv)
        if code:
            raise LabUnavailable(f"certutil failed: {output.strip()}")


def trust(node: Node, authority: Path) -> None:
    """Puts the world's root into the throwaway certificate store under the node's HOME."""
    store = node.home / ".pki" / "nssdb"
    store.mkdir(parents=True, mode=0o700)
    make_store(store, authority, node.run)


def start(spawn: Callable[[dict[int, int]], Process], timeout: float) -> tuple[Process, DevTools, str]:
    """Starts a Chromium on the pipe that `spawn` gives it: the program, its protocol and what it calls itself."""
    commands_in, commands_out = os.pipe()
    answers_in, answers_out = os.pipe()
    try:
        process = spawn({3: commands_in, 4: answers_out})
    finally:
        os.close(commands_in)
        os.close(answers_out)
    tools = DevTools(commands_out, answers_in)
    try:
        version = tools.call("Browser.getVersion", timeout=timeout)
    except DevToolsError as error:
        tools.close()
        process.kill()
        raise LabUnavailable(f"Chromium did not start: {error}; {process.output()[-500:]}") from error
    return process, tools, str(version["product"])


class Chromium:
    """One running browser with a profile of its own; `proxy` is what `--proxy-server` gets."""

    def __init__(self, node: Node, name: str, *, proxy: str | None = None) -> None:
        self._profile = node.folder / f"profile-{name}"
        argv = [find(), *_FLAGS, f"--user-data-dir={self._profile}"]
        if proxy:
            argv.append(f"--proxy-server={proxy}")
        log = node.folder / f"chromium-{name}.log"
        try:
            self._process, self._tools, self.version = start(
                lambda descriptors: node.spawn(argv, env=NO_BUS, log=log, descriptors=descriptors), _START_S
            )
        except BaseException:
            shutil.rmtree(self._profile, ignore_errors=True)
            raise

    def __enter__(self) -> Chromium:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the browser and all its processes; its profile, some megabytes of memory, goes with it."""
        self._tools.close()
        self._process.kill()
        shutil.rmtree(self._profile, ignore_errors=True)

    def open(self, url: str, *, screenshot: Path | None = None, timeout: float = 30.0) -> Visit:
        """Opens `url` in a fresh tab and looks at what is shown: the page, or the browser's page about the error."""
        tools = self._tools
        target = tools.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        try:
            session = tools.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
            for domain in ("Page", "Network", "Security"):
                tools.call(f"{domain}.enable", session=session)
            answer = tools.call("Page.navigate", {"url": url}, session=session, timeout=timeout)
            error = str(answer.get("errorText", ""))
            try:
                tools.event("Page.loadEventFired", session=session, timeout=_SETTLE_S)
            except DevToolsError:
                if not error:
                    error = "timeout while loading"
            text = self._evaluate(session, "document.body ? document.body.innerText : ''")
            shown = self._evaluate(session, "location.href")
            status, secure = self._response(session, str(answer.get("frameId", "")))
            if screenshot is not None:
                picture = tools.call("Page.captureScreenshot", {"format": "png"}, session=session)["data"]
                screenshot.write_bytes(base64.b64decode(picture))
            return Visit(error=error, status=0 if error else status, text=text, url=shown, secure=secure and not error)
        finally:
            tools.call("Target.closeTarget", {"targetId": target})

    def load(self, url: str, take: Callable[[bytes], None], left: Callable[[], float]) -> str | None:
        """Loads one file by a script in a fresh tab; the arguments and the answer are those of `loading.load`."""
        return loading.load(self._tools, url, take, left)

    def visit(self, urls: Sequence[str], *, proxy: str = "", timeout: float = 30.0) -> list[str]:
        """Opens `urls` one after the other as somebody who just started the browser; each one's text, in order.

        The context has a proxy of its own and shares no connection, ticket or cache with any other.

        Raises:
            DevToolsError: A page did not open; the text has the browser's own word for it.
        """
        tools = self._tools
        wish = {"proxyServer": proxy} if proxy else {}
        context = tools.call("Target.createBrowserContext", wish)["browserContextId"]
        try:
            page = {"url": "about:blank", "browserContextId": context}
            target = tools.call("Target.createTarget", page)["targetId"]
            session = tools.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
            tools.call("Page.enable", session=session)
            found = []
            for url in urls:
                answer = tools.call("Page.navigate", {"url": url}, session=session, timeout=timeout)
                if answer.get("errorText"):
                    raise DevToolsError(f"{url}: {answer['errorText']}")
                tools.event("Page.loadEventFired", session=session, timeout=timeout)
                found.append(self._evaluate(session, "document.body ? document.body.innerText : ''"))
            return found
        finally:
            tools.call("Target.disposeBrowserContext", {"browserContextId": context})

    def _evaluate(self, session: str, expression: str) -> str:
        result = self._tools.call(
            "Runtime.evaluate", {"expression": expression, "returnByValue": True}, session=session
        )
        return str(result["result"].get("value", ""))

    def _response(self, session: str, frame: str) -> tuple[int, bool]:
        """Status and security of the main frame's last document."""
        status, secure = 0, False
        for event in self._tools.forget_events(session):
            params = event.get("params", {})
            if (
                event["method"] == "Network.responseReceived"
                and params.get("type") == "Document"
                and params.get("frameId") == frame
            ):
                status = int(params["response"]["status"])
                secure = params["response"].get("securityState") == "secure"
        return status, secure

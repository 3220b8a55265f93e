"""Chromium through client and edge, in a namespace without a route: whatever it would say elsewhere stays here.

Run as ``python -m tests.interop.browser_world socks5|http`` inside ``unshare --net``; prints JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rozaneh.lab import processes
from rozaneh.lab.browser import chromium
from rozaneh.lab.browser.devtools import DevTools
from tests.interop.names import Names
from tests.interop.origin import Origin
from tests.interop.rig import ALICE, LOOPBACK, Running, client_document, edge_document, make_identity, way
from tests.interop.web import NAME, Site

#: 200 pages at once, each its own request past every cache.
MANY = """
Promise.all([...Array(200).keys()].map(n => fetch(`/n/${n}?${Math.random()}`, {cache: "no-store"}).then(r => r.text())))
  .then(all => JSON.stringify({right: all.filter((text, n) => text === `number ${n}\\n`).length,
    protocols: [...new Set(performance.getEntriesByType("resource").map(e => e.nextHopProtocol))]}))
"""
#: The same from a server that speaks HTTP/1.1 only.
MANY_PLAIN = """
Promise.all([...Array(200).keys()].map(n => fetch(`/bytes/${n}`, {cache: "no-store"}).then(r => r.arrayBuffer())))
  .then(all => JSON.stringify({right: all.filter((body, n) => body.byteLength === n).length,
    protocols: [...new Set(performance.getEntriesByType("resource").map(e => e.nextHopProtocol))]}))
"""
LARGE = """
fetch("/large", {cache: "no-store"}).then(r => r.arrayBuffer()).then(async body => JSON.stringify({
  size: body.byteLength,
  sha256: [...new Uint8Array(await crypto.subtle.digest("SHA-256", body))]
    .map(b => b.toString(16).padStart(2, "0")).join("")}))
"""
#: Texts of every length class of RFC 6455 section 5.2, and a binary message, to an echo and back in order.
WEBSOCKET = """
new Promise((resolve, reject) => {
  const sizes = [0, 1, 125, 126, 65535, 65536, 1000000], back = [];
  const socket = new WebSocket(`ws://${location.host}/ws`);
  socket.binaryType = "arraybuffer";
  socket.onerror = () => reject(new Error("websocket"));
  socket.onopen = () => { sizes.forEach(n => socket.send("x".repeat(n))); socket.send(new Uint8Array([1, 2, 3])); };
  socket.onmessage = event => {
    back.push(event.data);
    if (back.length === sizes.length + 1) socket.close(1000);
  };
  socket.onclose = event => resolve(JSON.stringify({code: event.code, clean: event.wasClean,
    right: sizes.every((n, i) => back[i] === "x".repeat(n)) && new Uint8Array(back[sizes.length]).join() === "1,2,3"}));
})
"""
UPLOAD = """
(async () => {
  const body = new Uint8Array(20 << 20).fill(7);
  const answer = await fetch("/hash", {method: "POST", body});
  return JSON.stringify({answer: await answer.text()});
})()
"""


class Browser:
    """One Chromium with a home of its own, steered over its pipe."""

    def __init__(self, folder: Path, proxy: str) -> None:
        commands_in, commands_out = os.pipe()
        answers_in, answers_out = os.pipe()
        argv = [chromium.find(), *chromium._FLAGS, f"--user-data-dir={folder / 'profile'}", f"--proxy-server={proxy}"]
        environment = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
            "DBUS_SYSTEM_BUS_ADDRESS": "disabled:",
        }
        try:
            self._process = processes.spawn(
                argv,
                name="chromium",
                env=environment,
                log=folder / "chromium.log",
                descriptors={3: commands_in, 4: answers_out},
            )
        finally:
            os.close(commands_in)
            os.close(answers_out)
        self._tools = DevTools(commands_out, answers_in)
        self._tools.call("Browser.getVersion", timeout=30)

    def close(self) -> None:
        """Ends it and all its processes."""
        self._tools.close()
        self._process.kill()

    @contextmanager
    def page(self, url: str) -> Iterator[Page]:
        """A tab that shows ``url``."""
        target = self._tools.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        try:
            session = self._tools.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
            self._tools.call("Page.enable", session=session)
            answer = self._tools.call("Page.navigate", {"url": url}, session=session, timeout=30)
            if answer.get("errorText"):
                raise AssertionError(f"{url}: {answer['errorText']}")
            self._tools.event("Page.loadEventFired", session=session, timeout=30)
            yield Page(self._tools, session)
        finally:
            self._tools.call("Target.closeTarget", {"targetId": target})


class Page:
    """A loaded page that runs what it is given."""

    def __init__(self, tools: DevTools, session: str) -> None:
        self._tools, self._session = tools, session

    def run(self, expression: str) -> Any:
        """The result of a promise of JSON."""
        result = self._tools.call(
            "Runtime.evaluate",
            {"expression": expression, "returnByValue": True, "awaitPromise": True},
            session=self._session,
            timeout=60,
        )
        if "exceptionDetails" in result:
            raise AssertionError(str(result["exceptionDetails"])[:500])
        return json.loads(result["result"]["value"])


def trust(home: Path, authority: Path) -> None:
    """Puts the throwaway authority into the store of a throwaway home."""
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    for argv in (
        ["certutil", "-N", "-d", f"sql:{store}", "--empty-password"],
        ["certutil", "-A", "-d", f"sql:{store}", "-n", "throwaway", "-t", "C,,", "-i", str(authority)],
    ):
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def main() -> None:
    """Everything a browser does, once."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, stdin=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as name, Origin() as origin, Names() as names:
        folder = Path(name)
        identity = make_identity(folder / "edge")
        with (
            Site(folder / "web") as site,
            Running(edge_document(identity, users=[ALICE], allow=LOOPBACK, resolver=names.address)) as edge,
            Running(client_document(way(edge.address, identity, ALICE))) as client,
        ):
            trust(folder, site.authority)
            browser = Browser(folder, f"{sys.argv[1]}://{client.address}")
            try:
                with browser.page(site.url()) as page:
                    report: dict[str, Any] = {
                        "text": page.run("JSON.stringify(document.body.innerText.trim())"),
                        "many over h2": page.run(MANY),
                        "large": page.run(LARGE),
                    }
                with browser.page(f"http://{NAME}:{origin.http}/page") as page:
                    report["many over http/1.1"] = page.run(MANY_PLAIN)
                    report["websocket"] = page.run(WEBSOCKET)
                    report["upload"] = page.run(UPLOAD)
            finally:
                browser.close()
            report["asked"] = sorted(names.asked)
            report["edge"] = edge.counters()
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()

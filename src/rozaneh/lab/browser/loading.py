"""Loads one file in a tab as a page's own script would, and hands over its bytes as they come."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

from rozaneh.lab.browser.devtools import DevTools, DevToolsError

# Reads the body piece by piece; `labNext` gives what came since the last call, waiting for the first piece of it.
_SCRIPT = """
(url) => {
  const state = { parts: [], done: false, error: "", wake: null };
  const wake = () => { if (state.wake) { state.wake(); state.wake = null; } };
  (async () => {
    try {
      const answer = await fetch(url, { cache: "no-store" });
      if (!answer.ok) throw new Error("status " + answer.status);
      const reader = answer.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        state.parts.push(value);
        wake();
      }
    } catch (error) {
      state.error = String(error.message || error);
    }
    state.done = true;
    wake();
  })();
  window.labNext = async () => {
    if (!state.parts.length && !state.done) await new Promise((resolve) => { state.wake = resolve; });
    let text = "";
    for (const part of state.parts)
      for (let at = 0; at < part.length; at += 8192) text += String.fromCharCode(...part.subarray(at, at + 8192));
    state.parts = [];
    return [btoa(text), state.done, state.error];
  };
  return true;
}
"""


def load(tools: DevTools, url: str, take: Callable[[bytes], None], left: Callable[[], float]) -> str | None:
    """Loads `url` in a fresh tab and gives every piece to `take`.

    Returns what the browser complained of (its own `net::ERR_…` where it says one), empty when all went well, and None
    when `left()` seconds ran out. Raises `DevToolsError` when the browser ended.
    """
    target = tools.call("Target.createTarget", {"url": "about:blank"})["targetId"]
    try:
        session = tools.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        tools.call("Network.enable", session=session)
        start = {"expression": f"({_SCRIPT})({json.dumps(url)})", "returnByValue": True}
        tools.call("Runtime.evaluate", start, session=session)
        more = {"expression": "labNext()", "awaitPromise": True, "returnByValue": True}
        while True:
            try:
                answer = tools.call("Runtime.evaluate", more, session=session, timeout=max(0.0, left()))
            except DevToolsError:
                if left() <= 0:
                    return None
                raise
            text, done, error = answer["result"]["value"]
            if text:
                take(base64.b64decode(text))
            if done:
                return _complaint(tools, session, str(error)) if error else ""
    finally:
        tools.call("Target.closeTarget", {"targetId": target})


def _complaint(tools: DevTools, session: str, error: str) -> str:
    """The network error behind a script's error, which itself says little."""
    for event in tools.forget_events(session):
        if event["method"] == "Network.loadingFailed" and event["params"].get("errorText"):
            return str(event["params"]["errorText"])
    return error

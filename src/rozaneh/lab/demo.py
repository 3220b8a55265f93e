"""The demo: four blocked news sites, shown blocked, then opened through an edge set up with the commands anyone types.

Everything is measured: a page counts as blocked when the browser failed and the censor's own log shows the rule that
did it; as opened when its text came over a connection the browser calls secure. What the reader's side let out in
plain is read back from the capture at the censor.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rozaneh.lab import isolate, plaintext, runner, scenarios, worlds
from rozaneh.lab.browser import chromium
from rozaneh.lab.nodes import Node
from rozaneh.lab.processes import Process
from rozaneh.lab.runner import Result
from rozaneh.lab.services.internet import Internet
from rozaneh.lab.world import Raised

SCHEMA = "rozaneh.demo/1"

# What the summary must say `true` to.
PROMISES = ("blocked_directly", "opened_through_edge", "no_name_in_the_clear", "stopped_cleanly")

Say = Callable[[str], None]

_COMMAND_S = 30.0
_READY_S = 30.0
_STOP_S = 10.0
_KEPT = ("reader-side.pcap", "internet-side.pcap", "acts.jsonl", "summary.json")


class DemoFailed(Exception):
    """A step did not do what it must; the text says which one, and what it wrote."""


def run(out: Path, say: Say, scenario: str = "four_blocks", way: str = "h2+tls") -> dict[str, Any]:
    """Runs the demo, the edge reached by `way`; leaves pictures, captures and the summary in `out`, and returns it."""
    out = out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    for old in [*out.glob("*.png"), *(out / name for name in _KEPT)]:
        old.unlink(missing_ok=True)
    began = time.monotonic()
    summary = isolate.run(lambda: _inside(out, say, scenario, way))
    summary["seconds"] = round(time.monotonic() - began, 1)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def good(summary: dict[str, Any]) -> bool:
    """Whether everything the demo promises was seen."""
    return all(summary[key] is True for key in PROMISES)


def unexpected(summary: dict[str, Any], scenario: scenarios.Scenario) -> list[str]:
    """Where the pages did not do what the scenario says, in words; a block counts only with the rule it names."""
    found = []
    for trial, page in zip(scenario.trials, summary["pages"], strict=True):
        for way, wanted in trial.expect.items():
            verdict, rule = page[way]["verdict"], page[way].get("rule", "")
            by_another = verdict == "blocked" and way == "direct" and rule != trial.rule
            if verdict != wanted or by_another:
                told = f"{verdict} by {rule}" if by_another else verdict
                found.append(f"{trial.url} ({way}): {told}, expected {wanted}")
    return found


def _inside(out: Path, say: Say, name: str, way: str) -> dict[str, Any]:
    scenario = scenarios.load(name)
    data = worlds.load(scenario.world)
    say(f"World {data.name}: {data.summary}")
    with Raised(data, rules=scenario.rules, captures=out, seed=scenario.seed) as world:
        internet = Internet(world)
        chromium.trust(world.reader, internet.authority)

        say("Directly, in Chromium:")
        direct_began = time.time()
        with chromium.Chromium(world.reader, "direct") as browser:
            version = browser.version
            direct = runner.visit_all(world, scenario, "direct", browser, out, say)
        direct_ended = time.time()

        say("The commands of the operator and of the reader:")
        people = _People(world, say, way)
        proxy = people.set_up()

        say("Through the edge, in Chromium:")
        edge_began = time.time()
        with chromium.Chromium(world.reader, "edge", proxy=proxy) as browser:
            through = runner.visit_all(world, scenario, "edge", browser, out, say)
        edge_ended = time.time()
        stopped = people.leave()
        stats = world.censor.stats()
        control = world.congestion_control

    capture = out / "reader-side.pcap"
    names = [site.name for site in data.sites]
    addresses = [address for site in data.sites for address in site.addresses]
    asked_directly = plaintext.dns_queries(capture, direct_began, direct_ended)
    asked_through = plaintext.dns_queries(capture, edge_began, edge_ended)
    clear = plaintext.names_in_clear(capture, names, edge_began, edge_ended)
    straight = plaintext.connections_to(capture, addresses, edge_began, edge_ended)
    straight_before = plaintext.connections_to(capture, addresses, direct_began, direct_ended)
    # The same count must find the names while nothing hides them, or finding none later would prove nothing.
    seen_directly = plaintext.names_in_clear(capture, names, direct_began, direct_ended)
    control_fine = straight_before > 0 and all(seen_directly[site] and asked_directly[site] for site in names)
    return {
        "schema": SCHEMA,
        "way": way,
        "blocked_directly": all(result.verdict == "blocked" and result.expected for result in direct),
        "opened_through_edge": all(result.verdict == "works" for result in through),
        "no_name_in_the_clear": control_fine
        and not clear
        and not straight
        and not any(asked_through[n] for n in names),
        "stopped_cleanly": stopped,
        "pages": [_page(scenario, one, other) for one, other in zip(direct, through, strict=True)],
        "reader_side": {
            "dns_queries_directly": sum(asked_directly[site] for site in names),
            "dns_queries_through_edge": sum(asked_through[site] for site in names),
            "packets_naming_a_site_directly": sum(seen_directly.values()),
            "packets_naming_a_site_through_edge": sum(clear.values()),
            "connections_to_a_site_directly": straight_before,
            "connections_to_a_site_through_edge": straight,
        },
        "commands": people.shown,
        "browser": version,
        "congestion_control": control,
        "router": {key: stats[key] for key in ("forwarded", "malformed", "lost", "errors", "acts")},
    }


def _page(scenario: scenarios.Scenario, direct: Result, through: Result) -> dict[str, Any]:
    return {
        "url": direct.trial.url,
        "direct": {
            "verdict": direct.verdict,
            "rule": direct.cause,
            "met": runner.story(direct, scenario),
            "error": direct.error,
            "status": direct.status,
            "seconds": direct.seconds,
            "screenshot": direct.screenshot,
        },
        "edge": {
            "verdict": through.verdict,
            "error": through.error,
            "status": through.status,
            "seconds": through.seconds,
            "screenshot": through.screenshot,
        },
    }


def program() -> Path:
    """The `rozaneh` command that belongs to this Python."""
    beside = Path(sys.executable).with_name("rozaneh")
    if beside.exists():
        return beside
    found = shutil.which("rozaneh")
    if found is None:
        raise DemoFailed("the command `rozaneh` is not installed beside this Python")
    return Path(found)


@dataclass
class _People:
    """The operator on the rented server and the reader at home, typing commands."""

    world: Raised
    say: Say
    way: str
    shown: list[str] = field(default_factory=list)
    running: list[Process] = field(default_factory=list)

    def set_up(self) -> str:
        """Edge, invite, connection; returns the local proxy as Chromium wants to hear it."""
        data, edge, reader = self.world.data, self.world.edge, self.world.reader
        address = data.addresses(data.edge)[0]
        host = data.node(data.edge).names[0]
        home = ["--dir", str(edge.home / "edge")]
        self._run(edge, ["edge", "init", *home, "--listen", f"{address}:443", "--host", host, "--way", self.way])
        self._start(edge, ["edge", "up", *home, "--json"])
        invite = self._run(edge, ["invite", "new", *home]).strip()
        if not invite.startswith("rozaneh:") or "\n" in invite:
            raise DemoFailed("`rozaneh invite new` did not print one link alone")
        ready = self._start(reader, ["connect", "-", "--json"], stdin=invite.encode() + b"\n")
        listen = str(json.loads(ready)["listen"])
        return f"socks5://{listen}"

    def leave(self) -> bool:
        """Ends the client, then the edge, as a person's Ctrl-C or a service manager would; True when both went well."""
        return [process.stop(_STOP_S) for process in reversed(self.running)] == [0] * len(self.running)

    def _show(self, node: Node, arguments: list[str]) -> None:
        where = "server" if node is self.world.edge else "home"
        home = str(node.home)
        line = " ".join(["rozaneh", *(argument.replace(home, "~") for argument in arguments)])
        self.shown.append(f"{where}$ {line}")
        self.say(f"  {where}$ {line}")

    def _run(self, node: Node, arguments: list[str]) -> str:
        self._show(node, arguments)
        errors = node.folder / "commands.log"
        code, output = node.run([str(program()), *arguments], timeout=_COMMAND_S, errors=errors)
        if code:
            wrote = errors.read_text(errors="replace").strip()[-2000:]
            raise DemoFailed(f"`rozaneh {' '.join(arguments[:2])}` ended with {code}: {wrote}")
        return output

    def _start(self, node: Node, arguments: list[str], stdin: bytes | None = None) -> str:
        self._show(node, arguments)
        errors = node.folder / f"{arguments[0]}.log"
        process = node.spawn([str(program()), *arguments], stdin=stdin, errors=errors)
        self.running.append(process)
        return process.wait_line('"ready"', _READY_S)

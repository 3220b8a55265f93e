"""A shell, or any command, inside a world that stands for as long as it runs."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence

from rozaneh.lab import isolate, scenarios, worlds
from rozaneh.lab.router import RuleConfig
from rozaneh.lab.services.internet import Internet
from rozaneh.lab.world import Raised
from rozaneh.lab.worlds import World, WorldError


def place(world: World, at: str) -> str:
    """The node meant by `at`: `reader` and `edge` are roles, everything else is a node's name."""
    name = {"reader": world.reader, "edge": world.edge}.get(at, at)
    if all(node.name != name for node in world.nodes):
        known = ", ".join(node.name for node in world.nodes)
        raise WorldError(f"there is no {at!r} in world {world.name!r}; there are: {known}")
    return name


def run(world_name: str, at: str, argv: Sequence[str], scenario: str | None = None) -> int:
    """Raises the world, with its services and the rules of `scenario`, runs `argv` there and returns its exit code."""
    world = worlds.load(world_name)
    rules: tuple[RuleConfig, ...] = scenarios.load(scenario).rules if scenario else ()
    node = place(world, at)
    return isolate.run(lambda: _inside(world, node, argv, rules))


def _inside(data: World, name: str, argv: Sequence[str], rules: Sequence[RuleConfig]) -> int:
    with Raised(data, rules=rules) as world:
        internet = Internet(world)
        node = world.nodes[name]
        env = node.environment({"LAB_CA": str(internet.authority), "CURL_CA_BUNDLE": str(internet.authority)})
        env["PS1"] = f"{data.name}/{name}# "
        # Ctrl-C belongs to what runs in the shell; it must not take the world away underneath.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return subprocess.run(node.enter_argv(argv), env=env, check=False, restore_signals=True).returncode
        finally:
            signal.signal(signal.SIGINT, before)

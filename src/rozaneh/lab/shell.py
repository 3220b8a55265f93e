"""A shell, or any command, inside a world that stands for as long as it runs."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Sequence

from rozaneh.lab import isolate, profiles, scenarios, worlds
from rozaneh.lab.router import RuleConfig
from rozaneh.lab.services.internet import Internet
from rozaneh.lab.world import Raised
from rozaneh.lab.worlds import World, WorldError

# How old what the acts' file says may be.
_ACTS_S = 0.25


def place(world: World, at: str) -> str:
    """The node meant by `at`: `reader`, `edge` and `provider` are roles, everything else is a node's name.

    `provider` is where the censor stands, whatever the node is called.
    """
    roles = {"reader": world.reader, "edge": world.edge}
    roles.update(("provider", node.name) for node in world.nodes if node.kind == "censor")
    name = roles.get(at, at)
    if all(node.name != name for node in world.nodes):
        known = ", ".join(node.name for node in world.nodes)
        raise WorldError(f"there is no {at!r} in world {world.name!r}; there are: {known}")
    return name


def run(world_name: str, at: str, argv: Sequence[str], scenario: str | None = None, profile: str | None = None) -> int:
    """Raises the world, with its services and the rules of `scenario` or `profile`, and runs `argv` there.

    Returns its exit code.
    """
    world = worlds.load(world_name)
    rules: Sequence[RuleConfig] = scenarios.load(scenario).rules if scenario else ()
    if profile:
        found = profiles.load(profile)
        world = profiles.world_for(found, world)
        rules = profiles.rules_for(found, world)
    node = place(world, at)
    return isolate.run(lambda: _inside(world, node, argv, rules))


def _inside(data: World, name: str, argv: Sequence[str], rules: Sequence[RuleConfig]) -> int:
    with Raised(data, rules=rules) as world:
        internet = Internet(world)
        node = world.nodes[name]
        env = node.environment({"LAB_CA": str(internet.authority), "CURL_CA_BUNDLE": str(internet.authority)})
        if world.censor.acts_file:
            env["LAB_ACTS"] = str(world.censor.acts_file)
        env["PS1"] = f"{data.name}/{name}# "
        # Ctrl-C belongs to what runs in the shell; it must not take the world away underneath.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process = subprocess.Popen(node.enter_argv(argv), env=env, restore_signals=True)
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(_ACTS_S)
                world.censor.stats()  # puts into the file what the rules did meanwhile
        finally:
            signal.signal(signal.SIGINT, before)

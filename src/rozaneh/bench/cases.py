"""What is measured of a subject that runs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from rozaneh.bench import procfs
from rozaneh.bench.plan import Plan
from rozaneh.bench.subjects import Chain

Figures = dict[str, float]
# A load waits 20 s for a tunnel before it gives up; this is for the load itself.
_GRACE_S = 90.0


class CaseFailed(Exception):
    """The load did not come through; the text is what it said."""


@dataclass(frozen=True)
class Running:
    """A subject whose processes run. Both ids are 0 where nobody is in between."""

    chain: Chain
    client: int
    edge: int

    def load(self, plan: Plan, operation: str, *sizes: float | int) -> list[str]:
        """The command of one load."""
        chain = self.chain
        words = [plan.tools.load, operation, chain.target, chain.proxy, chain.auth]
        return [*words, *(str(size) for size in sizes)]

    def cpu(self) -> tuple[float, float]:
        """CPU seconds of client and edge so far."""
        return _of(procfs.cpu_seconds, self.client), _of(procfs.cpu_seconds, self.edge)

    def memory(self) -> tuple[float, float]:
        """Bytes of memory of client and edge."""
        return _of(procfs.memory_bytes, self.client), _of(procfs.memory_bytes, self.edge)


def _of(measure: Callable[[int], float], pid: int) -> float:
    return measure(pid) if pid else 0.0


def _answer(command: list[str], seconds: float) -> Figures:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + _GRACE_S)
    except subprocess.TimeoutExpired as error:
        raise CaseFailed("the load hangs") from error
    if done.returncode != 0:
        raise CaseFailed(_reason(done.stderr))
    return cast(Figures, json.loads(done.stdout))


def _reason(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "the load ended without a word"


def bulk(running: Running, plan: Plan) -> Figures:
    """Megabytes a second, and CPU seconds a gigabyte at client and edge; both ways, with 1 stream and with 8."""
    figures: Figures = {}
    # The first carrier, the first pages of memory and the first guess of the rate belong to nobody's gigabyte.
    _answer(running.load(plan, "down", plan.seconds / 8, 1), plan.seconds)
    for streams in (1, 8):
        for way in ("down", "up"):
            before = running.cpu()
            moved = _answer(running.load(plan, way, plan.seconds, streams), plan.seconds)
            spent = [after - first for after, first in zip(running.cpu(), before, strict=True)]
            gigabytes = moved["bytes"] / 1e9
            name = f"{way}{streams}"
            figures[f"{name}_mb_s"] = moved["bytes"] / 1e6 / moved["seconds"]
            if running.client:
                figures[f"{name}_client_cpu_s_gb"] = spent[0] / gigabytes
                figures[f"{name}_edge_cpu_s_gb"] = spent[1] / gigabytes
                figures[f"{name}_cpu_s_gb"] = sum(spent) / gigabytes
    return figures


def tunnels(running: Running, plan: Plan) -> Figures:
    """New tunnels a second, several at a time, and the time to the first byte of one that is alone."""
    before = running.cpu()
    many = _answer(running.load(plan, "tunnels", plan.seconds, plan.workers), plan.seconds)
    spent = sum(running.cpu()) - sum(before)
    alone = _answer(running.load(plan, "tunnels", plan.seconds / 2, 1), plan.seconds)
    figures = {
        "tunnels_s": many["tunnels"] / many["seconds"],
        "first_byte_p50_ms": alone["p50_ms"],
        "first_byte_p99_ms": alone["p99_ms"],
    }
    if running.client:
        figures["tunnel_cpu_ms"] = spent * 1e3 / many["tunnels"]
    return figures


def idle(running: Running, plan: Plan) -> Figures:
    """Memory of client and edge for each tunnel that is open and silent."""
    if not running.client:
        return {}
    # Code and buffers that the first tunnels bring in are not theirs.
    _answer(running.load(plan, "tunnels", 0.05, 1), 0.05)
    before = running.memory()
    command = running.load(plan, "idle", plan.idle)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as held:
        # Leaving the block closes its stdin, which is what it waits for.
        said = held.stdout.readline() if held.stdout else b""
        if not said:
            raise CaseFailed(_reason(held.stderr.read().decode() if held.stderr else ""))
        after = running.memory()
    return {
        f"idle_{end}_bytes": (now - first) / plan.idle
        for end, now, first in zip(("client", "edge"), after, before, strict=True)
    }


RUN: Mapping[str, Callable[[Running, Plan], Figures]] = {"bulk": bulk, "tunnels": tunnels, "idle": idle}

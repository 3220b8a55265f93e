"""What came out: a JSON document, and the same as tables for a person."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from rozaneh import __version__
from rozaneh.bench import figures, peers
from rozaneh.bench.plan import Measurement, Plan

SCHEMA = "rozaneh.bench/1"

_HEAD = ("subject", "down MB/s", "CPU-s/GB", "up MB/s", "CPU-s/GB", "8 down", "CPU-s/GB", "8 up", "CPU-s/GB")
_HEAD_MORE = ("subject", "tunnels/s", "CPU-ms each", "first byte p50 ms", "p99 ms", "KiB idle client", "KiB idle edge")


def machine() -> dict[str, Any]:
    """What the figures depend on besides the programs."""
    return {
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def versions(plan: Plan) -> dict[str, str]:
    """Who was measured, in which version."""
    told = {"rozaneh": __version__, "python": platform.python_version()}
    if plan.tools.sing_box:
        told["sing-box"] = peers.first_line([plan.tools.sing_box, "version"])
    if plan.tools.haproxy:
        told["haproxy"] = peers.first_line([plan.tools.haproxy, "-v"])
    return told


def content(plan: Plan, where: dict[str, Any], measurements: Sequence[Measurement]) -> dict[str, Any]:
    """The document without its schema."""
    return {
        "machine": where,
        "versions": versions(plan),
        "congestion": plan.congestion,
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "idle_tunnels": plan.idle,
        "subjects": msgspec.to_builtins(figures.by_subject(measurements)),
        "requirements": msgspec.to_builtins(figures.verdicts(measurements, plan.cases)),
        "errors": [
            {"subject": one.subject, "round": one.round, "case": case, "why": why}
            for one in measurements
            for case, why in one.errors.items()
        ],
    }


Table = tuple[Sequence[str], list[Sequence[str]]]


def tables(plan: Plan, measurements: Sequence[Measurement]) -> list[Table]:
    """Medians a person can compare; CPU is client and edge."""
    found = figures.by_subject(measurements)
    shown: list[Table] = []
    if "bulk" in plan.cases:
        shown.append((_HEAD, [_bulk_row(name, found.get(name, {})) for name in plan.subjects]))
    if "tunnels" in plan.cases or "idle" in plan.cases:
        shown.append((_HEAD_MORE, [_more_row(name, found.get(name, {})) for name in plan.subjects]))
    return shown


def _number(spread: figures.Spread | None, digits: int, scale: float = 1.0) -> str:
    return "-" if spread is None else f"{spread.median / scale:,.{digits}f}"


def _bulk_row(name: str, found: dict[str, figures.Spread]) -> Sequence[str]:
    row = [name]
    for case in ("down1", "up1", "down8", "up8"):
        row.append(_number(found.get(f"{case}_mb_s"), 0))
        ends = [_number(found.get(f"{case}_{end}_cpu_s_gb"), 2) for end in ("client", "edge")]
        row.append("-" if ends == ["-", "-"] else " + ".join(ends))
    return row


def _more_row(name: str, found: dict[str, figures.Spread]) -> Sequence[str]:
    tunnel = [("tunnels_s", 0), ("tunnel_cpu_ms", 2), ("first_byte_p50_ms", 2), ("first_byte_p99_ms", 2)]
    memory = ("idle_client_bytes", "idle_edge_bytes")
    return [
        name,
        *(_number(found.get(figure), digits) for figure, digits in tunnel),
        *(_number(found.get(figure), 1, 1024.0) for figure in memory),
    ]


def requirement_table(plan: Plan, measurements: Sequence[Measurement]) -> Table:
    """Each requirement with its value and verdict."""
    rows: list[Sequence[str]] = []
    for one in figures.verdicts(measurements, plan.cases):
        bound = f"at least {one.at_least:g}" if one.at_least is not None else f"at most {one.at_most:g}"
        value = "not measured" if one.value is None else f"{one.value:.2f}"
        rows.append((one.name, bound, value, "met" if one.met else f"MISSED{_by_how_much(one)}"))
    return ("requirement", "bound", "measured", "verdict"), rows


def _by_how_much(one: figures.Verdict) -> str:
    bound = one.at_least if one.at_least is not None else one.at_most
    return "" if one.value is None or not bound else f" by {abs(one.value - bound) / bound:.0%}"

"""What own TLS costs beside rustls: CPU of the record layer and of handshakes, both in one process and in turns."""

from __future__ import annotations

import json
import statistics
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from rozaneh.bench import generator
from rozaneh.bench.figures import Spread, spread
from rozaneh.core.errors import Fault, FaultKind

SCHEMA = "rozaneh.bench.tls/1"

VARIABLE = "ROZANEH_BENCH_TLS"
_SUITES = {"aes128": "AES-128-GCM", "aes256": "AES-256-GCM", "chacha20": "ChaCha20-Poly1305"}
_GROUPS = {"x25519": "X25519", "x25519mlkem768": "X25519MLKEM768"}
# A round of the default size takes some two seconds; ten times that is a machine that does something else.
_ROUND_S = 20.0
_GRACE_S = 60.0

Round = Mapping[str, float]
Table = tuple[Sequence[str], list[Sequence[str]]]


class Job(NamedTuple):
    """How much is measured."""

    rounds: int
    megabytes: int
    handshakes: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A promise, and the spread of its ratio over all rounds."""

    name: str
    ratio: Spread
    at_least: float | None
    at_most: float | None
    met: bool


def find() -> Path:
    """The measuring program: what ``ROZANEH_BENCH_TLS`` names, else built with cargo."""
    return generator.example("rozaneh-tls", "cost", VARIABLE)


def measure(program: Path, job: Job) -> list[Round]:
    """All figures of each round.

    Raises:
        Fault: FAILED where the program fails or hangs.
    """
    command = [str(program), *(str(size) for size in job)]
    try:
        limit = _GRACE_S + _ROUND_S * job.rounds
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise Fault(FaultKind.FAILED, "The measuring program hangs", why=f"no end after {limit:.0f} s") from error
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["it says nothing"]
        raise Fault(FaultKind.FAILED, "The measuring program failed", why=last[0])
    rounds: list[Round] = json.loads(done.stdout)["rounds"]
    return rounds


def _both(one: Round, suite: str, whose: str) -> float:
    return one[f"{suite}_{whose}_seal_cpu_s_gb"] + one[f"{suite}_{whose}_open_cpu_s_gb"]


def verdicts(rounds: Sequence[Round]) -> list[Verdict]:
    """Each promise; a ratio is the median of each round's own, as what else the machine does falls on both."""
    found = []
    for suite, name in _SUITES.items():
        ratio = spread([_both(one, suite, "ours") / _both(one, suite, "rustls") for one in rounds])
        found.append(
            Verdict(
                name=f"record layer, {name}: CPU-s/GB, of rustls",
                ratio=ratio,
                at_least=None,
                at_most=1.0,
                met=ratio.median <= 1.0,
            )
        )
    for group, name in _GROUPS.items():
        ratio = spread([one[f"{group}_ours_handshakes_s"] / one[f"{group}_rustls_handshakes_s"] for one in rounds])
        found.append(
            Verdict(
                name=f"handshakes, {name}: a CPU-second, of rustls",
                ratio=ratio,
                at_least=0.8,
                at_most=None,
                met=ratio.median >= 0.8,
            )
        )
    return found


def versions() -> dict[str, str]:
    """What both were built from, as the checkout's lock file says."""
    root = generator.checkout()
    if root is None:
        return {}
    packages = tomllib.loads((root / "Cargo.lock").read_text(encoding="utf-8"))["package"]
    wanted = ("aws-lc-rs", "rozaneh-tls", "rustls")
    return {one["name"]: one["version"] for one in packages if one["name"] in wanted}


def content(job: Job, where: Mapping[str, Any], rounds: Sequence[Round]) -> dict[str, Any]:
    """The document without its schema."""
    names = rounds[0] if rounds else {}
    return {
        "machine": dict(where),
        "versions": versions(),
        **job._asdict(),
        "figures": {name: msgspec.to_builtins(spread([one[name] for one in rounds])) for name in names},
        "requirements": msgspec.to_builtins(verdicts(rounds)),
    }


def tables(rounds: Sequence[Round]) -> list[Table]:
    """Medians, then the promises."""

    def median(figure: str) -> float:
        return statistics.median(one[figure] for one in rounds)

    records: list[Sequence[str]] = []
    for suite, name in _SUITES.items():
        row = [name]
        for whose in ("ours", "rustls"):
            row += [f"{median(f'{suite}_{whose}_{job}_cpu_s_gb'):.3f}" for job in ("seal", "open")]
        records.append(row)
    shakes: list[Sequence[str]] = [
        [name, *(f"{median(f'{group}_{whose}_handshakes_s'):,.0f}" for whose in ("ours", "rustls"))]
        for group, name in _GROUPS.items()
    ]
    promises: list[Sequence[str]] = [
        [
            one.name,
            f"at most {one.at_most:g}" if one.at_most is not None else f"at least {one.at_least:g}",
            f"{one.ratio.median:.2f} ({one.ratio.min:.2f} to {one.ratio.max:.2f})",
            "met" if one.met else "missed",
        ]
        for one in verdicts(rounds)
    ]
    return [
        (("CPU-s/GB", "ours seal", "open", "rustls seal", "open"), records),
        (("handshakes a CPU-second", "ours", "rustls"), shakes),
        (("requirement", "bound", "median (all rounds)", "verdict"), promises),
    ]

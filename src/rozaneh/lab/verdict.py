"""What a row of trials comes to: works, blocked by which rule, degraded, or an error of the lab. Pure functions.

`blocked` is never concluded from a failure alone: no trial succeeded **and** the middlebox saw a rule act on the
subject's own packets. A failure that no rule explains is an `error` of the lab and is never counted as censorship.
"""

from __future__ import annotations

import ipaddress
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec

from rozaneh.lab.trials import Trial

Verdict = Literal["works", "blocked", "degraded", "lab_invalid", "not_run", "error"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

# One line of the middlebox's acts file: time, lab_time, phase, rule, action, why, flow, packet.
Act = Mapping[str, Any]

LEVEL = 0.99  # of the specification: the binomial interval a control's rate must lie in
_HALF_WIDTH = 0.2
_LEAST_CONTROLS = 5
_Z = 2.5758  # the normal distribution's two-sided 99 % point


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict and what it is put down to: a rule's id for what a censor did, words for everything else."""

    verdict: Verdict
    cause: str = ""


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """One control of a profile and whether it is met.

    Attributes:
        kind: `blocked`: what this profile blocks; `pass`: what it leaves open.
        hits: Trials that were blocked by `rule`, or that passed.
        expected_rate: The share of trials that should be hits.
        low: Lower end of the 99 % interval around the measured share.
        high: Upper end of it.
        why: What is wrong when `met` is not true.
    """

    kind: Literal["blocked", "pass"]
    subject: str
    site: str = ""
    server: str = ""
    rule: str = ""
    expected_rate: float = 1.0
    trials: int = 0
    hits: int = 0
    low: float = 0.0
    high: float = 1.0
    met: bool = False
    why: str = ""


def judge(trials: Sequence[Trial], acts: Iterable[Act]) -> Judged:
    """The verdict on `trials`; `acts` are those on the subject's own packets (`of_subject`).

    A rule's exception is an error at whatever time it came.
    """
    by_phase: dict[str, list[Act]] = {}
    for act in acts:
        if act["action"] == "error":
            return Judged(verdict="error", cause=_broken(act))
        by_phase.setdefault(str(act.get("phase", "")), []).append(act)
    mine = [(trial, by_phase.get(trial.phase, [])) for trial in trials]
    if not trials:
        return Judged(verdict="error", cause="no trial was run")
    good = sum(trial.ok for trial in trials)
    if good == len(trials):
        return Judged(verdict="works")
    failed = [(trial, seen) for trial, seen in mine if not trial.ok]
    cause = _cause([seen for _, seen in failed])
    unexplained = failed[0][0].error or "it failed, and no rule was seen acting on it"
    if good or any(trial.still_moving for trial in trials):
        return Judged(verdict="degraded", cause=cause or f"no rule acted: {unexplained}")
    if cause:
        return Judged(verdict="blocked", cause=cause)
    return Judged(verdict="error", cause=unexplained)


def _broken(act: Act) -> str:
    return f"rule {act['rule']} failed: {act['why']}"


def _cause(trials: Sequence[Sequence[Act]]) -> str:
    """The rule that acted in the most failed trials; of equals the one that acted more often, then the earlier one."""
    in_trials: Counter[str] = Counter()
    in_all: Counter[str] = Counter()
    for seen in trials:
        rules = [str(act["rule"]) for act in seen]
        in_all.update(rules)
        in_trials.update(dict.fromkeys(rules, 1))
    # `max` keeps the first of equals, and a Counter the order in which its keys came.
    return max(in_trials, key=lambda rule: (in_trials[rule], in_all[rule]), default="")


def of_subject(acts: Iterable[Act], inside: Collection[str], outside: Collection[str] = ()) -> list[Act]:
    """The acts on one subject's packets: an end of theirs is in `inside`, the other in `outside` (empty: anywhere).

    A flow that a rule already acted on in an earlier phase is a repeat of that phase's kernel, nothing of the later
    one. A rule's exception counts whatever it was about.
    """
    inner = {_usual(address) for address in inside}
    outer = {_usual(address) for address in outside}
    began: dict[int, str] = {}
    found = []
    for act in acts:
        phase, flow = str(act.get("phase", "")), int(act.get("flow", 0))
        if act["action"] == "error":
            found.append(act)
            continue
        if flow and began.setdefault(flow, phase) != phase:
            continue
        pair = ends(str(act.get("packet", "")))
        if pair is None:
            continue
        one, other = pair
        if (one in inner and (not outer or other in outer)) or (other in inner and (not outer or one in outer)):
            found.append(act)
    return found


def ends(packet: str) -> tuple[str, str] | None:
    """Both addresses of a packet in the words of an act (`tcp A:1 > B:2 S 0`); None when it names no packet."""
    words = packet.split()
    if ">" not in words[1:-1]:
        return None
    middle = words.index(">")
    ported = words[0] in ("tcp", "udp")
    texts = [words[middle - 1], words[middle + 1]]
    try:
        first, second = (_usual(text.rpartition(":")[0] if ported else text) for text in texts)
    except ValueError:
        return None
    return first, second


def _usual(address: str) -> str:
    return str(ipaddress.ip_address(address.strip("[]")))


def seconds(trials: Sequence[Trial], share: float) -> float | None:
    """The time within which `share` of the successful trials ended (nearest rank); None without any."""
    times = sorted(trial.seconds for trial in trials if trial.ok)
    return times[max(0, math.ceil(share * len(times)) - 1)] if times else None


# --- controls


def control_trials(rate: float) -> int:
    """How many control trials tell `rate` from what it is not.

    A rule without chance needs a few. Otherwise the 99 % interval shall be no wider than 0.2 on either side, which at
    the fully-encrypted detector's 0.263 excludes never, always and every second time.
    """
    spread = rate * (1 - rate)
    return max(_LEAST_CONTROLS, math.ceil(_Z * _Z * spread / _HALF_WIDTH**2))


def control_blocked(control: Control, trials: Sequence[Trial], acts: Iterable[Act], level: float = LEVEL) -> Control:
    """`control` with its figures: a trial is a hit when it failed while the control's own rule acted in it.

    An expected rate of 0 says that the rule is not in force: it must not have acted at all.
    """
    acts = list(acts)
    broken = [_broken(act) for act in acts if act["action"] == "error"]
    fired = {str(act["phase"]) for act in acts if act["rule"] == control.rule}
    hits = sum(not trial.ok and trial.phase in fired for trial in trials)
    low, high = interval(hits, len(trials), level)
    why = ""
    if not trials:
        why = "no trial was run"
    elif broken:
        why = broken[0]
    elif control.expected_rate == 0:
        why = f"rule {control.rule} acted in {len(fired)} of {len(trials)}, expected never" if fired else ""
    elif not fired:
        errors = [trial.error for trial in trials if trial.error]
        why = f"rule {control.rule} never acted" + (f"; {errors[0]}" if errors else "")
    elif not low <= control.expected_rate <= high:
        why = f"blocked {hits} of {len(trials)}, expected a share of {control.expected_rate:g}"
    return msgspec.structs.replace(
        control, trials=len(trials), hits=hits, low=round(low, 4), high=round(high, 4), met=not why, why=why
    )


def control_pass(control: Control, trials: Sequence[Trial], level: float = LEVEL) -> Control:
    """`control` with its figures: met when every trial came through."""
    hits = sum(trial.ok for trial in trials)
    low, high = interval(hits, len(trials), level)
    why = ""
    if hits < len(trials) or not trials:
        error = next((trial.error for trial in trials if not trial.ok), "no trial was run")
        why = f"passed {hits} of {len(trials)}: {error}"
    return msgspec.structs.replace(
        control, trials=len(trials), hits=hits, low=round(low, 4), high=round(high, 4), met=not why, why=why
    )


def interval(hits: int, of: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact (Clopper-Pearson) interval for a share of `hits` in `of` independent tries.

    Clopper and Pearson, Biometrika 26 (1934): the shares under which seeing this many hits or more, and this many or
    fewer, each have at least half of what `level` leaves. Without a try it is everything.
    """
    if not 0 <= hits <= of:
        raise ValueError(f"{hits} hits of {of}")
    if of == 0:
        return 0.0, 1.0
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else _solve(lambda p: 1 - _at_most(hits - 1, of, p), tail)
    high = 1.0 if hits == of else _solve(lambda p: -_at_most(hits, of, p), -tail)
    return low, high


def _at_most(hits: int, of: int, share: float) -> float:
    """The probability of `hits` or fewer; by logarithms, so that hundreds of tries do not overflow."""
    if share <= 0:
        return 1.0
    if share >= 1:
        return 1.0 if hits >= of else 0.0
    logs = (
        math.lgamma(of + 1)
        - math.lgamma(k + 1)
        - math.lgamma(of - k + 1)
        + k * math.log(share)
        + (of - k) * math.log1p(-share)
        for k in range(hits + 1)
    )
    return min(1.0, math.fsum(math.exp(log) for log in logs))


def _solve(rising: Callable[[float], float], wanted: float) -> float:
    """Where a rising function of a share reaches `wanted`, by halving (2^-60 is beyond what floats tell apart)."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if rising(middle) < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2

"""Every after-effect of every profile lasts as long as its source says: blocked a second before, free a second after.

For each parameter that says how long a rule goes on (`Rule.lasting`), crafted packets set it off, and a follow-up that
would be harmless by itself meets it at T - 1 s and does not at T + 1 s of lab time. A control beside it, which differs
only in what the residual is keyed by, must stay free throughout. Whether a hit begins the time again is tested both
ways. A zero means that nothing follows. Variants that change a time are tested too, and so are hours of the day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from rozaneh.lab import profiles, worlds
from rozaneh.lab.codec import hellobuild
from rozaneh.lab.profiles import Profile, Rule
from rozaneh.lab.profiles.model import Change
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.verify._drivers import DRIVERS, OPEN, Driver
from rozaneh.lab.verify._talk import Talk, Version, certain, disturbed, world_of
from rozaneh.lab.verify.base import Check


@dataclass(frozen=True, slots=True)
class Timer:
    """One after-effect of a profile as configured."""

    profile: Profile
    rule: Rule
    config: RuleConfig
    name: str
    variant: str = ""

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return float(self.config.params[self.name])

    @property
    def title(self) -> str:
        """What it is called in a report."""
        variant = f" ({self.variant})" if self.variant else ""
        return f"{self.profile.id}{variant} {self.rule.id} {self.name} = {self.seconds:g} s"


def timers() -> Iterator[Timer]:
    """Every after-effect of every profile and of its variants that change one."""
    world = worlds.load("country")
    for name in profiles.names():
        profile = profiles.load(name)
        yield from _timers(profile, profiles.rules_for(profile, world))
        for cell in profile.cells:
            configs = profiles.rules_for(profile, world, cell.name)
            yield from _timers(profile, configs, cell)
        for variant in profile.variants:
            configs = profiles.rules_for(profile, world, variant=variant.name)
            yield from _timers(profile, configs, variant)


def _timers(profile: Profile, configs: Sequence[RuleConfig], change: Change | None = None) -> Iterator[Timer]:
    """The after-effects of rules as configured; under a change only those it touches."""
    for config in configs:
        rule = profile.rule(config.id)
        for name in rule.lasting():
            touched = change is None or rule.id in change.rules_on or f"{rule.id}.{name}" in change.set_
            # A residual of zero is a statement too; other zeroes only switch something off.
            if touched and (config.params[name] or ("residual" in name and rule.enabled)):
                yield Timer(profile, rule, config, name, change.name if change else "")


def checks(seed: int) -> Iterator[Check]:
    """Each timer over IPv4 and IPv6, and each schedule."""
    for timer in timers():
        yield _check(timer, seed)
    yield from _schedules(seed)


def _check(timer: Timer, seed: int) -> Check:
    driver = DRIVERS.get((timer.config.kind, timer.name))
    source = timer.rule.parameter(timer.name).source
    if driver is None:
        return Check(timer.title, source, "a way to set it off", f"none for kind {timer.config.kind}", ok=False)
    versions: tuple[Version, ...] = (4, 6) if not timer.config.version else (timer.config.version,)
    if not timer.seconds:
        expected = "free at once"
        met = [_nothing_follows(timer, driver, seed, version) for version in versions]
    else:
        restarts = _made(timer, driver, seed, 4).restarts
        expected = f"blocked at T-1 s, free at T+1 s, control free, a hit {'renews' if restarts else 'does not renew'}"
        met = [_measure(timer, driver, seed, version) for version in versions]
    measured = " / ".join(dict.fromkeys(met))
    return Check(timer.title, source, expected, measured, ok=measured == expected, n=len(met))


def _made(timer: Timer, driver: type[Driver], seed: int, version: Version) -> Driver:
    world = world_of(timer.config, worlds.load("country"), version)
    config = certain(timer.config)
    return driver(Talk(world, [config], seed=seed, version=version), config)


def _nothing_follows(timer: Timer, driver: type[Driver], seed: int, version: Version) -> str:
    made = _made(timer, driver, seed, version)
    made.provoke()
    if not made.talk.acted:
        return "never set off"
    return "blocked at once" if made.again() else "free at once"


def _measure(timer: Timer, driver: type[Driver], seed: int, version: Version) -> str:
    """What happens around the end of one after-effect, in words."""
    seconds = timer.seconds

    def after(*jumps: float, ask: Callable[[Driver], bool]) -> bool:
        """Whether the last of several follow-ups is blocked; `jumps` lie before each."""
        made = _made(timer, driver, seed, version)
        made.provoke()
        met = False
        for jump in jumps:
            made.talk.lab.jump(jump)
            met = ask(made)
        return met

    before = after(seconds - 1, ask=lambda made: made.again())
    behind = after(seconds + 1, ask=lambda made: made.again())
    control = after(seconds - 1, ask=lambda made: made.control())
    renewed = after(seconds - 1, 2.0, ask=lambda made: made.again())
    ends = not renewed or not after(seconds - 1, 2.0, seconds + 1, ask=lambda made: made.again())
    words = [
        f"{'blocked' if before else 'free'} at T-1 s",
        f"{'blocked' if behind else 'free'} at T+1 s",
        f"control {'blocked' if control else 'free'}",
        f"a hit {'renews' if renewed else 'does not renew'}",
    ]
    return ", ".join(words) + ("" if ends else ", without end")


def _schedules(seed: int) -> Iterator[Check]:
    """Rules with hours: free a second before each span, blocked a second into it, and the same at its end."""
    world = worlds.load("country")
    for name in profiles.names():
        profile = profiles.load(name)
        for config in profiles.rules_for(profile, world):
            for begin, end in config.hours:
                expected, measured = "free, blocked, blocked, free", []
                seen = world_of(config, world, 4)
                for hour, seconds in ((begin, -1), (begin, 1), (end, -1), (end, 1)):
                    clock = (hour + seconds / 3_600) % 24
                    talk = Talk(seen, [msgspec.structs.replace(config)], seed=seed, time_of_day=clock)
                    met = talk.ask(talk.connection(talk.at("hosting-clean")), hellobuild.chrome(OPEN))
                    measured.append("blocked" if disturbed(met) else "free")
                words = ", ".join(measured)
                title = f"{profile.id} {config.id} from {begin:g} to {end:g} h, a second before and after each end"
                yield Check(title, profile.rule(config.id).source, expected, words, ok=words == expected, n=4)

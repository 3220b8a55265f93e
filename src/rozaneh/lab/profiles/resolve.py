"""From a profile to what a router and a world are given: names and labels become lists, cells and overrides apply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from rozaneh.lab.fragments import FragmentPolicy
from rozaneh.lab.links import LinkModel
from rozaneh.lab.profiles.model import (
    NAMES,
    Change,
    Control,
    Controls,
    Profile,
    ProfileError,
    Rule,
    is_parameter,
)
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.worlds import End, World, WorldError


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a profile (in one of its cells) asks of the world around its rules."""

    segment: str
    sysctl: dict[str, str]
    ipv6: str
    time_of_day: float
    link_in: LinkModel | None
    link_out: LinkModel | None
    fragments: FragmentPolicy | None
    controls: Controls


def rules_for(
    profile: Profile,
    world: World,
    cell: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    variant: str | None = None,
) -> list[RuleConfig]:
    """The router's rules of `profile` in `world`, in order.

    `overrides` maps `RULE.parameter` to a value inside the range or choices the profile states; `cell` and `variant`
    name one of the profile's own. `ProfileError` says what does not fit.
    """
    changes: list[Change] = [profile.variant(variant)] if variant else []
    changes += [profile.cell(cell)] if cell else []
    changed: dict[str, Any] = {}
    for change in changes:
        changed.update(change.set_)
    for key, value in (overrides or {}).items():
        changed[key] = _allowed(profile, key, value)
    active = active_rules(profile, *changes)
    return [_config(rule, profile, world, changed) for rule in active]


def active_rules(profile: Profile, *changes: Change) -> list[Rule]:
    """The rules that are in force under `changes`, in the profile's order."""
    on = {rule.id for rule in profile.rules if rule.enabled}
    for change in changes:
        on = (on | set(change.rules_on)) - set(change.rules_off)
    return [rule for rule in profile.rules if rule.id in on]


def world_changes(profile: Profile, cell: str | None = None) -> Conditions:
    """What the world must be like for the profile's verdicts to hold."""
    found = profile.cell(cell) if cell else None
    links = (found.links if found else None) or profile.links
    return Conditions(
        segment=(found.segment if found else "") or profile.placement.segment,
        sysctl={**profile.sysctl, **(found.sysctl if found else {})},
        ipv6=profile.ipv6,
        time_of_day=found.hours_at if found and found.hours_at is not None else profile.time_of_day,
        link_in=links.in_.model if links and links.in_ else None,
        link_out=links.out.model if links and links.out else None,
        fragments=profile.fragments.policy if profile.fragments else None,
        controls=(found.controls if found else None) or profile.controls,
    )


def world_for(profile: Profile, world: World, cell: str | None = None) -> World:
    """`world` as this profile needs it: the reader's access network, kernels' settings, IPv6 or none."""
    changes = world_changes(profile, cell)
    if world.segments:
        world = world.seen_from(changes.segment)
    if changes.sysctl:
        nodes = tuple(
            msgspec.structs.replace(node, sysctl={**node.sysctl, **changes.sysctl}) if node.kind == "host" else node
            for node in world.nodes
        )
        world = msgspec.structs.replace(world, nodes=nodes)
    return without_ipv6(world) if changes.ipv6 == "absent" else world


def without_ipv6(world: World) -> World:
    """The same world with no IPv6 address anywhere."""

    def four(addresses: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(address for address in addresses if ":" not in address)

    def end(old: End) -> End:
        return msgspec.structs.replace(old, addresses=four(old.addresses))

    links = tuple(msgspec.structs.replace(link, ends=(end(link.ends[0]), end(link.ends[1]))) for link in world.links)
    sites = tuple(msgspec.structs.replace(site, addresses=four(site.addresses)) for site in world.sites)
    return msgspec.structs.replace(world, links=links, sites=sites)


def control_site(control: Control, world: World) -> str:
    """The address of a control's site in `world`; `ProfileError` when there is no such site."""
    for site in world.sites:
        if site.name == control.site:
            return site.addresses[0]
    raise ProfileError(f"there is no site {control.site!r} in world {world.name!r}")


def _config(rule: Rule, profile: Profile, world: World, changed: Mapping[str, Any]) -> RuleConfig:
    params: dict[str, Any] = {}
    for name, parameter in rule.parameters().items():
        value = changed.get(f"{rule.id}.{name}", parameter.value)
        params[name] = expand(value, profile, world, f"rule {rule.id!r}, parameter {name!r}")
    wanted: dict[str, Any] = {"kind": rule.kind, "id": rule.id, "params": params}
    for gate in ("outside", "outside_not", "inside", "inside_not"):
        labels: tuple[str, ...] = getattr(rule, gate)
        if labels:
            wanted[gate] = tuple(expand(list(labels), profile, world, f"rule {rule.id!r}, {gate}"))
    if rule.share is not None:
        wanted["share"] = float(changed.get(f"{rule.id}.share", rule.share.value))
        wanted["share_by"] = rule.share_by
    if rule.on_path:
        wanted["on_path"] = True
    if rule.hours:
        wanted["hours"] = rule.hours
    return RuleConfig(**wanted, since=rule.since, until=rule.until, version=rule.version)


def expand(value: Any, profile: Profile, world: World, place: str) -> Any:  # noqa: ANN401 - whatever TOML holds
    """`value` with `@names.LIST` replaced by the profile's names and `@LABEL` by the world's prefixes.

    Inside a list a reference adds its members, so that lists and single entries mix.
    """
    if isinstance(value, str) and value.startswith("@"):
        return _refer(value, profile, world, place)
    if isinstance(value, list | tuple):
        members: list[Any] = []
        for member in value:
            if isinstance(member, str) and member.startswith("@"):
                members += _refer(member, profile, world, place)
            else:
                members.append(expand(member, profile, world, place))
        return members
    if is_parameter(value):
        return expand(value["value"], profile, world, place)
    if isinstance(value, dict):
        return {key: expand(member, profile, world, place) for key, member in value.items()}
    return value


def _refer(reference: str, profile: Profile, world: World, place: str) -> list[str]:
    if reference.startswith(NAMES):
        name = reference.removeprefix(NAMES)
        if name not in profile.names:
            there = ", ".join(profile.names) or "none"
            raise ProfileError(f"{place}: profile {profile.id!r} has no list of names {name!r}; it has: {there}")
        return list(profile.names[name])
    try:
        return list(world.prefixes(reference.removeprefix("@")))
    except WorldError as error:
        raise ProfileError(f"{place}: {error}") from error


def _allowed(profile: Profile, key: str, value: Any) -> Any:  # noqa: ANN401 - whatever a command line gave
    """An override's value, if the profile leaves it open."""
    rule_id, _, name = key.partition(".")
    rule = profile.rule(rule_id)
    if name == "share" and rule.share is not None:
        parameter = rule.share
    elif name in rule.params:
        parameter = rule.parameter(name)
    else:
        raise ProfileError(f"rule {rule_id!r} has no parameter {name!r}; it has: {', '.join(rule.params) or 'none'}")
    if parameter.choices and value not in parameter.choices:
        raise ProfileError(f"{key} must be one of {', '.join(map(str, parameter.choices))}, not {value!r}")
    if parameter.range is not None:
        low, high = parameter.range
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise ProfileError(f"{key} must lie between {low:g} and {high:g}, not {value!r}")
    return value

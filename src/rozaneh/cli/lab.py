"""``rozaneh lab``: a network with a censor in the middle, in throwaway namespaces on this machine.

Here are the commands that show what there is and open a world; ``lab_run`` measures, ``lab_judge`` judges and
probes, ``lab_tell`` tries to tell edges from their covers.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rozaneh.cli.lab_browser import browser
from rozaneh.cli.lab_carriers import carriers
from rozaneh.cli.lab_common import faults
from rozaneh.cli.lab_judge import judge, probe, verify
from rozaneh.cli.lab_run import run
from rozaneh.cli.lab_tell import replays, tell
from rozaneh.cli.options import command_output
from rozaneh.cli.output import Output
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.settings import EDGE_WAYS

if TYPE_CHECKING:
    from rozaneh.lab.profiles.explanation import ParameterRow, RuleRow

LIST_SCHEMA = "rozaneh.lab.list/1"
EXPLAIN_SCHEMA = "rozaneh.lab.explain/1"


@click.group()
def lab() -> None:
    """Try what a censor would do, in a world of your own."""


lab.add_command(run)
lab.add_command(judge)
lab.add_command(probe)
lab.add_command(verify)
lab.add_command(tell)
lab.add_command(replays)
lab.add_command(browser)
lab.add_command(carriers)


@lab.command(name="list")
@command_output
def list_(output: Output) -> None:
    """Show the worlds, censors, profiles, scenarios, subjects and judges there are.

    Example: rozaneh lab list
    """
    with faults():
        content = _everything()
    rows = [
        (kind[:-1], str(entry["name"]), " ".join(str(entry[key]) for key in ("summary", "note") if entry.get(key)))
        for kind, entries in content.items()
        for entry in entries
    ]
    output.table(("kind", "name", "what it is"), rows)
    for entries in content.values():
        for entry in entries:
            entry.pop("note", None)
    output.answer(LIST_SCHEMA, content)


def _everything() -> dict[str, list[dict[str, Any]]]:
    """What `list` shows, by kind; `note` is for people alone."""
    from rozaneh.lab import censors, judges, profiles, scenarios, subjects, worlds
    from rozaneh.lab.subjects import programs

    content: dict[str, list[dict[str, Any]]] = {
        "worlds": [{"name": name, "summary": worlds.load(name).summary} for name in worlds.names()],
        "censors": [{"name": kind, "summary": censors.summary(kind)} for kind in censors.kinds()],
        "profiles": [],
        "scenarios": [{"name": name, "summary": scenarios.load(name).summary} for name in scenarios.names()],
        "subjects": [],
        "judges": [{"name": name, "summary": judges.about(name)} for name in judges.names()],
    }
    for name in profiles.names():
        profile = profiles.load(name)
        content["profiles"].append(
            {
                "name": name,
                "summary": profile.summary,
                "version": profile.version,
                "grades": dict(profile.grades),
                "note": f"(version {profile.version}; {profile.grade_summary})",
            }
        )
    for name in subjects.names():
        subject = subjects.load(name)
        why = programs.missing(subject)
        content["subjects"].append(
            {
                "name": name,
                "summary": subject.summary,
                "kind": subject.kind,
                "missing": why,
                "note": f"({why})" if why else "",
            }
        )
    return content


@lab.command()
@click.argument("profile")
@click.argument("rule", required=False)
@command_output
def explain(output: Output, profile: str, rule: str | None) -> None:
    """Say what a profile does, parameter by parameter, with source and grade.

    RULE is a rule's id or a catalogue entry, for that one alone.

    Example: rozaneh lab explain cn-2023 CN-05
    """
    with faults():
        import msgspec

        from rozaneh.lab import profiles
        from rozaneh.lab.profiles import explanation

        found = explanation.explain(profiles.load(profile), rule)
    if rule is None:
        output.data(f"{found.profile}, version {found.version}: {found.summary}")
        facts = [*found.placement, ("ipv6", found.ipv6), ("grades", found.grades)]
        facts += [(f"control {name}", text) for name, text in found.controls]
        for word, changes in (("cell", found.cells), ("variant", found.variants)):
            for change in changes:
                told = "; ".join(f"{name} {value}".strip() for name, value in change.changes)
                rests = f" [{change.grade}: {change.source}]" if change.grade else ""
                facts.append((f"{word} {change.name}", f"{change.about}{f' ({told})' if told else ''}{rests}"))
        _pairs(output, facts)
    for row in found.rules:
        output.data("")
        _rule(output, row)
    if rule is None:
        output.data("")
        _pairs(output, [(f"grade {grade}", meaning) for grade, meaning in profiles.GRADES.items()])
    output.answer(EXPLAIN_SCHEMA, msgspec.to_builtins(found))


def _rule(output: Output, row: RuleRow) -> None:
    output.data(f"{row.id} ({row.kind}) [{row.grade}: {row.source}]")
    output.data(f"  {row.about}")
    if row.gates:
        _pairs(output, row.gates)
    stated = [parameter for parameter in row.parameters if parameter.stated]
    others = [parameter for parameter in row.parameters if not parameter.stated]
    for parameter in stated:
        _parameter(output, parameter)
    if others:
        _pairs(output, [("defaults", "; ".join(f"{one.name} = {one.value}" for one in others))])


def _parameter(output: Output, parameter: ParameterRow) -> None:
    limits = f" (may be {parameter.range})" if parameter.range else ""
    output.data(f"  {parameter.name} = {parameter.value}{limits} [{parameter.grade}: {parameter.source}]")
    for text in (parameter.meaning, parameter.note):
        if text:
            output.data(f"      {text}")


def _pairs(output: Output, pairs: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> None:
    width = max(len(name) for name, _ in pairs)
    for name, text in pairs:
        output.data(f"  {name.ljust(width)}  {text}")


@lab.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo/out"),
    show_default=True,
    metavar="DIR",
    help="Where screenshots, captures and the summary go.",
)
@click.option(
    "--way", type=click.Choice(EDGE_WAYS), default=EDGE_WAYS[0], show_default=True, help="How the edge is reached."
)
@command_output
def demo(output: Output, out: Path, way: str) -> None:
    """Show four blocked pages, then open them through an edge.

    Example: rozaneh lab demo --out demo/out
    """
    with faults():
        from rozaneh.lab import demo as show

        summary = show.run(out, output.note, way=way)
    output.note("")
    output.table(("page", "directly", "through the edge"), [_row(page) for page in summary["pages"]])
    output.note(f"Screenshots, captures and summary: `{out}`")
    # A person's run ends with the same object that `--json` gives alone.
    output.data(json.dumps(summary))
    output.answer(show.SCHEMA, {key: value for key, value in summary.items() if key != "schema"})
    if not show.good(summary):
        missing = ", ".join(key for key in show.PROMISES if summary[key] is not True)
        raise Fault(FaultKind.FAILED, "The demo did not show what it promises", why=missing)


def _row(page: dict[str, Any]) -> tuple[str, str, str]:
    direct, edge = page["direct"], page["edge"]
    shown = "opened" if edge["verdict"] == "works" else f"{edge['verdict']}: {edge['error'] or edge['status']}"
    return page["url"], direct["met"] if direct["verdict"] == "blocked" else direct["verdict"], shown


@lab.command()
@click.argument("world")
@click.option(
    "--at",
    default="reader",
    show_default=True,
    metavar="NODE",
    help="`reader`, `provider` (where the censor stands), `internet`, `edge`, or a node's name.",
)
@click.option("--profile", metavar="P", help="Whose rules stand in the way; none by default.")
@click.option("--scenario", metavar="NAME", help="The same with a scenario's rules.")
@click.option("--run", "command", metavar="COMMAND", help="Run this in the shell instead of talking to it.")
@command_output
def shell(output: Output, world: str, at: str, profile: str | None, scenario: str | None, command: str | None) -> None:
    """Open a shell inside a world, to try anything.

    Its internet answers under an authority of its own, whose certificate is in `$LAB_CA` (curl uses it). What the
    rules do is written to `$LAB_ACTS`, one JSON object a line.

    Example: rozaneh lab shell country --profile cn-2023 --run 'curl -sS https://blocked-news.example'
    """
    if output.json_mode:
        raise Fault(FaultKind.USAGE, "A shell has no JSON form", hint="leave `--json` out")
    if profile and scenario:
        raise Fault(FaultKind.USAGE, "A profile and a scenario cannot stand in the way both", hint="name one")
    program = os.environ.get("SHELL", "/bin/sh") if command is None else "/bin/sh"
    argv = [program] if command is None else [program, "-c", command]
    with faults():
        from rozaneh.lab import shell as inside

        code = inside.run(world, at, argv, scenario=scenario, profile=profile)
    click.get_current_context().exit(code if 0 <= code < 256 else FaultKind.FAILED.exit_code)

"""``rozaneh bench``: what the data plane costs, beside other programs, on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rozaneh.cli.options import command_output
from rozaneh.cli.output import Output


@click.group()
def bench() -> None:
    """Measure speed and cost beside other programs."""


@bench.command()
@click.argument("case", required=False)
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True, help="Turns of every subject.")
@click.option("--seconds", type=click.FloatRange(0.01, 60), default=2.0, show_default=True, help="Length of a load.")
@click.option("--subject", "subjects", multiple=True, metavar="NAME", help="Measure only this one; may be repeated.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write `bench.json` there too."
)
@click.option(
    "--tools",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where peers from PyPI are installed; `.tools` in the checkout if not given.",
)
@command_output
def run(
    output: Output,
    case: str | None,
    rounds: int,
    seconds: float,
    subjects: tuple[str, ...],
    out: Path | None,
    folder: Path | None,
) -> None:
    """Measure CASE (`bulk`, `tunnels` or `idle`; all without one), every subject in turn.

    Everything runs in a network namespace without a route, on cubic; where cubic is not to be had nothing is compared.

    Example: rozaneh bench run bulk --rounds 5
    """
    from rozaneh.bench import generator, report
    from rozaneh.bench import run as work
    from rozaneh.bench.plan import Tools
    from rozaneh.bench.subjects import SUBJECTS

    cases = [case] if case else []
    machine = report.machine()
    place = folder or (generator.checkout() or Path.cwd()) / ".tools"
    work.plan(cases, subjects, Tools(python="", load=""))
    found = work.tools(subjects or list(SUBJECTS), place, output.note)
    plan = work.plan(cases, subjects, found, rounds=rounds, seconds=seconds)
    measurements = work.measure(plan, output.note)
    content = report.content(plan, machine, measurements)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        document = json.dumps({"schema": report.SCHEMA, **content}, indent=2)
        (out / "bench.json").write_text(document + "\n", encoding="utf-8")
    for head, rows in report.tables(plan, measurements):
        output.table(head, rows)
        output.data("")
    output.table(*report.requirement_table(plan, measurements))
    output.note("CPU-s/GB is client + edge. Medians of all rounds; ratios are medians of each round's own ratio.")
    output.answer(report.SCHEMA, content)


@bench.command()
@click.option("--rounds", type=click.IntRange(1, 1000), default=20, show_default=True, help="Turns of each of the two.")
@click.option(
    "--megabytes", type=click.IntRange(1, 10_000), default=64, show_default=True, help="Data of a turn, each suite."
)
@click.option(
    "--handshakes", type=click.IntRange(1, 100_000), default=200, show_default=True, help="Of a turn, each group."
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the JSON there too."
)
@command_output
def tls(output: Output, rounds: int, megabytes: int, handshakes: int, out: Path | None) -> None:
    """Measure own TLS beside rustls: record layer and handshakes, CPU time, in turns in one process.

    Example: rozaneh bench tls --rounds 40
    """
    from rozaneh.bench import report
    from rozaneh.bench import tls as work

    job = work.Job(rounds, megabytes, handshakes)
    machine = report.machine()
    figures = work.measure(work.find(), job)
    content = work.content(job, machine, figures)
    if out is not None:
        document = json.dumps({"schema": work.SCHEMA, **content}, indent=2)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(document + "\n", encoding="utf-8")
    for head, rows in work.tables(figures):
        output.table(head, rows)
        output.data("")
    output.note("CPU time of one thread. Medians of all rounds; ratios are medians of each round's own ratio.")
    output.answer(work.SCHEMA, content)

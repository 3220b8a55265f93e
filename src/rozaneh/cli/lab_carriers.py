"""``rozaneh lab carriers``: what nDPI flags of our ways' carriers, beside known tunnels and plain browsing."""

from __future__ import annotations

import datetime
import json
import tempfile
import time
from pathlib import Path

import click

from rozaneh.cli.lab_common import faults, machine
from rozaneh.cli.options import command_output
from rozaneh.cli.output import Output
from rozaneh.core.errors import Fault, FaultKind


@click.command()
@click.option(
    "--carriers",
    type=click.IntRange(1, 100_000),
    default=500,
    show_default=True,
    metavar="N",
    help="Carriers of each way.",
)
@click.option("--subject", "subjects", metavar="S[,S]", help="Other subjects than our ways; see `rozaneh lab list`.")
@click.option(
    "--controls",
    type=click.IntRange(1, 100_000),
    default=40,
    show_default=True,
    metavar="N",
    help="Carriers of each known tunnel, and of plain browsing.",
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, metavar="K")
@click.option("--captures", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Keep captures here.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.md",
    help="Write the table there, and its numbers to FILE.json.",
)
@command_output
def carriers(
    output: Output,
    carriers: int,
    subjects: str | None,
    controls: int,
    seed: int,
    captures: Path | None,
    out: Path | None,
) -> None:
    """Have nDPI 5 look for tunnels in carriers of ours.

    Every carrier is a fresh client's, with pages of two sites fetched through it. Known tunnels must be flagged in the
    same run, and plain browsing is judged beside them.

    Example: rozaneh lab carriers --carriers 40
    """
    with faults():
        from rozaneh.lab import judges
        from rozaneh.lab.carriers import judged, plan, table
        from rozaneh.lab.carriers.play import PlayError

        why = judges.missing(judged.DECIDES)
        if why:
            raise Fault(FaultKind.UNSUPPORTED, "The judge cannot be asked here", why=why)
        ways = [name.strip() for name in subjects.split(",")] if subjects else list(plan.WAYS)
        counts = dict.fromkeys(ways, carriers) | dict.fromkeys((*plan.CONTROLS, plan.DIRECT), controls)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="carriers-") as folder:
            try:
                rows = judged.run(counts, captures or Path(folder), output.note, seed=seed)
            except PlayError as error:
                raise Fault(FaultKind.FAILED, "A carrier did not carry", why=str(error)) from error
        seconds = time.monotonic() - began
        content = table.content(rows, machine(), seconds)
    output.table(tuple(table.heads(rows)), [tuple(table.cells(row)) for row in rows])
    if out:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        command = f"rozaneh lab carriers --carriers {carriers} --controls {controls}"
        text = table.markdown(rows, machine(), seconds, day=today, command=command)
        out.write_text(text, encoding="utf-8")
        numbers = json.dumps({"schema": table.SCHEMA, **content}, indent=1)
        out.with_suffix(".json").write_text(numbers + "\n", encoding="utf-8")
        output.done(f"Written to `{out}`")
    output.answer(table.SCHEMA, content)
    if content["missed"]:
        raise Fault(FaultKind.FAILED, "The run does not show what it must", why="; ".join(content["missed"]))

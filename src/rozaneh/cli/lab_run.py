"""``rozaneh lab run``: subjects behind censors, measured; or a scenario's pages."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rozaneh.cli.lab_common import faults
from rozaneh.cli.options import command_output
from rozaneh.cli.output import Output
from rozaneh.core.errors import Fault, FaultKind

if TYPE_CHECKING:
    from rozaneh.lab.reportjson import Report

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("scenario", required=False)
@click.option(
    "--profile",
    "profiles",
    metavar="P[,P]|all",
    help="Censors; `none` is none, `judge` has the judges look at traffic.",
)
@click.option("--subject", "subjects", metavar="S[,S]|all", help="Tools to try; a name, or the file of your own.")
@click.option(
    "--censor",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE.py",
    help="A censor of your own, in front of the profile's.",
)
@click.option("--server-at", metavar="LABEL", help="Where the tools' server stands, instead of where the profile says.")
@click.option("--trials", type=click.IntRange(1, 10_000), metavar="N", help="Trials of every cell.  [default: 20]")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), metavar="K", help="Of everything random.  [default: 0]")
@click.option("--set", "changes", metavar="RULE.PARAMETER=VALUE", multiple=True, help="Another value in its range.")
@click.option("--out", type=_FOLDER, metavar="DIR", help="Where the run goes.  [default: lab-out/TIME]")
@click.option("--resume", type=_FOLDER, metavar="DIR", help="Go on with the run in DIR, as it was asked for.")
@click.option(
    "--jobs", type=click.IntRange(1, 256), metavar="N", help="Cells at once.  [default: twice the processors]"
)
@command_output
def run(
    output: Output,
    scenario: str | None,
    profiles: str | None,
    subjects: str | None,
    censor: Path | None,
    server_at: str | None,
    trials: int | None,
    seed: int | None,
    changes: tuple[str, ...],
    out: Path | None,
    resume: Path | None,
    jobs: int | None,
) -> None:
    """Measure which tools get through which censors; or open the pages of SCENARIO.

    Every tool is tried 20 times, restarted each time; three failures from the start are enough. The report is printed
    with `--json`; `index.html` in the run's folder is for reading.

    Example: rozaneh lab run --profile cn-2023,ru-2022 --subject curl,trojan
    """
    asked = {
        "profiles": profiles,
        "subjects": subjects,
        "censor": censor,
        "server_at": server_at,
        "trials": trials,
        "seed": seed,
        "changes": changes or None,
    }
    given = [name for name, value in asked.items() if value is not None]
    if scenario is not None:
        if given or resume:
            raise Fault(FaultKind.USAGE, "A scenario says itself what is tried", hint="leave the other options out")
        _scenario(output, scenario, out or _fresh())
        return
    if resume is not None:
        if given or out:
            raise Fault(
                FaultKind.USAGE, "`--resume` goes on as the run was asked for", hint="leave the other options out"
            )
        _measure(output, None, resume, jobs)
        return
    _measure(output, asked, out or _fresh(), jobs)


def _fresh() -> Path:
    return Path("lab-out") / time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime())


def _measure(output: Output, wanted: dict[str, Any] | None, folder: Path, workers: int | None) -> None:
    with faults():
        from rozaneh.lab import matrix, reportjson
        from rozaneh.lab.report import page

        if wanted is None:
            asked = matrix.kept(folder)
            planned = matrix.jobs(asked)
        else:
            asked = matrix.ask(**wanted)
            planned = matrix.jobs(asked)
            matrix.keep(asked, folder)
        output.note(f"The run's folder: `{folder}`")
        try:
            results = matrix.run(planned, folder, workers or 2 * (os.cpu_count() or 1), output.note)
        except KeyboardInterrupt:
            output.hint(f"`rozaneh lab run --resume {folder}` goes on")
            raise
        found = reportjson.build(asked, matrix.versions(asked), planned, results)
        reportjson.save(found, folder)
        index = page.save(found, folder)
    report = reportjson.report(found)
    _show(output, report)
    output.note(f"The page: `{index}`")
    output.answer(reportjson.SCHEMA, reportjson.content(report))
    bad = [cell for cell in report.cells if cell.verdict in ("error", "lab_invalid")]
    if bad:
        why = f"{len(bad)} of {len(report.cells)} cells are `error` or `lab_invalid`: {bad[0].cause}"
        raise Fault(
            FaultKind.FAILED,
            "The lab did not measure everything",
            why=why,
            hint=f"the page shows them; `rozaneh lab run --resume {folder}` tries them again",
        )


def _show(output: Output, report: Report) -> None:
    """The cells, and the judges where there are any, as tables."""
    if report.cells:
        rows = [
            (
                cell.profile,
                cell.subject,
                cell.placement,
                cell.verdict,
                f"{cell.bytes_ok}/{cell.trials}",
                "-" if cell.p50_s is None else f"{cell.p50_s:.2f}",
                cell.cause,
            )
            for cell in report.cells
        ]
        output.table(("profile", "subject", "placement", "verdict", "whole", "p50 s", "cause"), rows)
    if report.judges:
        output.data("")
        judged = [(row.judge, row.subject, f"{row.flagged} of {row.of}") for row in report.judges]
        output.table(("judge", "subject", "flows flagged"), judged)


def _scenario(output: Output, name: str, folder: Path) -> None:
    with faults():
        from rozaneh.lab import demo, reportjson, scenarios, worlds
        from rozaneh.lab.report import page

        scenario = scenarios.load(name)
        world = worlds.load(scenario.world)
        placement = " > ".join(world.node(node).label for node in (world.reader, world.edge))
        summary = demo.run(folder, output.note, name)
        acts = [json.loads(line) for line in (folder / "acts.jsonl").read_text(encoding="utf-8").splitlines()]
        found = reportjson.of_scenario(summary, scenario, placement, acts)
        reportjson.save(found, folder)
        index = page.save(found, folder)
    report = reportjson.report(found)
    _show(output, report)
    output.note(f"The page: `{index}`; screenshots and captures are beside it")
    output.answer(reportjson.SCHEMA, reportjson.content(report))
    unexpected = demo.unexpected(summary, scenario)
    if unexpected:
        raise Fault(FaultKind.FAILED, "Not what the scenario expects", why="; ".join(unexpected))

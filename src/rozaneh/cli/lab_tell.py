"""``rozaneh lab tell`` and ``rozaneh lab replays``: what a prober can find out about edges, measured in namespaces."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rozaneh.cli.lab_common import faults
from rozaneh.cli.options import command_output
from rozaneh.cli.output import Output
from rozaneh.core.errors import Fault, FaultKind

_COVERS = ("nginx", "caddy", "go")
_WAYS = ("h2+reality", "h2+tls", "xray")


@click.command()
@click.option("--cover", "covers", metavar="C[,C]", default=",".join(_COVERS), show_default=True, help="Web servers.")
@click.option(
    "--way", "ways", metavar="W[,W]", default=",".join(_WAYS), show_default=True, help="Ways; xray is a peer."
)
@click.option("--small", is_flag=True, help="A ninth of the probes, against covers with little patience.")
@click.option("--rounds", type=click.IntRange(2, 20), metavar="N", help="How often everything is asked.  [default: 3]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="K", help="Of everything random.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Writes FILE.json and FILE.md.")
@command_output
def tell(output: Output, covers: str, ways: str, small: bool, rounds: int | None, seed: int, out: Path | None) -> None:
    """Try to tell edges from the bare web servers that are their covers.

    Takes a quarter of an hour; `--small` takes less than a minute. Fails when a server can be told that must not be, or
    when the controls are not as they must be.

    Example: rozaneh lab tell --cover nginx --way h2+reality --small
    """
    with faults():
        import dataclasses

        from rozaneh.lab.tell import edges, report, trial

        chosen = _chosen(covers, _COVERS, "cover")
        wanted = _chosen(ways, _WAYS, "way")
        for name in [*chosen]:
            if trial.missing(name):
                output.warn(f"{name} is left out: {trial.missing(name)}")
                chosen.remove(name)
        if "xray" in wanted and not edges.has_xray():
            output.warn("Xray is left out: it is not installed")
            wanted.remove("xray")
        if not chosen:
            raise Fault(FaultKind.UNSUPPORTED, "No cover can run here", hint="`apt-get install nginx-light`")
        size = trial.SMALL if small else trial.WHOLE
        if rounds:
            size = dataclasses.replace(size, rounds=rounds)
        outcome = trial.run(trial.sets(chosen, wanted), size, seed=seed, note=output.note)
    content = report.content(outcome, size, seed)
    rows = [
        (
            one.pair.about,
            one.pair.role,
            f"{one.afar.accuracy:.1%}",
            str(len(one.tells)),
            "yes" if one.as_it_must else "no",
            "; ".join(one.why_told()) or "cannot be told",
        )
        for one in outcome.told
    ]
    output.table(("servers", "role", "told right", "differ", "as it must", "why"), rows)
    if out:
        _write(out, content, report.markdown(content, _command("tell", covers, ways, small, rounds, seed)))
    bad = [one.pair.about for one in outcome.told if not one.as_it_must]
    output.answer(str(content.pop("schema")), content)
    if bad:
        raise Fault(FaultKind.FAILED, "Something is told that must not be, or the reverse", why="; ".join(bad))


@click.command()
@click.option("--way", "ways", metavar="W[,W]", default="h2+reality,h2+tls", show_default=True, help="Ways, and xray.")
@click.option("--count", type=click.IntRange(60), default=10_000, show_default=True, metavar="N", help="Replays a way.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="K", help="Of everything random.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Writes FILE.json and FILE.md.")
@command_output
def replays(output: Output, ways: str, count: int, seed: int, out: Path | None) -> None:
    """Send first flights of real clients again: at once, after restarts, at another edge, and 300 s later.

    Fails when a replay is accepted or answered otherwise than by the cover; xray is a peer that has no such filter.

    Example: rozaneh lab replays --way h2+reality --count 500
    """
    with faults():
        from rozaneh.lab.tell import replayreport
        from rozaneh.lab.tell import replays as experiment

        found = []
        for way in _chosen(ways, _WAYS, "way"):
            found.append(experiment.run(experiment.way(way), count, seed=seed, note=output.note))
    content = replayreport.content(found, seed)
    rows = [
        (one.way, phase.name, str(phase.sent), str(phase.accepted), str(len(phase.classes)), phase.reader)
        for one in found
        for phase in one.phases
    ]
    output.table(("way", "sent", "replays", "accepted", "kinds of answers", "a reader afterwards"), rows)
    for one in found:
        for name, why in one.skipped.items():
            output.warn(f"{one.way}: {name} was not tried: {why}")
    if out:
        command = f"rozaneh lab replays --way {ways} --count {count} --seed {seed}"
        _write(out, content, replayreport.markdown(content, command))
    bad = [one.way for one in found if one.way != "xray" and not one.as_it_must]
    output.answer(str(content.pop("schema")), content)
    if bad:
        raise Fault(
            FaultKind.FAILED, "A replay is told from the cover, or a reader does not get in", why=", ".join(bad)
        )


def _command(name: str, covers: str, ways: str, small: bool, rounds: int | None, seed: int) -> str:
    words = ["rozaneh lab", name, f"--cover {covers}", f"--way {ways}", *(["--small"] if small else [])]
    if rounds is not None:
        words.append(f"--rounds {rounds}")
    return " ".join([*words, f"--seed {seed}"])


def _chosen(text: str, known: tuple[str, ...], what: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise Fault(FaultKind.USAGE, f"There is no {what} {name!r}", hint=f"there are: {', '.join(known)}")
    return list(dict.fromkeys(names))


def _write(out: Path, content: dict[str, object], text: str) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_name(out.name + ".json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    out.with_name(out.name + ".md").write_text(text, "utf-8")

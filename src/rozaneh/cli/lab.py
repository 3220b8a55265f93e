"""``rozaneh lab``: a network with a censor in the middle, in throwaway namespaces on this machine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from rozaneh.cli.options import command_output
from rozaneh.cli.output import Output
from rozaneh.core.errors import Fault, FaultKind

LIST_SCHEMA = "rozaneh.lab.list/1"


@click.group()
def lab() -> None:
    """Try what a censor would do, in a world of your own."""


@contextmanager
def _faults() -> Iterator[None]:
    """The lab's own exceptions as faults a person can be told about."""
    if sys.platform != "linux":
        raise Fault(FaultKind.UNSUPPORTED, "The lab needs Linux", hint="run it in a virtual machine with Linux")
    from rozaneh.lab.browser.devtools import DevToolsError
    from rozaneh.lab.demo import DemoFailed
    from rozaneh.lab.isolate import Failed, LabUnavailable
    from rozaneh.lab.processes import NotReady
    from rozaneh.lab.scenarios import ScenarioError
    from rozaneh.lab.worlds import WorldError

    try:
        yield
    except LabUnavailable as error:
        hint = "in a checkout, `make demo` installs what the lab needs"
        raise Fault(FaultKind.UNSUPPORTED, str(error), hint=hint) from error
    except (ScenarioError, WorldError) as error:
        raise Fault(FaultKind.USAGE, str(error), hint="`rozaneh lab list` shows what there is") from error
    except (DemoFailed, NotReady, DevToolsError, Failed, TimeoutError, OSError) as error:
        raise Fault(FaultKind.FAILED, "The world did not do what it must", why=str(error)) from error


@lab.command(name="list")
@command_output
def list_(output: Output) -> None:
    """Show the worlds, censors and scenarios there are.

    Example: rozaneh lab list
    """
    from rozaneh.lab import censors, scenarios, worlds

    rows = [("world", name, worlds.load(name).summary) for name in worlds.names()]
    for kind, maker in sorted(censors.KINDS.items()):
        rows.append(("censor", kind, (sys.modules[maker.__module__].__doc__ or "").partition("\n")[0]))
    rows += [("scenario", name, scenarios.load(name).summary) for name in scenarios.names()]
    output.table(("kind", "name", "what it is"), rows)
    content: dict[str, list[dict[str, str]]] = {"worlds": [], "censors": [], "scenarios": []}
    for kind, name, summary in rows:
        content[f"{kind}s"].append({"name": name, "summary": summary})
    output.answer(LIST_SCHEMA, content)


@lab.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo/out"),
    show_default=True,
    metavar="DIR",
    help="Where screenshots, captures and the summary go.",
)
@command_output
def demo(output: Output, out: Path) -> None:
    """Show four blocked pages, then open them through an edge.

    Example: rozaneh lab demo --out demo/out
    """
    from rozaneh.lab import demo as show

    with _faults():
        summary = show.run(out, output.note)
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
@click.option("--at", default="reader", show_default=True, metavar="NODE", help="`reader`, `edge` or a node's name.")
@click.option("--scenario", metavar="NAME", help="Whose censor stands in the way; none by default.")
@click.option("--run", "command", metavar="COMMAND", help="Run this in the shell instead of talking to it.")
@command_output
def shell(output: Output, world: str, at: str, scenario: str | None, command: str | None) -> None:
    """Open a shell inside a world, to try anything.

    Its internet answers under an authority of its own, whose certificate is in `$LAB_CA` (curl uses it).

    Example: rozaneh lab shell newsstand --scenario four_blocks --run 'curl -sS https://harbour-post.example'
    """
    from rozaneh.lab import shell as inside

    if output.json_mode:
        raise Fault(FaultKind.USAGE, "A shell has no JSON form", hint="leave `--json` out")
    program = os.environ.get("SHELL", "/bin/sh") if command is None else "/bin/sh"
    argv = [program] if command is None else [program, "-c", command]
    with _faults():
        code = inside.run(world, at, argv, scenario)
    click.get_current_context().exit(code if 0 <= code < 256 else FaultKind.FAILED.exit_code)

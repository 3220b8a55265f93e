"""``rozaneh wipe``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rozaneh.cli.connect import reader_dir
from rozaneh.cli.options import command_output, dir_option
from rozaneh.cli.output import Output
from rozaneh.core.errors import Fault, FaultKind


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@dir_option(help="The directory to wipe (default: $XDG_STATE_HOME/rozaneh).")
@command_output
def wipe(output: Output, yes: bool, directory: Path | None) -> None:
    """Remove every trace from this device, listing it first.

    Files are overwritten and removed. SSDs and memory cards may keep old blocks that no program can reach.

    Example: rozaneh wipe --yes
    """
    from rozaneh.client.wipe import traces
    from rozaneh.client.wipe import wipe as remove

    where = reader_dir(directory)
    found = traces(where)
    for path in found:
        output.note(f"{path}")
    if found and not yes:
        if not sys.stdin.isatty():
            raise Fault(FaultKind.USAGE, "Nobody is there to be asked", hint="add `--yes` to remove what is listed")
        output.note(f"Remove these {len(found)} files for good? Type yes: ")
        if sys.stdin.readline().strip().lower() != "yes":
            raise Fault(FaultKind.FAILED, "Nothing was removed", hint="")
    left = remove(where)
    output.done(f"Removed {len(found)} files")
    output.answer("rozaneh.wipe/1", {"removed": [path.name for path in found], "left": left})
    if left:
        output.warn(f"`{where}` holds {len(left)} other things, which were left alone")

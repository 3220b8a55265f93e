"""``rozaneh``: the table of nouns, and what the bare name says.

Only click is imported here: a noun's module is loaded when its command runs, so ``--help`` answers at once on a small
machine.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import NamedTuple, cast

import click

from rozaneh import __version__


class Noun(NamedTuple):
    """Where a command lives and the line ``--help`` shows for it."""

    module: str
    attribute: str
    sentence: str


NOUNS: Mapping[str, Noun] = {
    "connect": Noun("rozaneh.cli.connect", "connect", "Open the way out with an invite, and keep it open."),
    "disconnect": Noun("rozaneh.cli.connect", "disconnect", "Close the way out that is open."),
    "doctor": Noun("rozaneh.cli.doctor", "doctor", "Find out what is wrong: this device, the network, or the edge."),
    "wipe": Noun("rozaneh.cli.wipe", "wipe", "Remove every trace from this device."),
    "edge": Noun("rozaneh.cli.edge", "edge", "Run an edge for others."),
    "invite": Noun("rozaneh.cli.invite", "invite", "Make, list and revoke invites."),
    "key": Noun("rozaneh.cli.key", "key", "Make, rotate and show keys that sign news."),
    "bundle": Noun("rozaneh.cli.bundle", "bundle", "News in one signed file, for reading without a network."),
    "lab": Noun("rozaneh.cli.lab", "lab", "Try what a censor would do, in a world of your own."),
    "bench": Noun("rozaneh.cli.bench", "bench", "Measure speed and cost beside other programs."),
}

FIVE_LINES = """\
Rozaneh opens blocked pages through an edge that somebody you trust runs for you.
You have an invite?    rozaneh connect            and paste it (nothing shows while you do)
It does not work?      rozaneh doctor             says where it stops
You have a server?     rozaneh edge init --help   makes it an edge for people you invite
Leave no trace?        rozaneh wipe               removes everything this program has kept"""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports them on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every noun, in the table's order."""
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a noun, imported now."""
        noun = NOUNS.get(cmd_name)
        if noun is None:
            return None
        command = getattr(importlib.import_module(noun.module), noun.attribute)
        return cast(click.Command, command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of nouns from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, noun.sentence) for name, noun in NOUNS.items()])


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rozaneh")
@click.pass_context
def cli(context: click.Context) -> None:
    """Blocked news stays readable."""
    if context.invoked_subcommand is None:
        click.echo(FIVE_LINES)


def main(arguments: list[str] | None = None) -> None:
    """The entry point: runs a command and ends the process with its exit code."""
    try:
        cli.main(args=arguments, prog_name="rozaneh")
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()

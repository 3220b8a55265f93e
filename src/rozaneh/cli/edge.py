"""``rozaneh edge``: make an edge, run it, look at it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rozaneh.cli.options import command_output, dir_option, from_flags, setting_option
from rozaneh.cli.output import Output, day

if TYPE_CHECKING:
    from rozaneh.edge.layout import EdgeSettings


@click.group()
def edge() -> None:
    """Run an edge for others."""


@edge.command()
@dir_option(required=True, help="A new or empty directory for everything the edge keeps.")
@setting_option("edge.listen", required=True)
@setting_option("edge.host", required=True)
@setting_option("edge.address")
@setting_option("edge.cert")
@setting_option("edge.key")
@setting_option("edge.cover")
@setting_option("edge.way")
@setting_option("edge.post_quantum")
@setting_option("edge.egress")
@setting_option("edge.allow")
@command_output
def init(output: Output, directory: Path, **flags: str | bool | tuple[str, ...] | None) -> None:
    """Make an edge.

    Example: rozaneh edge init --dir D --listen 0.0.0.0:443 --host news.example --address 203.0.113.5
    """
    from rozaneh.core.clock import SystemClock
    from rozaneh.edge.cover import settle
    from rozaneh.edge.init import init as make
    from rozaneh.edge.layout import make_settings
    from rozaneh.edge.neighbours import neighbours

    for name in ("cert", "key"):
        given = flags[name]
        if isinstance(given, str):
            flags[name] = str(Path(given).absolute())
    way = flags["way"]
    chosen = make_settings(from_flags(flags, "edge"))
    settings = settle(chosen, way if isinstance(way, str) else None, neighbours)
    made = make(directory.absolute(), settings, SystemClock())
    output.done(f"Made an edge in `{made.directory}`")
    output.note(f"Its issuer in words: {made.words}")
    output.note(f"Readers come by `{settings.way}`; strangers meet {_strangers_meet(settings)}")
    if settings.reality and settings.borrowed is None and settings.cert is None:
        output.warn(
            "That site shows a certificate of its own making, which is unusual: a web server with a real one, beside"
            " the edge or given with `--cover tls:HOST:PORT`, is the better cover"
        )
    if settings.is_local:
        output.warn("The address is not reachable from the internet: invites carry the mark `local`")
    if settings.allow:
        output.warn(f"Readers may reach ranges that are denied by default: {', '.join(settings.allow)}")
    output.hint(f"start it with `rozaneh edge up --dir {directory}`")
    output.answer(
        "rozaneh.edge.init/1",
        {
            "dir": str(made.directory),
            "listen": str(settings.listen),
            "address": str(settings.public),
            "host": settings.host,
            "issuer": made.words,
            "way": settings.way,
            "cover": settings.cover,
            "post_quantum": settings.post_quantum,
            "pin": made.pin,
            "local": settings.is_local,
            "allow": list(settings.allow),
        },
    )


@edge.command()
@dir_option(required=True, help="The edge's directory.")
@command_output
def up(output: Output, directory: Path) -> None:
    """Run the edge in the foreground; Ctrl-C or SIGTERM drains, a second one stops now.

    Example: rozaneh edge up --dir D
    """
    import asyncio

    from rozaneh.edge.runtime import EdgeRuntime, Ready

    def ready(at: Ready) -> None:
        output.data(f"Edge is up on {at.listen} for {at.host}")
        output.answer(
            "rozaneh.edge.up/1", {"state": "ready", "listen": at.listen, "host": at.host, "allow": list(at.allow)}
        )
        if at.invites == 0:
            output.hint(f"nobody can use it yet: `rozaneh invite new --dir {directory}`")

    where = directory.absolute()

    async def run() -> None:
        await EdgeRuntime(where, warn=output.warn).run(ready)

    asyncio.run(run())
    output.note("Edge is down")


@edge.command()
@dir_option(required=True, help="The edge's directory.")
@command_output
def status(output: Output, directory: Path) -> None:
    """Say how the edge is doing; small numbers of people show as `<5`.

    Example: rozaneh edge status --dir D --json
    """
    from rozaneh.core.clock import SystemClock
    from rozaneh.edge.status import SCHEMA
    from rozaneh.edge.status import status as look

    found = look(directory.absolute(), SystemClock())
    for key, value in found.items():
        if key != "schema":
            shown = day(value) if key == "roster_expires" else _show(value)
            output.data(f"{key.replace('_', ' '):26} {shown}")
    output.answer(SCHEMA, {key: value for key, value in found.items() if key != "schema"})


def _strangers_meet(settings: EdgeSettings) -> str:
    if settings.borrowed is not None:
        return f"the web server at {settings.borrowed}"
    return "a web server's stock page" if settings.cover is None else f"`{settings.cover}`"


def _show(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {count}" for key, count in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unknown" if value is None else str(value)

"""``rozaneh invite``: let people in, see who was let in, shut one out."""

from __future__ import annotations

from pathlib import Path

import click

from rozaneh.cli.options import command_output, dir_option, setting_option
from rozaneh.cli.output import Output, day


@click.group()
def invite() -> None:
    """Make, list and revoke invites."""


@invite.command()
@dir_option(required=True, help="The edge's directory.")
@setting_option("invite.for")
@setting_option("invite.expires")
@click.option("--qr", is_flag=True, help="Draw the link as a QR code on the terminal.")
@command_output
def new(output: Output, directory: Path, expires: str | None, qr: bool, **named: str | None) -> None:
    """Make an invite; its link is shown this once.

    Example: rozaneh invite new --dir D --for "aunt" --expires 30d
    """
    from rozaneh.core.clock import SystemClock
    from rozaneh.core.control import ask
    from rozaneh.core.settings import parse_duration
    from rozaneh.edge.accounts import create
    from rozaneh.edge.database import Database
    from rozaneh.edge.layout import load_settings

    directory = directory.absolute()
    settings = load_settings(directory)
    with Database(directory) as db:
        made = create(
            directory,
            settings,
            db,
            SystemClock(),
            note=named.get("for") or "",
            lifetime=parse_duration(expires) if expires else None,
        )
    running = ask(directory, "poke") is not None
    link = made.link.reveal()
    output.data(link)
    output.answer(
        "rozaneh.invite.new/1",
        {
            "id": made.account.id,
            "link": link,
            "issuer": made.words,
            "expires": made.account.expires,
            "local": settings.is_local,
        },
    )
    output.note(f"Created 1 invite: {made.account.id}")
    output.note(f"Its issuer in words, for whoever gets it: {made.words}")
    if settings.is_local:
        output.note("It carries the mark `local`: the edge is not at an address of the open internet")
    if qr:
        import segno

        segno.make(link, error="m", micro=False).terminal(out=output.err, border=2, compact=True)
    if not running:
        output.hint(f"the edge is not running: `rozaneh edge up --dir {directory}`")


@invite.command(name="list")
@dir_option(required=True, help="The edge's directory.")
@command_output
def list_(output: Output, directory: Path) -> None:
    """List the invites; their links cannot be shown again.

    Example: rozaneh invite list --dir D
    """
    from rozaneh.core.clock import SystemClock
    from rozaneh.edge.accounts import list_accounts
    from rozaneh.edge.database import Database
    from rozaneh.edge.layout import load_settings

    load_settings(directory.absolute())
    now = SystemClock().now()
    with Database(directory.absolute()) as db:
        accounts = list_accounts(db)
    output.table(
        ("ID", "STATE", "CREATED", "EXPIRES", "NOTE"),
        [(a.id, a.state(now), day(a.created), day(a.expires), a.note) for a in accounts],
    )
    output.answer(
        "rozaneh.invite.list/1",
        {
            "invites": [
                {
                    "id": a.id,
                    "state": a.state(now),
                    "created": a.created,
                    "expires": a.expires,
                    "revoked": a.revoked,
                    "note": a.note,
                }
                for a in accounts
            ]
        },
    )


@invite.command()
@dir_option(required=True, help="The edge's directory.")
@click.argument("identifier", metavar="ID")
@command_output
def revoke(output: Output, directory: Path, identifier: str) -> None:
    """Shut one invite out for good; its open tunnels are cut within a second.

    Example: rozaneh invite revoke --dir D inv_mfrggzdf
    """
    from rozaneh.core.clock import SystemClock
    from rozaneh.core.control import ask
    from rozaneh.edge.accounts import revoke as shut_out
    from rozaneh.edge.database import Database
    from rozaneh.edge.layout import load_settings

    directory = directory.absolute()
    load_settings(directory)
    with Database(directory) as db:
        changed = shut_out(db, SystemClock(), identifier)
    ask(directory, "poke")
    output.done(f"Revoked {identifier}" if changed else f"{identifier} was revoked before")
    output.answer("rozaneh.invite.revoke/1", {"id": identifier, "revoked": True, "changed": changed})

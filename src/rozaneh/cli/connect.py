"""``rozaneh connect`` and ``disconnect``."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rozaneh.cli.options import command_output, dir_option, setting_option
from rozaneh.cli.output import Output
from rozaneh.core.errors import Fault, FaultKind

if TYPE_CHECKING:
    from rozaneh.client.once import Target
    from rozaneh.client.runtime import Ready
    from rozaneh.fleet.invites import Invite

Flags = dict[str, str | bool | None]

_INVITE_LIMIT = 4096  # a link has 300 characters; more is not read, whatever is offered
_DISCONNECT_SECONDS = 15.0


def reader_dir(directory: Path | None) -> Path:
    """The reader's directory: the one given, or the platform's own."""
    from rozaneh.core.files import state_home

    return (directory or state_home()).absolute()


def read_invite(source: str | None, directory: Path, output: Output) -> Invite:
    """The invite from a file, from stdin, from the store, or asked for without echo.

    Raises:
        Fault: USAGE when there is none to be had; INTEGRITY, UNSUPPORTED or POLICY_DENIED when it is no good.
    """
    from rozaneh.client.memory import stored_invite
    from rozaneh.fleet.invites import SCHEME, decode

    if source is None:
        stored = stored_invite(directory) if directory.is_dir() else None
        if stored is not None:
            return stored
        if not sys.stdin.isatty():
            raise Fault(FaultKind.USAGE, "There is no invite yet", hint="give its file, or `-` and the invite on stdin")
        import getpass

        text = getpass.getpass("Paste the invite (nothing shows) and press Enter: ", stream=None)
    elif source == "-":
        text = sys.stdin.buffer.read(_INVITE_LIMIT + 1).decode("ascii", errors="replace")
    elif source.lstrip().lower().startswith(SCHEME):
        raise Fault(
            FaultKind.USAGE,
            "An invite is a secret and was given as an argument, where other users can see it",
            hint="ask for a new one, then run `rozaneh connect` alone and paste it",
        )
    else:
        try:
            with Path(source).open("rb") as file:
                text = file.read(_INVITE_LIMIT + 1).decode("ascii", errors="replace")
        except (OSError, ValueError) as error:
            raise Fault(FaultKind.USAGE, "The invite's file cannot be read", hint="check its name") from error
    invite = decode(text)
    output.note(f"The invite's issuer in words: {invite.words()}")
    output.note("Compare them with whoever invited you, by voice or face to face")
    return invite


@click.command()
@click.argument("source", metavar="[FILE|-]", required=False)
@dir_option(help="Where to keep the state (default: $XDG_STATE_HOME/rozaneh).")
@setting_option("client.listen")
@setting_option("client.user")
@setting_option("client.password_file")
@setting_option("client.same_user")
@click.option("--once", metavar="URL", help="Fetch one page to stdout, without a listener, and end.")
@command_output
def connect(
    output: Output, source: str | None, directory: Path | None, once: str | None, **flags: str | bool | None
) -> None:
    """Open the way out with an invite, and keep it open; Ctrl-C closes it.

    The invite is read from FILE, from stdin (-), from earlier runs, or asked for; it is a secret and never an argument.

    Example: rozaneh connect invite.txt
    """
    from rozaneh.client.once import parse_url

    where = reader_dir(directory)
    target = parse_url(once) if once is not None else None
    invite = read_invite(source, where, output)
    if invite.local:
        output.note("This invite is marked `local`: its edge is not at an address of the open internet")
    if target is None:
        _stay(output, where, invite, flags)
    else:
        if any(flags.values()):
            raise Fault(FaultKind.USAGE, "`--once` opens no listener, so nothing about one can be chosen")
        _fetch_once(output, where, invite, target)


def _stay(output: Output, where: Path, invite: Invite, flags: Flags) -> None:
    import asyncio

    from rozaneh.client.localproxy import LocalProxy, decide
    from rozaneh.client.memory import Memory
    from rozaneh.client.runtime import ClientRuntime

    def text(name: str) -> str | None:
        value = flags[name]
        return value if isinstance(value, str) else None

    file = text("password_file")
    password_file = Path(file) if file else None

    def proxy(memory: Memory) -> LocalProxy:
        return decide(text("listen"), text("user"), password_file, bool(flags["same_user"]), memory.port)

    proxy(Memory(port=1))  # refuse flags that do not fit before anything is touched

    def ready(at: Ready) -> None:
        output.done("You are connected")
        output.data(f"Proxy for programs on this device (SOCKS5 and HTTP): {at.listen}")
        output.answer(
            "rozaneh.connect/1",
            {"state": "ready", "listen": at.listen, "way": at.way, "issuer": invite.words(), "roster": at.refreshed},
        )

    runtime = ClientRuntime(where, invite, proxy, say=output.note, warn=output.warn, keep_port=flags["listen"] is None)
    asyncio.run(runtime.run(ready))
    output.note("Disconnected")


def _fetch_once(output: Output, where: Path, invite: Invite, target: Target) -> None:
    import asyncio

    from rozaneh.client.localproxy import LocalProxy
    from rozaneh.client.once import Fetched, fetch
    from rozaneh.client.runtime import ClientRuntime
    from rozaneh.core.control import socket_path
    from rozaneh.core.files import private_dir
    from rozaneh.engine.config import PeerCred

    private_dir(where)
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(socket_path(where, "once.sock"))
        runtime = ClientRuntime(
            where,
            invite,
            lambda _: LocalProxy(f"unix:{path}", PeerCred()),
            say=output.note,
            warn=output.warn,
            keep_port=False,
        )
        sink = (lambda _: None) if output.json_mode else output.raw
        ways: list[str] = []

        def work(at: Ready) -> Fetched:
            ways.append(at.way)
            return fetch(path, target, sink)

        try:
            fetched = asyncio.run(runtime.run(lambda _: None, work))
        finally:
            with contextlib.suppress(FileNotFoundError):
                (where / "once.sock").unlink()
    if not isinstance(fetched, Fetched):
        raise Fault(FaultKind.EDGE_UNREACHABLE, "Stopped before the page had come")
    output.note(f"Fetched {fetched.size} bytes, status {fetched.status}")
    output.answer(
        "rozaneh.once/1", {"status": fetched.status, "bytes": fetched.size, "sha256": fetched.sha256, "way": ways[0]}
    )


@click.command()
@dir_option(help="The directory `connect` uses (default: $XDG_STATE_HOME/rozaneh).")
@command_output
def disconnect(output: Output, directory: Path | None) -> None:
    """Close the way out that is open; when none is, that is fine too.

    Example: rozaneh disconnect
    """
    from rozaneh.core.control import ask
    from rozaneh.core.files import is_locked

    where = reader_dir(directory)
    was_open = where.is_dir() and is_locked(where)
    if was_open:
        ask(where, "stop")
        end = time.monotonic() + _DISCONNECT_SECONDS
        while is_locked(where):
            if time.monotonic() > end:
                raise Fault(
                    FaultKind.FAILED, "The running process did not end", hint="stop it with Ctrl-C where it runs"
                )
            time.sleep(0.05)
    output.note("Disconnected" if was_open else "Nothing was open")
    output.answer("rozaneh.disconnect/1", {"was_open": was_open})

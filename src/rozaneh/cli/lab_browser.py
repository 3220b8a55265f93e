"""``rozaneh lab browser``: profiles of browsers, made from and compared with the browser at hand."""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rozaneh.cli.lab_common import faults, machine
from rozaneh.cli.options import command_output
from rozaneh.cli.output import Output
from rozaneh.core.errors import Fault, FaultKind

if TYPE_CHECKING:
    from rozaneh.lab.browser.compare import Field, Side

CAPTURE_SCHEMA = "rozaneh.lab.browser.capture/1"
COMPARE_SCHEMA = "rozaneh.lab.browser.compare/1"
_HELLOS = 2000
_MOST = 100_000


@click.group()
def browser() -> None:
    """Make a browser's profile, or hold one against the browser."""


@browser.command()
@click.argument("what", metavar="BROWSER")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="FILE", help="Where it goes."
)
@click.option(
    "--hellos",
    type=click.IntRange(200, _MOST),
    default=_HELLOS,
    show_default=True,
    metavar="N",
    help="How many first hellos it is derived from.",
)
@click.option(
    "--idle",
    type=click.IntRange(0, 3600),
    default=0,
    metavar="SECONDS",
    help="How long to watch an idle connection; not at all by default.",
)
@click.option(
    "--sign-with",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEY",
    help="Sign with this Ed25519 key, made when it is not there; the signature goes to FILE.sig.",
)
@command_output
def capture(output: Output, what: str, out: Path, hellos: int, idle: int, sign_with: Path | None) -> None:
    """Run BROWSER against a local listener and derive its profile.

    Example: rozaneh lab browser capture chromium --out chromium.json
    """
    with faults():
        from rozaneh.core.keys import SigningKey
        from rozaneh.data import browsers
        from rozaneh.lab.browser import capture as taking
        from rozaneh.lab.browser.derive import DeriveError

        _known(what, tuple(taking.BROWSERS))
        if sign_with is not None and not sign_with.exists():
            SigningKey.generate().save(sign_with)
        key = None if sign_with is None else SigningKey.load(sign_with)
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        try:
            made = taking.capture(what, hellos, today=today, idle_s=idle, note=output.note)
        except (DeriveError, taking.CaptureError) as error:
            raise Fault(FaultKind.FAILED, "No profile can be made from what it did", why=str(error)) from error
        document = browsers.encode(made)
        out.write_bytes(document)
        if key is not None:
            out.with_name(f"{out.name}.sig").write_text(browsers.sign(document, key))
    rows = [
        ("browser", f"{made.name} {made.version}"),
        ("hellos", str(made.hellos)),
        ("JA4", made.ja4),
        ("extensions", str(len(made.hello.extensions))),
    ]
    output.table(("what", "is"), rows)
    output.done(f"Written to `{out}`")
    output.answer(
        CAPTURE_SCHEMA,
        {"name": made.name, "version": made.version, "hellos": made.hellos, "ja4": made.ja4, "out": str(out)},
    )


@browser.command()
@click.argument("profile")
@click.argument("what", metavar="BROWSER")
@click.option(
    "--hellos",
    type=click.IntRange(50, _MOST),
    default=_HELLOS,
    show_default=True,
    metavar="N",
    help="How many of the profile; the browser gives twice as many.",
)
@command_output
def compare(output: Output, profile: str, what: str, hellos: int) -> None:
    """Hold the hellos written by PROFILE against those of BROWSER.

    PROFILE is a name the program knows, or a file. Every hello must have the browser's JA4, and no field's values may
    come in other frequencies. The browser against itself is the control.

    Example: rozaneh lab browser compare chromium chromium --hellos 200
    """
    with faults():
        from rozaneh.data import browsers
        from rozaneh.lab.browser import capture as taking
        from rozaneh.lab.browser import compare as holding
        from rozaneh.lab.browser import hellos as engine
        from rozaneh.lab.browser.derive import DeriveError

        _known(what, tuple(taking.BROWSERS))
        known = browsers.load(profile) if profile in browsers.names() else browsers.read(Path(profile))
        claimed = engine.written(known, hellos)
        try:
            real, version = taking.first_flights(what, 2 * hellos, output.note)
            found = holding.compare(claimed, real)
        except (DeriveError, taking.CaptureError) as error:
            raise Fault(FaultKind.FAILED, "The browser's hellos cannot be compared", why=str(error)) from error
    rows = []
    for name, side in (("profile", found.profile), ("control", found.control)):
        worst = side.worst
        rows.append((name, _word(side.ja4_equal), f"{_failed(side)} of {len(side.fields)}", _widest(worst)))
    output.table(("against the browser", "JA4 equal", "fields that differ", "widest difference"), rows)
    for field in found.profile.fields:
        if not field.good:
            output.data(f"{field.name}: {_widest(field)}")
    output.note(f"{hellos} hellos a side of {what} {version}; {found.rule}")
    output.answer(
        COMPARE_SCHEMA,
        {
            "ok": found.good,
            "profile": {"name": known.name, "version": known.version},
            "browser": {"name": what, "version": version},
            "hellos": found.hellos,
            "rule": found.rule,
            "against_browser": found.profile.as_json(),
            "control": found.control.as_json(),
        },
    )
    if not found.control.good:
        raise Fault(FaultKind.FAILED, "The browser differs from itself: nothing was shown")
    if not found.profile.good:
        raise Fault(
            FaultKind.FAILED,
            "The profile does not look like the browser",
            why=f"{_failed(found.profile)} fields differ",
        )


@browser.command()
@click.argument("what", metavar="BROWSER[,BROWSER]")
@click.option(
    "--hellos",
    type=click.IntRange(50, _MOST),
    default=_HELLOS,
    show_default=True,
    metavar="N",
    help="How many of each way; the browser gives twice as many.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.md",
    help="Write the table there, and its numbers to FILE.json.",
)
@command_output
def sent(output: Output, what: str, hellos: int, out: Path | None) -> None:
    """Hold what the client sends by BROWSER's profile against BROWSER.

    The engine dials ways as `rozaneh connect` does; the hellos and the openings of HTTP/2 that leave it are compared,
    for every way that looks like a browser. The browser against itself is the control.

    Example: rozaneh lab browser sent chromium,firefox
    """
    with faults():
        from rozaneh.data import browsers
        from rozaneh.lab.browser import capture as taking
        from rozaneh.lab.browser import looks
        from rozaneh.lab.browser import sent as sending
        from rozaneh.lab.browser.derive import DeriveError

        names = [name.strip() for name in what.split(",")]
        for name in names:
            _known(name, tuple(taking.BROWSERS))
        began = time.monotonic()
        try:
            found = [sending.held(name, looks.PROFILES[name], hellos, output.note) for name in names]
        except (DeriveError, taking.CaptureError) as error:
            raise Fault(FaultKind.FAILED, "What was sent cannot be compared", why=str(error)) from error
        seconds = time.monotonic() - began
        profiles = {one.profile: browsers.load(one.profile).version for one in found}
    output.table(tuple(looks.HEADS), [tuple(row) for one in found for row in looks.rows(one)])
    for one in found:
        output.note(f"{one.hellos} hellos a side of {one.browser} {one.version}; {one.rule}")
    content = looks.content(found, machine(), seconds)
    if out:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        command = f"rozaneh lab browser sent {what} --hellos {hellos}"
        page = looks.markdown(found, profiles, machine(), seconds, day=today, command=command)
        out.write_text(page, encoding="utf-8")
        numbers = json.dumps({"schema": looks.SCHEMA, **content}, indent=1)
        out.with_suffix(".json").write_text(numbers + "\n", encoding="utf-8")
        output.done(f"Written to `{out}`")
    output.answer(looks.SCHEMA, content)
    missed = looks.missed(found)
    if missed:
        raise Fault(FaultKind.FAILED, "The client does not look like the browser", why="; ".join(missed))


def _known(what: str, browsers: tuple[str, ...]) -> None:
    if what not in browsers:
        raise Fault(FaultKind.USAGE, f"There is no browser {what!r}", hint=f"there are: {', '.join(browsers)}")


def _failed(side: Side) -> int:
    return sum(not field.good for field in side.fields)


def _widest(field: Field) -> str:
    return f"{100 * field.difference:.1f} points at {field.value} of {field.name}"


def _word(good: bool) -> str:
    return "yes" if good else "no"

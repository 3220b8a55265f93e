"""``rozaneh doctor``."""

from __future__ import annotations

from pathlib import Path

import click

from rozaneh.cli.connect import reader_dir
from rozaneh.cli.options import command_output, dir_option
from rozaneh.cli.output import Output

_WORDS = ("OK", "ATTENTION", "BROKEN")
_VERDICTS = ("healthy", "attention", "broken")


@click.command()
@dir_option(help="The reader's or edge's directory (default: $XDG_STATE_HOME/rozaneh).")
@command_output
@click.pass_context
def doctor(context: click.Context, output: Output, directory: Path | None) -> None:
    """Find out what is wrong; exit 0 healthy, 1 attention, 2 broken.

    Example: rozaneh doctor
    """
    findings = look(reader_dir(directory), output)
    for number, (name, level, detail, _) in enumerate(findings, 1):
        output.data(f"{number:2} {name} {'.' * (22 - len(name))} {_WORDS[level]:9}  {detail}")
    level = max((finding[1] for finding in findings), default=0)
    output.answer(
        "rozaneh.doctor/1",
        {
            "verdict": _VERDICTS[level],
            "checks": [
                {"name": name, "verdict": _VERDICTS[level], "detail": detail, "hint": hint}
                for name, level, detail, hint in findings
            ],
        },
    )
    for _, finding_level, _, hint in findings:
        if finding_level and hint:
            output.hint(hint)
    context.exit(level)


def look(where: Path, output: Output) -> list[tuple[str, int, str, str]]:
    """The findings for whatever lives in ``where``."""
    from rozaneh.core.clock import SystemClock

    if (where / "edge.toml").exists():
        from rozaneh.edge.selfcheck import look as look_at_edge

        return look_at_edge(where, SystemClock())
    from rozaneh.client.diagnose import diagnose, system_resolve
    from rozaneh.client.memory import stored_invite
    from rozaneh.engine.engine import Engine

    invite = stored_invite(where) if where.is_dir() else None
    output.note("Looking, usually under 10 s per way")
    checks = diagnose(where, invite, SystemClock(), Engine, system_resolve)
    return [(check.name, check.verdict.value, check.detail, check.hint) for check in checks]

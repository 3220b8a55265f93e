"""Settings as flags, and what every command has in common: ``--json``, ``--debug``, faults turned into exit codes."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from rozaneh.cli.output import Output
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.settings import SETTINGS, Kind, Setting, Value

F = TypeVar("F", bound=Callable[..., Any])


class SettingType(click.ParamType[str]):
    """A click type that reads a value the way the registry does."""

    def __init__(self, setting: Setting) -> None:
        self.name = setting.kind.placeholder
        self._setting = setting

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check one value.

        Raises:
            click.BadParameter: it does not fit.
        """
        try:
            return self._setting.kind.read(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def setting_option(name: str, *, required: bool = False, sentence: str | None = None) -> Callable[[F], F]:
    """The flag of a registered setting."""
    setting = SETTINGS[name]
    options: dict[str, Any] = {"help": sentence or setting.sentence, "envvar": setting.variable, "required": required}
    if setting.kind is Kind.FLAG:
        options["is_flag"] = True
    else:
        options |= {"type": SettingType(setting), "metavar": setting.kind.placeholder, "multiple": setting.many}
    return click.option(setting.flag, setting.key, **options)


def dir_option(*, help: str, required: bool = False) -> Callable[[F], F]:
    """``--dir``."""
    return click.option(
        "--dir",
        "directory",
        type=click.Path(path_type=Path),
        metavar="DIR",
        envvar=SETTINGS["dir"].variable,
        required=required,
        help=help,
    )


def from_flags(values: Mapping[str, object], prefix: str) -> dict[str, Value]:
    """The values of a section as the registry reads them (flags are checked already, lists arrive as tuples)."""
    return {
        key: SETTINGS[f"{prefix}.{key}"].check(list(value) if isinstance(value, tuple) else value, FaultKind.USAGE, key)
        for key, value in values.items()
    }


def command_output(function: Callable[..., None]) -> Callable[..., None]:
    """Gives a command its ``Output`` and turns faults into words and exit codes; adds ``--json`` and ``--debug``."""

    @click.option("--json", "json_mode", is_flag=True, help="Print one JSON object on stdout.")
    @click.option("--debug", is_flag=True, help="Show where an error came from.")
    @functools.wraps(function)
    def wrapped(*args: object, json_mode: bool, debug: bool, **kwargs: object) -> None:
        output = Output(json_mode, debug)
        context = click.get_current_context()
        try:
            function(output, *args, **kwargs)
        except Fault as fault:
            output.fault(fault)
            if debug:
                output.note("".join(traceback.format_exception(fault)))
            context.exit(fault.kind.exit_code)
        except KeyboardInterrupt:
            output.note("Stopped")
            context.exit(FaultKind.FAILED.exit_code)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001 - the outermost wall: a person gets words, and `--debug` gets the cause
            output.fault(Fault(FaultKind.BUG, "Something unexpected happened", why=type(error).__name__))
            if debug:
                output.note("".join(traceback.format_exception(error)))
            context.exit(FaultKind.BUG.exit_code)
        except BaseException as error:
            # PyO3 raises a Rust panic past `Exception`; its class cannot be imported, only recognised.
            if type(error).__name__ != "PanicException":
                raise
            output.fault(Fault(FaultKind.BUG, "The engine met something unexpected"))
            context.exit(FaultKind.BUG.exit_code)

    return wrapped

"""The one printer: data and words apart, one object, colour only where somebody can see it."""

from __future__ import annotations

import io
import json

import pytest

from rozaneh.cli.output import Output
from rozaneh.core.errors import Fault, FaultKind
from tests.fakes import environment


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def made(json_mode: bool = False, err: io.StringIO | None = None) -> tuple[Output, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), err or io.StringIO()
    return Output(json_mode, out=out, err=err), out, err


def test_data_goes_to_stdout_and_everything_else_to_stderr() -> None:
    output, out, err = made()
    output.data("data")
    output.answer("rozaneh.x/1", {"a": 1})
    output.note("note")
    output.done("done")
    output.warn("careful")
    output.hint("do this")
    output.hint("")
    assert out.getvalue() == "data\n"
    assert err.getvalue() == "note\ndone\nwarning: careful\nhint: do this\n"


def test_in_json_mode_stdout_is_one_object() -> None:
    output, out, _ = made(json_mode=True)
    output.data("data")
    output.table(("A",), [("b",)])
    output.answer("rozaneh.x/1", {"a": "ü"})
    assert json.loads(out.getvalue()) == {"schema": "rozaneh.x/1", "a": "ü"}
    with pytest.raises(RuntimeError):
        output.answer("rozaneh.x/1", {})
    output.fault(Fault(FaultKind.BUG, "late"))
    assert out.getvalue().count("\n") == 1


def test_colour_is_for_terminals_without_no_color() -> None:
    with environment({"NO_COLOR": None}):
        output, _, err = made(err=Terminal())
        output.done("ok")
        assert err.getvalue() == "\x1b[32mok\x1b[0m\n"
    with environment({"NO_COLOR": "1"}):
        output, _, err = made(err=Terminal())
        output.done("ok")
        assert err.getvalue() == "ok\n"


def test_tables_line_up() -> None:
    output, out, _ = made()
    output.table(("ID", "NOTE"), [("inv_a", ""), ("b", "aunt")])
    assert out.getvalue() == "ID     NOTE\ninv_a\nb      aunt\n"

"""The only printer.

Data goes to stdout and everything else to stderr, so every command can be piped. With ``--json`` stdout carries
exactly one object, with a ``schema``. Colour only helps where it means something that the words say too, and never
where ``NO_COLOR`` is set or the stream is no terminal.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rozaneh.core.errors import Fault, FaultKind

_GREEN, _RED, _YELLOW, _CYAN = "32", "31", "33", "36"
ERROR_SCHEMA = "rozaneh.error/1"


class Output:
    """Where a command's words go.

    Args:
        json_mode: stdout carries one JSON object and nothing else.
        debug: show the cause of a fault.
    """

    def __init__(
        self, json_mode: bool = False, debug: bool = False, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.json_mode = json_mode
        self.debug = debug
        self._out = out
        self._err = err
        self._answered = False

    @property
    def out(self) -> TextIO:
        """The stream of data."""
        return self._out or sys.stdout

    @property
    def err(self) -> TextIO:
        """The stream of everything else."""
        return self._err or sys.stderr

    def data(self, text: str) -> None:
        """A line of data on stdout; nothing in JSON mode."""
        if not self.json_mode:
            print(text, file=self.out, flush=True)

    def answer(self, schema: str, content: Mapping[str, Any]) -> None:
        """The one JSON object; nothing outside JSON mode.

        Raises:
            RuntimeError: a second object is attempted.
        """
        if not self.json_mode:
            return
        if self._answered:
            raise RuntimeError("a command answers with one object")
        self._answered = True
        print(json.dumps({"schema": schema, **content}, ensure_ascii=False), file=self.out, flush=True)

    def raw(self, chunk: bytes) -> None:
        """Bytes of a document on stdout, exactly as they are."""
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()

    def note(self, text: str) -> None:
        """Progress, for a person."""
        print(text, file=self.err, flush=True)

    def done(self, text: str) -> None:
        """Something succeeded."""
        self.note(self.paint(text, _GREEN))

    def warn(self, text: str) -> None:
        """Something the person can act on."""
        self.note(f"{self.paint('warning:', _YELLOW)} {text}")

    def hint(self, text: str) -> None:
        """What to do next."""
        if text:
            self.note(f"{self.paint('hint:', _CYAN)} {text}")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns of data on stdout; nothing in JSON mode."""
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        for row in [head, *rows]:
            self.data("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def fault(self, fault: Fault) -> None:
        """An error in three parts: what happened, the likely cause, and after a blank line what to do."""
        if self.json_mode and not self._answered:
            self.answer(ERROR_SCHEMA, {"error": fault.as_dict()})
        why = fault.why or ("" if fault.kind in (FaultKind.USAGE, FaultKind.CONFIG) else fault.kind.meaning.lower())
        self.note(f"{self.paint('error:', _RED)} {fault.what}" + (f": {why}" if why and why != fault.what else ""))
        if fault.hint:
            self.note("")
            self.hint(fault.hint)

    def paint(self, text: str, colour: str) -> str:
        """``text`` in a colour, where the reader of stderr can see one."""
        if os.environ.get("NO_COLOR") or not self.err.isatty():
            return text
        return f"\x1b[{colour}m{text}\x1b[0m"


def day(moment: int | None) -> str:
    """A moment as its day in UTC, or a dash."""
    return "-" if moment is None else time.strftime("%Y-%m-%d", time.gmtime(moment))

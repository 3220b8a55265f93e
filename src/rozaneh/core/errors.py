"""The closed set of things that can go wrong, and the one exception that carries them.

::

    Fault
     ├─ the person      usage · config · permission · unsupported · busy
     ├─ the network     local_network · interference_suspected · edge_unreachable
     ├─ the edge        edge_refused · policy_denied · quota
     ├─ the evidence    integrity · key · clock_wrong
     └─ ourselves       failed · bug

A kind fixes the exit code, what it means and what to do next; the place that raises adds what happened.
Nothing else may leave a public function of ours on purpose.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Meaning(NamedTuple):
    """What a kind of fault stands for: its name in JSON, exit code, sentence and default hint."""

    name: str
    exit_code: int
    meaning: str
    hint: str


class FaultKind(Enum):
    """Every kind of fault there is; the exit codes are part of the command line's contract."""

    FAILED = Meaning("failed", 1, "The command could not finish", "run it again with `--debug` to see the cause")
    BUSY = Meaning(
        "busy", 1, "Another process holds this directory", "run `rozaneh disconnect`, or choose another `--dir`"
    )
    UNSUPPORTED = Meaning("unsupported", 1, "This version cannot do that", "install a newer version")
    USAGE = Meaning("usage", 2, "The command was not written correctly", "add `--help` to see how it is written")
    CONFIG = Meaning("config", 3, "A setting or a state file is wrong", "correct the setting that is named")
    PERMISSION = Meaning(
        "permission", 4, "The system did not allow it", "check who owns the file or port that is named"
    )
    LOCAL_NETWORK = Meaning("local_network", 5, "This device has no working network", "check the cable, Wi-Fi or SIM")
    INTERFERENCE = Meaning(
        "interference_suspected",
        6,
        "Something between here and the edge disturbs the connection",
        "run `rozaneh doctor`, and try another network if there is one",
    )
    EDGE_UNREACHABLE = Meaning(
        "edge_unreachable", 7, "No edge answered", "run `rozaneh doctor`, and ask whoever invited you if the edge is up"
    )
    EDGE_REFUSED = Meaning("edge_refused", 7, "The edge does not know this invite", "ask for a new invite")
    POLICY_DENIED = Meaning("policy_denied", 8, "A rule forbids it", "ask the operator of the edge")
    QUOTA = Meaning("quota", 9, "A limit was reached", "wait, or ask the operator of the edge")
    INTEGRITY = Meaning(
        "integrity", 10, "Something is not what its issuer made", "get it again, from the person you trust"
    )
    KEY = Meaning("key", 10, "A key is missing or damaged", "restore the key from a backup")
    CLOCK_WRONG = Meaning("clock_wrong", 10, "This device's clock cannot be right", "set the date and time")
    BUG = Meaning("bug", 70, "This is a mistake in the program", "report it; the report holds no address and no secret")

    @property
    def label(self) -> str:
        """The kind's name in JSON and documentation."""
        return self.value.name

    @property
    def exit_code(self) -> int:
        """The process's exit code when a command ends with this kind."""
        return self.value.exit_code

    @property
    def meaning(self) -> str:
        """One sentence a reader understands."""
        return self.value.meaning

    @property
    def hint(self) -> str:
        """What to do next when the raiser knows nothing better."""
        return self.value.hint


class Fault(Exception):
    """Something went wrong that a person can be told about.

    Attributes:
        kind: one of the closed set.
        what: what happened, one line, safe to show (no secret, no destination, no reader's address).
        why: the likely cause, one line, or empty.
        hint: what to do next; the kind's own hint unless given.
    """

    def __init__(self, kind: FaultKind, what: str, *, why: str = "", hint: str | None = None) -> None:
        super().__init__(what)
        self.kind = kind
        self.what = what
        self.why = why
        self.hint = kind.hint if hint is None else hint

    def __str__(self) -> str:
        return f"{self.what}: {self.why}" if self.why else self.what

    def as_dict(self) -> dict[str, str | int]:
        """The fault as a flat object for ``--json`` output."""
        return {
            "kind": self.kind.label,
            "exit_code": self.kind.exit_code,
            "what": self.what,
            "why": self.why,
            "hint": self.hint,
        }

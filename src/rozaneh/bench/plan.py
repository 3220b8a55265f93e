"""What a run is to do: written outside the namespace, read inside it."""

from __future__ import annotations

import msgspec

CASES = ("bulk", "tunnels", "idle")


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """The programs of a run; a peer that is missing is empty and its subjects are left out."""

    python: str
    load: str
    haproxy: str = ""
    sing_box: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Subjects, cases and sizes.

    Attributes:
        seconds: how long each load runs.
        workers: how many tunnels are opened at a time when their rate is measured.
        idle: how many tunnels are held open when their memory is measured.
        congestion: what every socket in the namespace uses.
    """

    tools: Tools
    subjects: list[str]
    cases: list[str]
    rounds: int = 3
    seconds: float = 2.0
    workers: int = 16
    idle: int = 2_000
    congestion: str = "cubic"


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One subject in one round: figures by name, and what failed."""

    subject: str
    round: int
    figures: dict[str, float]
    errors: dict[str, str]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One line from the inside: progress for a person, or a measurement."""

    note: str = ""
    measurement: Measurement | None = None
    fault: str = ""

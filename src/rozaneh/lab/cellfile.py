"""A job of a run and what it found, as data and as files that are whole or not there.

A job is one process's work (`cells`): the controls of a profile, a cell, or a subject for the judges.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any, Literal

import msgspec

from rozaneh.lab.report.timeline import Timeline
from rozaneh.lab.trials import DEFAULT_TRIALS, FIRST_BYTE_S, GIVE_UP_AFTER, SLOW_WHOLE_S, WHOLE_S, Trial
from rozaneh.lab.verdict import Control, Verdict

RESULT_SCHEMA = "rozaneh.lab.cell/1"
NO_PROFILE = "none"

Kind = Literal["controls", "cell", "judges"]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything one job depends on; its digest tells at a resume whether a finished one still counts.

    Attributes:
        profile: A profile's name; `none` is a world without a profile.
        profile_file: The file it is in, when it is not one of the lab's own.
        profile_digest: Of the profile's rules, so that an edited profile is measured anew.
        reading: One of the profile's variants, where sources disagree; empty for its own choice.
        changes: Other values for parameters, as `RULE.parameter`.
        variant: The profile's cell (in force or not, …); empty for its only one.
        subject: A subject's name; empty for controls.
        subject_file: The file it is in, when it is not one of the lab's own.
        subject_digest: Of the subject's declaration.
        reader_at: Where the reader is.
        server_at: Label of the place where the subject's server stands.
        censor: A user's own censor file, which runs before the profile's rules.
        censor_digest: Of that file.
        seed: Of this job's censors.
    """

    kind: Kind
    profile: str = NO_PROFILE
    profile_file: str = ""
    profile_digest: str = ""
    reading: str = ""
    changes: dict[str, Any] = {}
    variant: str = ""
    subject: str = ""
    subject_file: str = ""
    subject_digest: str = ""
    reader_at: str = ""
    server_at: str = ""
    censor: str = ""
    censor_digest: str = ""
    trials: int = DEFAULT_TRIALS
    give_up_after: int = GIVE_UP_AFTER
    first_byte_s: float = FIRST_BYTE_S
    whole_s: float = WHOLE_S
    slow_whole_s: float = SLOW_WHOLE_S
    judges: tuple[str, ...] = ()
    seed: int = 0

    @property
    def name(self) -> str:
        """A name no other job of a matrix has, fit for a file."""
        parts = {
            "controls": ("controls", self.profile, self.variant),
            "cell": (self.profile, self.variant, self.subject),
            "judges": ("judges", self.subject),
        }[self.kind]
        return "~".join(_word(part) for part in parts if part)

    def digest(self) -> str:
        """A digest of all of it."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()

    @property
    def placement(self) -> str:
        """Where reader and server stand, and the profile's variant, in words."""
        places = " > ".join(place for place in (self.reader_at, self.server_at) if place)
        return ", ".join(part for part in (places, self.variant) if part)


class JudgedBy(msgspec.Struct, frozen=True, kw_only=True):
    """What one judge said of a subject's traffic: `flagged` of `of` flows."""

    judge: str
    flagged: int
    of: int
    version: str = ""
    error: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one job found. For controls `verdict` is `works` when all are met, else `lab_invalid`."""

    schema_: str = msgspec.field(name="schema", default=RESULT_SCHEMA)
    name: str
    digest: str
    config: Config
    verdict: Verdict
    cause: str = ""
    trials: tuple[Trial, ...] = ()
    controls: tuple[Control, ...] = ()
    timeline: Timeline = Timeline()
    acts: dict[str, int] = {}
    judges: tuple[JudgedBy, ...] = ()
    versions: dict[str, str] = {}
    router: dict[str, Any] = {}
    slow: bool = False
    seconds: float = 0.0


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)


def write(result: Result, out: Path) -> None:
    """Writes a result in one step: it survives a kill at any instant whole, or not at all."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(out)


def read(path: Path) -> Result | None:
    """A finished result; None when there is none that can be read."""
    try:
        result = msgspec.json.decode(path.read_bytes(), type=Result)
    except (OSError, msgspec.DecodeError):
        return None
    return result if result.schema_ == RESULT_SCHEMA else None


def without_a_run(config: Config, verdict: Verdict, cause: str) -> Result:
    """The result of a job that was not run."""
    return Result(name=config.name, digest=config.digest(), config=config, verdict=verdict, cause=cause)

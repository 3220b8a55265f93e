"""Runs the runner, and reads what it says."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
#: For one step of one test, on a machine that is busy with other things.
IDLE = "60s"


@dataclass
class Outcome:
    """What became of the tests that ran."""

    passed: set[str] = field(default_factory=set)
    #: Why, by test.
    failed: dict[str, str] = field(default_factory=dict)
    #: How often the shim refused a flag.
    refused: Counter[str] = field(default_factory=Counter)

    def __or__(self, other: Outcome) -> Outcome:
        """Both together."""
        return Outcome(self.passed | other.passed, self.failed | other.failed, self.refused + other.refused)


def shim() -> Path:
    """Our program for the runner, built.

    Raises:
        AssertionError: it cannot be built.
    """
    done = subprocess.run(
        ["cargo", "build", "--locked", "-q", "-p", "rozaneh-bogo-shim", "--message-format", "json"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return Path(next(message["executable"] for message in messages if message.get("executable")))


def run(
    runner: Path,
    program: Path,
    folder: Path,
    *,
    skip: Iterable[str],
    errors: Mapping[str, list[str]],
    only: Iterable[str] = (),
    flags: Iterable[str] = (),
) -> Outcome:
    """Run all tests but those that match ``skip``, or of them only those that match ``only``.

    Args:
        runner: The runner.
        program: The shim.
        folder: An empty one, for what it writes.
        skip: Patterns of tests that are not run.
        errors: What our program may say, for each reason that the runner knows by BoringSSL's name.
        only: Patterns of tests; none for all.
        flags: For the shim, in front of each test's own.

    Raises:
        AssertionError: the runner ended without a report, or did not account for every test.
    """
    folder.mkdir()
    refused, report, config = folder / "refused", folder / "report.json", folder / "config.json"
    refused.touch()
    # No tickets of ours come before the client's Finished.
    document = {"DisabledTests": dict.fromkeys(skip, ""), "ErrorMap": dict(errors), "HalfRTTTickets": 0}
    config.write_text(json.dumps(document))
    argv = [runner, "-shim-path", program, "-shim-config", config, "-json-output", report, "-pipe"]
    argv += ["-allow-unimplemented", "-idle-timeout", IDLE]
    argv += ["-shim-extra-flags", ";".join(flags)] if flags else []
    argv += ["-test", ";".join(only)] if only else []
    done = subprocess.run(
        argv,
        cwd=folder,
        env=os.environ | {"ROZANEH_BOGO_SKIPPED": str(refused), "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert report.exists(), done.stdout[-4000:] + done.stderr[-4000:]
    tests = json.loads(report.read_text())["tests"]
    outcome = Outcome(refused=Counter(refused.read_text().splitlines()))
    for name, result in tests.items():
        if result["actual"] == "PASS":
            outcome.passed.add(name)
        elif result["actual"] != "SKIP":
            outcome.failed[name] = result.get("error", "")
    accounted = len(outcome.passed) + len(outcome.failed) + outcome.refused.total()
    assert accounted == len(tests), "a test was skipped and nobody knows why"
    return outcome

"""The TLS engine before BoringSSL's test runner: every test that applies passes, and every one that does not is listed.

``bogo/expected.json`` says what does not apply: patterns of tests, flags of the runner that our program refuses, each
with its reason; and how many tests pass. A test that fails, a pattern or a flag that is listed and nobody needs, and a
number that is another, all fail here.
"""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path
from typing import Any

import pytest

from tests.interop.bogo.build import build
from tests.interop.bogo.run import ROOT, Outcome, run, shim

EXPECTED: dict[str, Any] = json.loads((Path(__file__).parent / "bogo" / "expected.json").read_text())
ALL, LOOK = EXPECTED["all"], EXPECTED["look"]
CHROMIUM = ROOT / "src" / "rozaneh" / "data" / "browsers" / "chromium.json"


@pytest.fixture(scope="module")
def runner(tools: Path) -> Path:
    """The runner; fetched and built once, when it is not there yet."""
    folder = tools / "bogo"
    folder.mkdir(exist_ok=True)
    return build(folder)


@pytest.fixture(scope="module")
def program() -> Path:
    """Our engine behind the runner's flags."""
    return shim()


def judge(outcome: Outcome, expected: dict[str, Any]) -> None:
    """Compare what happened with what is committed."""
    failed = "\n".join(f"{name}: {why}" for name, why in sorted(outcome.failed.items()))
    assert not failed, failed
    assert outcome.refused.keys() == expected["refused"].keys(), "flags that are refused, and flags that are listed"
    assert len(outcome.passed) == expected["passed"]


def test_client_and_server(runner: Path, program: Path, tmp_path: Path) -> None:
    skip, errors = ALL["skipped"], EXPECTED["errors"]
    most = run(runner, program, tmp_path / "most", skip=skip, errors=errors)
    # Those that a pattern of older versions would hide.
    still = run(runner, program, tmp_path / "still", skip=[], errors=errors, only=ALL["still"])
    assert not most.passed & still.passed
    for pattern in ALL["still"]:
        assert fnmatch.filter(still.passed, pattern), f"{pattern} matches nothing that passes"
    judge(most | still, ALL)


def test_client_with_the_look_of_chromium(runner: Path, program: Path, tmp_path: Path) -> None:
    skip = {**ALL["skipped"], **LOOK["skipped"]}
    flags = ["-profile", str(CHROMIUM)]
    judge(run(runner, program, tmp_path / "look", skip=skip, errors=EXPECTED["errors"], flags=flags), LOOK)

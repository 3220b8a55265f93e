"""In a world: our ways' carriers carry and are not flagged, known tunnels are, and plain browsing is judged beside."""

from __future__ import annotations

from pathlib import Path

import pytest

from rozaneh.lab.carriers import judged, plan
from rozaneh.lab.carriers.judged import Row


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    """One run: as many carriers as the issue asks `make test` for, and a few of what they are compared with."""
    counts: dict[str, int] = dict.fromkeys(plan.WAYS, 40) | dict.fromkeys((*plan.CONTROLS, plan.DIRECT), 8)
    folder: Path = tmp_path_factory.mktemp("carriers")
    return {row.played.subject: row for row in judged.run(counts, folder, beside=())}


@pytest.mark.parametrize("name", plan.WAYS)
def test_no_carrier_of_ours_is_flagged(name: str, rows: dict[str, Row]) -> None:
    assert rows[name].missed == ""
    # A client keeps one carrier: each fetch of it went through the same.
    assert rows[name].rate.of <= rows[name].played.carriers
    assert rows[name].played.fetches == 2 * rows[name].played.carriers
    assert len(rows[name].played.addresses) == len(plan.PLACES)


@pytest.mark.parametrize("name", plan.CONTROLS)
def test_known_tunnels_are_flagged_in_the_same_run(name: str, rows: dict[str, Row]) -> None:
    assert rows[name].missed == ""
    assert rows[name].rate.of >= 16


def test_plain_browsing_is_judged_beside(rows: dict[str, Row]) -> None:
    assert rows[plan.DIRECT].rate.of >= 16
    assert rows[plan.DIRECT].played.fetches == 18

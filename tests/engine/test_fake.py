"""The fake engine is a faithful one: it passes what the real engine passes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.engine.contract import CHECKS, Ends, Make
from tests.fakes import FakeNet


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[Make, Ends], None], world: Ends) -> None:
    check(FakeNet().engine, world)

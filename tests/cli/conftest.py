"""The command line in this process, with the fake engine behind it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rozaneh.cli.main import cli


class Shell:
    """Runs commands as a person would type them."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *arguments: str, stdin: str | bytes | None = None) -> Result:
        """Run one command; its state home is the test's."""
        runner = CliRunner(env={"XDG_STATE_HOME": str(self.home), "NO_COLOR": "1"})
        result = runner.invoke(cli, list(arguments), input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell with a state home of its own."""
    return Shell(tmp_path / "home")

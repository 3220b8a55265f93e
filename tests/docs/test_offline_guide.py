"""The commands of the guide and the README on news without a network are written as the program reads them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from rozaneh.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
TEXT = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/guides/offline-news.md"))
LINES = sorted(set(re.findall(r"^rozaneh ((?:key|bundle) .*?)(?:\s{3,}.*)?$", TEXT, re.MULTILINE)))


@pytest.mark.parametrize("line", LINES)
def test_every_command_is_written_correctly(line: str) -> None:
    noun, verb, *arguments = shlex.split(line)
    group = cli.get_command(cli.make_context("rozaneh", [noun], resilient_parsing=True), noun)
    assert isinstance(group, click.Group)
    command = group.commands[verb]
    context = command.make_context(verb, arguments, resilient_parsing=False)
    assert context.params


def test_the_guide_shows_all_that_is_needed() -> None:
    verbs = {tuple(shlex.split(line)[:2]) for line in LINES}
    assert verbs >= {("key", "new"), ("key", "rotate"), ("bundle", "make"), ("bundle", "open")}

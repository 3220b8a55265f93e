"""The guide's examples are run as they stand there: the ten-line censor, and a tool that nobody declared before."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from rozaneh.cli.main import cli
from rozaneh.lab import cells, subjects
from rozaneh.lab.cellfile import Config
from rozaneh.lab.verdict import VERDICTS

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "guides" / "censor-lab.md").read_text(encoding="utf-8")


def example(language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_the_censor_has_ten_lines_and_does_what_it_says(tmp_path: Path) -> None:
    code = example("python")
    assert len([line for line in code.splitlines() if line.strip()]) == 10
    file = tmp_path / "freeze.py"
    file.write_text(code)
    config = Config(
        kind="cell", subject="curl", server_at="hosting-clean", censor=str(file), trials=1, give_up_after=1,
        first_byte_s=10.0, whole_s=6.0,
    )  # fmt: skip
    cell = cells.work(config)
    assert (cell.verdict, cell.cause) == ("blocked", "freeze")
    # It lets through what it says, of which some is TLS's own.
    assert 30_000 < cell.trials[0].received < 42_000
    assert cell.timeline.rows[0].why == "40 kB from one server"


def test_the_tool_is_declared_whole_and_works_without_a_censor(tmp_path: Path) -> None:
    file = tmp_path / "my-tool.toml"
    file.write_text(example("toml"))
    subject = subjects.load(str(file))
    ready = {"curl", "chromium", "sing-box", "xray", "mihomo", "obfs4", "wireguard", "iodine", "shadowsocks"}
    assert subject.name not in {*subjects.names(), *ready}
    config = Config(kind="cell", subject=subject.name, subject_file=str(file), server_at="hosting-clean", trials=2)
    cell = cells.work(config)
    assert (cell.verdict, cell.cause) == ("works", "")
    assert re.fullmatch(r"\d+\.\d+", cell.versions["subject stunnel"])


@pytest.mark.parametrize("line", sorted(set(re.findall(r"^rozaneh (lab .*?)(?:\s{3,}.*)?$", GUIDE, re.MULTILINE))))
def test_every_command_of_the_guide_is_written_correctly(line: str) -> None:
    words = shlex.split(line)
    group = cli.get_command(cli.make_context("rozaneh", ["lab"], resilient_parsing=True), "lab")
    assert group is not None
    command = group.commands[words[1]]  # type: ignore[attr-defined]
    arguments = [
        str(DOCS / "guides" / "censor-lab.md") if word.endswith((".py", ".pcap")) else word for word in words[2:]
    ]
    command.make_context(words[1], arguments)


def test_the_guide_names_every_verdict_and_the_lists_commands_exist() -> None:
    for verdict in VERDICTS:
        assert f"| `{verdict}` |" in GUIDE
    assert CliRunner().invoke(cli, ["lab", "explain", "cn-2023"]).exit_code == 0
    for link in re.findall(r"\]\((\.\./[^)#]+)\)", GUIDE):
        assert (DOCS / "guides" / link).exists()

"""The command line's shape: five lines, a quick help, one object with ``--json``, exit codes that hold."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from rozaneh import __version__
from rozaneh.cli.main import NOUNS, LazyGroup, cli
from rozaneh.cli.options import command_output
from rozaneh.cli.output import Output
from rozaneh.core.errors import Fault, FaultKind

# What `--help` must not load: each costs a small machine tens of milliseconds (python.md B.0).
HEAVY = ("cryptography", "msgspec", "sqlite3", "asyncio", "ssl", "segno", "http", "socket", "tomllib", "rozaneh.engine")


def loaded_by(*arguments: str) -> set[str]:
    """The modules a command has loaded when it ends."""
    code = (
        "import sys, atexit, json; atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr));"
        f"from rozaneh.cli.main import main; main({list(arguments)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.strip().splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--help"], [], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    modules = loaded_by(*arguments)
    assert not [m for m in modules if m.startswith("rozaneh.") and m not in ("rozaneh.cli", "rozaneh.cli.main")]
    assert not [heavy for heavy in HEAVY if heavy in modules]


def test_a_nouns_help_loads_no_engine_and_no_crypto() -> None:
    modules = loaded_by("connect", "--help")
    assert not [heavy for heavy in ("cryptography", "msgspec", "sqlite3", "asyncio", "segno") if heavy in modules]


def test_alone_it_says_five_lines() -> None:
    result = CliRunner().invoke(cli, [])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == 5
    assert all(len(line) <= 100 for line in lines)
    for command in ("connect", "doctor", "edge init", "wipe"):
        assert f"rozaneh {command}" in result.stdout


def test_help_lists_every_noun() -> None:
    result = CliRunner().invoke(cli, ["--help"])
    for noun in NOUNS:
        assert noun in result.stdout
    assert __version__ in CliRunner().invoke(cli, ["--version"]).stdout


def test_unknown_nouns_and_flags_end_with_2() -> None:
    for arguments in (
        ["nonsense"],
        ["connect", "--nonsense"],
        ["edge"],
        ["edge", "up"],
        ["invite", "revoke", "--dir", "x"],
    ):
        assert CliRunner().invoke(cli, arguments).exit_code == 2


def commands() -> list[tuple[str, click.Command]]:
    """Every command there is, with its words."""
    found: list[tuple[str, click.Command]] = []
    group = cli
    assert isinstance(group, LazyGroup)
    context = click.Context(group)
    for noun, (module, _, _) in NOUNS.items():
        if importlib.util.find_spec(module) is None:
            continue
        command = group.get_command(context, noun)
        assert command is not None
        if isinstance(command, click.Group):
            found += [(f"{noun} {name}", inner) for name, inner in command.commands.items()]
        else:
            found.append((noun, command))
    return found


OURS = [(words, command) for words, command in commands() if words.split()[0] not in ("lab", "bench")]


def test_the_commands_are_the_agreed_ones() -> None:
    assert sorted(words for words, _ in OURS) == sorted(
        [
            "edge init",
            "edge up",
            "edge status",
            "invite new",
            "invite list",
            "invite revoke",
            "connect",
            "disconnect",
            "wipe",
            "doctor",
            "key new",
            "key rotate",
            "key show",
            "bundle make",
            "bundle verify",
            "bundle open",
            "bundle inspect",
            "bundle diff",
            "bundle merge",
            "bundle split",
            "bundle join",
        ]
    )


FLAGS = {
    "edge init": "dir listen host address cert key cover way post-quantum egress allow",
    "edge up": "dir",
    "edge status": "dir",
    "invite new": "dir for expires qr",
    "invite list": "dir",
    "invite revoke": "dir",
    "connect": "dir listen user password-file same-user once",
    "disconnect": "dir",
    "wipe": "yes dir",
    "doctor": "dir",
    "key new": "out",
    "key rotate": "old new out",
    "key show": "",
    "bundle make": "key out base limit",
    "bundle verify": "issuer",
    "bundle open": "issuer out base",
    "bundle inspect": "issuer",
    "bundle diff": "",
    "bundle merge": "issuer out",
    "bundle split": "carrier out size fec key",
    "bundle join": "issuer out",
}


@pytest.mark.parametrize(("words", "command"), OURS, ids=[words for words, _ in OURS])
def test_every_command_has_its_flags_json_a_sentence_and_an_example(words: str, command: click.Command) -> None:
    flags = {o[2:] for p in command.params if isinstance(p, click.Option) for o in p.opts if o.startswith("--")}
    assert flags == set(FLAGS[words].split()) | {"json", "debug"}
    assert command.help is not None
    assert f"Example: rozaneh {words}" in command.help
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help


@pytest.mark.parametrize("kind", list(FaultKind), ids=lambda kind: kind.label)
def test_a_fault_becomes_words_an_object_and_its_exit_code(kind: FaultKind) -> None:
    @click.command()
    @command_output
    def fails(output: Output) -> None:
        raise Fault(kind, "It did not work", hint="do this")

    plain = CliRunner().invoke(fails, [])
    assert plain.exit_code == kind.exit_code
    assert plain.stdout == ""
    assert plain.stderr.startswith("error: It did not work")
    assert plain.stderr.endswith("\n\nhint: do this\n")
    assert "Traceback" not in plain.stderr
    as_json = CliRunner().invoke(fails, ["--json"])
    answer = json.loads(as_json.stdout)
    assert (answer["schema"], answer["error"]["kind"]) == ("rozaneh.error/1", kind.label)
    assert "Traceback" in CliRunner().invoke(fails, ["--debug"]).stderr


def test_anything_else_is_a_bug_that_shows_no_value() -> None:
    @click.command()
    @command_output
    def fails(output: Output) -> None:
        raise LookupError("secret value")

    result = CliRunner().invoke(fails, [])
    assert result.exit_code == 70
    assert "secret value" not in result.stderr
    assert "LookupError" in result.stderr


def test_a_panic_of_the_engine_is_a_bug_in_words() -> None:
    class PanicException(BaseException):
        """As PyO3 names it."""

    @click.command()
    @command_output
    def fails(output: Output) -> None:
        raise PanicException("secret value")

    result = CliRunner().invoke(fails, [])
    assert result.exit_code == 70
    assert "secret value" not in result.stderr


def test_only_output_prints() -> None:
    sources = Path(__file__).parents[2] / "src" / "rozaneh"
    allowed = {sources / "cli" / "output.py", sources / "cli" / "main.py"}
    for path in sources.rglob("*.py"):
        if path not in allowed and path.relative_to(sources).parts[0] not in ("lab", "bench"):
            text = path.read_text(encoding="utf-8")
            assert "print(" not in text.replace("fingerprint(", ""), path
            assert "click.echo" not in text, path

"""A user's own censor: one Python file; what is wrong with it is told with its place, and never becomes a pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from rozaneh.lab.craft import Connection, datagram
from rozaneh.lab.offline import Offline
from rozaneh.lab.rules import RuleConfig

GOOD = """
from rozaneh.lab.api import Drop, Pass


class Censor:
    def __init__(self, params, rng):
        self.port = params.get("port", 443)

    def packet(self, p, now):
        return Drop("port") if p.tcp and p.tcp.dport == self.port else Pass()
"""


def config(folder: Path, text: str, **params: object) -> RuleConfig:
    file = folder / "mine.py"
    file.write_text(text)
    return RuleConfig(id="mine", file=str(file), params=params)


def test_a_file_with_a_class_is_a_rule(tmp_path: Path) -> None:
    for port, dropped in ((443, True), (80, False)):
        line = Offline([config(tmp_path, GOOD, port=port)])
        outcome = line.send(Connection().syn())
        assert (outcome.forward is None) is dropped
        assert [(act.rule, act.why) for act in outcome.acts] == ([("mine", "port")] if dropped else [])


def test_two_files_of_one_name_are_two_censors(tmp_path: Path) -> None:
    rules = []
    for name, port in (("a", 80), ("b", 443)):
        (tmp_path / name).mkdir()
        rules.append(config(tmp_path / name, GOOD.replace("443", str(port))))
    assert [Offline([rule]).send(Connection().syn()).forward is None for rule in rules] == [False, True]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\n", "mine.py has no class Censor"),
        ("Censor = 3\n", "mine.py has no class Censor"),
        ("class Censor:\n    pass\n", "no method packet"),
        ("x = 1\ny = (\n", "mine.py, line 2: SyntaxError"),
        ("x = 1\n\n1 / 0\n", "mine.py, line 3: ZeroDivisionError: division by zero"),
        ("import no_such_module\n", "mine.py, line 1: ModuleNotFoundError"),
        (GOOD.replace('params.get("port", 443)', 'params["ports"]'), "mine.py, line 7: KeyError: 'ports'"),
        (GOOD.replace("params, rng", "params"), "mine.py: TypeError"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ValueError, match=r"^rule 'mine': ") as caught:
        Offline([config(tmp_path, text)])
    assert told in str(caught.value)


def test_a_file_that_is_not_there_or_no_python(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text(GOOD)
    for name in ("nothing.py", "mine.txt"):
        with pytest.raises(ValueError, match=name):
            Offline([RuleConfig(id="mine", file=str(tmp_path / name))])


@pytest.mark.parametrize("body", ["raise KeyError(p.outbound)", "return None", "return 'drop'", "return [p]"])
def test_a_censor_that_fails_makes_an_error_and_never_a_pass(tmp_path: Path, body: str) -> None:
    text = f"class Censor:\n    def __init__(self, params, rng): pass\n    def packet(self, p, now):\n        {body}\n"
    line = Offline([config(tmp_path, text)])
    for raw in (Connection().syn(), datagram(b"q")):
        outcome = line.send(raw)
        assert (outcome.forward, [act.action for act in outcome.acts]) == (None, ["error"])
    assert line.errors == 2


def test_its_timer_and_its_random_numbers(tmp_path: Path) -> None:
    text = """
from rozaneh.lab.api import PASS, Inject
from rozaneh.lab.craft import datagram


class Censor:
    def __init__(self, params, rng):
        self.rng = rng

    def packet(self, p, now):
        return PASS

    def timer(self, now):
        yield Inject(datagram(bytes([self.rng.randrange(256)])), why=f"tick {now:g}")
"""
    rule = config(tmp_path, text)
    lines = [Offline([rule], seed=seed, start=7) for seed in (1, 1, 2)]
    made = [[line.timers().injected[0].raw for _ in range(8)] for line in lines]
    assert made[0] == made[1] != made[2]
    assert lines[0].timers().acts[0].why == "tick 7"

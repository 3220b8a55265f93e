"""Subjects are read strictly: what is there loads and can be filled in, what could not run is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rozaneh.lab import subjects
from rozaneh.lab.subjects import PLACEHOLDER, Subject, SubjectError, programs, values

HERE = {
    "anytls",
    "chromium",
    "curl",
    "do53",
    "hysteria2",
    "iodine",
    "mihomo-reality",
    "naive",
    "obfs4",
    "h2+reality",
    "h2+tls",
    "shadowtls",
    "ss-2022",
    "ss-libev",
    "trojan",
    "vless-reality-vision",
    "vmess",
    "wireguard-go",
}

MINIMAL = """
name = "mine"
kind = "socks"
[server]
argv = ["my-server", "{server_ip}:{port}"]
[client]
argv = ["my-client", "-l", "{socks_port}", "{server_ip}:{port}"]
"""


def test_all_that_the_issue_names_are_there() -> None:
    assert set(subjects.names()) == HERE
    for name in subjects.names():
        subject = subjects.load(name)
        assert subject.name == name
        assert subject.schema_ == subjects.SCHEMA
        assert subject.summary
    kinds = {name: subjects.load(name).kind for name in HERE}
    assert {name for name in HERE if kinds[name] == "direct"} == {"curl", "chromium", "do53"}
    tuns = {name for name in HERE if kinds[name] == "tun"}
    assert tuns == {"iodine", "wireguard-go"}
    assert {name for name in HERE if "root" in subjects.load(name).needs} == tuns
    assert {name for name in HERE if subjects.load(name).slow} == {"iodine"}


@pytest.mark.parametrize("name", sorted(HERE))
def test_filled_in_files_are_whole_and_readable(name: str) -> None:
    given = dict.fromkeys(values.NAMES, "1")
    for path, text in subjects.load(name).files.items():
        filled = values.fill(text, given)
        assert not PLACEHOLDER.search(filled)
        if path.endswith(".json"):
            assert isinstance(json.loads(filled), dict)
        elif path.endswith(".py"):
            compile(filled, path, "exec")


def test_a_users_own_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL)
    subject = subjects.load(str(path))
    assert (subject.name, subject.kind, subject.port) == ("mine", "socks", 443)
    assert subject.client is not None
    assert subject.client.argv[0] == "my-client"
    with pytest.raises(SubjectError, match="cannot be read"):
        subjects.load(str(tmp_path / "other.toml"))


def test_an_unknown_name_lists_those_that_are_there() -> None:
    with pytest.raises(SubjectError, match=r"no subject called 'curll'; there are: anytls, chromium"):
        subjects.load("curll")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("name = ", "name == "), "Invalid"),
        (('kind = "socks"', 'kind = "vpn"'), "Invalid enum value 'vpn'"),
        (('kind = "socks"', 'kind = "socks"\nspeed = 1'), "unknown field `speed`"),
        (('kind = "socks"', 'kind = "socks"\nschema = "rozaneh.lab.subject/9"'), "schema is"),
        (('"mine"', '"My Tool"'), "name 'My Tool'"),
        (('kind = "socks"', 'kind = "socks"\nport = 70000'), "port 70000"),
        (('kind = "socks"', 'kind = "direct"'), "neither server nor client"),
        (('kind = "socks"', 'kind = "socks"\nfetch = "dns"'), "for kind = 'direct'"),
        (('kind = "socks"', 'kind = "tun"'), "needs `ready`"),
        (("{server_ip}:{port}", "{server}"), r"nobody gives the value \{server\}; there are: .*server_ip"),
        (("[client]", "[client]\nready = { tcp = 1, udp = 2 }"), "exactly one of"),
        (("[client]", "[client]\nready = { limit = 2 }"), "exactly one of"),
        (("[client]", '[client]\nready = { output = "(" }'), "no pattern"),
        (("[server]", '[files]\n"/etc/passwd" = ""\n[server]'), "lies outside"),
        (("[server]", '[files]\n"../up" = ""\n[server]'), "lies outside"),
        (("[server]", "[server]\nstop = 'later'"), "Invalid enum value 'later'"),
        (('argv = ["my-server", "{server_ip}:{port}"]', "argv = []"), "argv is empty"),
    ],
)
def test_what_could_not_run_is_refused(change: tuple[str, str], complaint: str) -> None:
    assert change[0] in MINIMAL
    with pytest.raises(SubjectError, match=complaint):
        subjects.parse(MINIMAL.replace(change[0], change[1], 1))


def test_one_end_alone_is_refused() -> None:
    with pytest.raises(SubjectError, match="needs \\[server\\] and \\[client\\]"):
        subjects.parse(MINIMAL.partition("[client]")[0])


def test_what_a_program_says_becomes_a_value() -> None:
    said = MINIMAL.replace("[server]", '[server]\nready = { output = "key=(?P<their_key>\\\\w+)" }')
    subjects.parse(said.replace("my-client", "my-client-{their_key}"))
    with pytest.raises(SubjectError, match="their_key"):
        subjects.parse(MINIMAL.replace("my-client", "my-client-{their_key}"))


def test_filling_leaves_other_braces_alone() -> None:
    text = '{"a": {"port": {port}}, "b": {}} {other} { port }'
    assert values.fill(text, {"port": "7"}) == '{"a": {"port": 7}, "b": {}} {other} { port }'


def test_secrets_come_from_the_seed() -> None:
    one, again, other = values.secrets(1), values.secrets(1), values.secrets(2)
    assert one == again
    assert all(one[name] != other[name] for name in one)
    assert set(one) < set(values.NAMES)


def test_what_is_missing_is_said_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = subjects.parse(MINIMAL.replace('kind = "socks"', 'kind = "socks"\ninstall = "apt-get install mine"'))
    said = subjects.missing(subject)
    assert said == "not installed: my-server, my-client; apt-get install mine"
    monkeypatch.setenv("ROZANEH_PEERS", str(tmp_path))
    assert programs.peers() is None
    assert subjects.missing(subjects.load("trojan")).startswith("not installed: sing-box; make test")
    assert subjects.missing(subjects.load("vless-reality-vision")).startswith(
        "not installed: the Python of the peers environment, Xray-core; make test"
    )
    assert subjects.version(subjects.load("vless-reality-vision")) == ""
    assert subjects.version(subjects.load("trojan")) == ""
    assert subjects.missing(subjects.load("do53")) == ""


def test_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "is_root", lambda: False)
    assert subjects.missing(subjects.load("wireguard-go")) == "needs root"
    assert subjects.missing(subjects.load("curl")) == ""


def test_packages_are_found_however_they_are_spelt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    (site / "some_tool_py-1.2.3.dist-info").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    monkeypatch.setenv("ROZANEH_PEERS", str(tmp_path))
    assert programs.package_version("Some-Tool.py") == "1.2.3"
    assert programs.package_version("some-tool") == ""


def test_versions_are_read_from_what_programs_say() -> None:
    def version(argv: str, extra: str = "") -> str:
        return subjects.version(subjects.parse(f'name = "v"\nkind = "direct"\nversion = {{ argv = {argv}{extra} }}'))

    assert version('["echo", "tool 1.22.333-beta on linux"]') == "1.22.333-beta"
    assert version('["echo", "tool v7"]', r", pattern = 'v(?P<version>\d+)'") == "7"
    assert version('["echo", "nothing"]') == ""
    assert version('["no-such-program-anywhere"]') == ""
    assert subjects.version(subjects.load("curl")).count(".") == 2
    assert isinstance(subjects.load("curl"), Subject)

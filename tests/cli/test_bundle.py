"""``rozaneh key`` and ``rozaneh bundle`` as a person types them, from a feed to a page."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rozaneh.cli.main import cli
from tests.offline.site import Site, site
from tests.offline.test_make import article, rss


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def web(here: Path) -> Iterator[Site]:
    with site() as found:
        found.put("/feed", rss(found, range(4)), type="application/rss+xml")
        for number in range(6):
            found.put(f"/{number}", article(number))
        (here / "s.toml").write_text(f'[[source]]\nfeed = "{found.url("/feed")}"\nallow_private = true\n')
        yield found


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == code, result.stderr
    return result


def answer(*arguments: str, code: int = 0) -> dict[str, object]:
    found: dict[str, object] = json.loads(run(*arguments, "--json", code=code).stdout)
    return found


def test_from_a_feed_to_a_page(web: Site, here: Path) -> None:
    run("key", "new", "--out", "k")
    assert stat.S_IMODE((here / "k").stat().st_mode) == 0o600
    made = answer("bundle", "make", "s.toml", "--key", "k", "--out", "b.rzb", "--limit", "250KB")
    assert (made["articles"], made["left_out"], made["failed"]) == (4, 0, [])
    assert made["bytes"] == (here / "b.rzb").stat().st_size
    checked = answer("bundle", "verify", "b.rzb", "--issuer", "k.pub")
    assert (checked["ok"], checked["whole"]) == (True, True)
    run("bundle", "open", "b.rzb", "--issuer", (here / "k.pub").read_text().strip(), "--out", "news")
    assert "Title 3" in (here / "news" / "index.html").read_text()
    assert len(list((here / "news" / "a").iterdir())) == 4


def test_anything_wrong_is_exit_code_10_and_says_what(web: Site, here: Path) -> None:
    run("key", "new", "--out", "k")
    run("key", "new", "--out", "other")
    run("bundle", "make", "s.toml", "--key", "k", "--out", "b")
    data = (here / "b").read_bytes()
    (here / "torn").write_bytes(data[:-10])
    torn = answer("bundle", "verify", "torn", "--issuer", "k.pub", code=10)
    assert torn["ok"] is False
    assert torn["editions"][0]["missing"] == ["Title 0"]  # type: ignore[index]
    assert "missing: Title 0" in run("bundle", "verify", "torn", "--issuer", "k.pub", code=10).stderr
    assert answer("bundle", "open", "torn", "--issuer", "k.pub", "--out", "t")["missing"] == ["Title 0"]
    (here / "more").write_bytes(data + b"x")
    assert "behind" in run("bundle", "verify", "more", "--issuer", "k.pub", code=10).stderr
    run("bundle", "verify", "b", "--issuer", "other.pub", code=10)
    run("bundle", "open", "b", "--issuer", "other.pub", "--out", "o", code=10)
    assert not (here / "o").exists()
    run("bundle", "verify", "k.pub", "--issuer", "k.pub", code=10)
    run("bundle", "verify", "none", "--issuer", "k.pub", code=2)
    run("bundle", "verify", "b", "--issuer", "none", code=2)


def test_a_key_is_handed_over(web: Site, here: Path) -> None:
    for name in ("a", "b", "c"):
        run("key", "new", "--out", name)
    run("key", "rotate", "--old", "a", "--new", "b", "--out", "chain")
    run("key", "rotate", "--old", "b", "--new", "c", "--out", "chain")
    run("key", "rotate", "--old", "a", "--new", "b", "--out", "chain", code=3)
    shown = answer("key", "show", "chain")
    assert shown["words"] == answer("key", "show", "c")["words"] == answer("key", "show", "c.pub")["words"]
    for name, code in (("a", 10), ("b", 10), ("c", 0)):
        run("bundle", "make", "s.toml", "--key", name, "--out", f"by-{name}")
        run("bundle", "verify", f"by-{name}", "--issuer", "chain", code=code)
    run("key", "new", "--out", "a", code=3)


def test_two_of_three_must_sign(web: Site, here: Path) -> None:
    for name in ("a", "b", "c"):
        run("key", "new", "--out", name)
    lines = "".join((here / f"{name}.pub").read_text() for name in "abc")
    (here / "board").write_text(f"rozaneh-policy:1:2\n{lines}")
    run("bundle", "make", "s.toml", "--key", "a", "--out", "one")
    run("bundle", "make", "s.toml", "--key", "a", "--key", "c", "--out", "two")
    run("bundle", "verify", "one", "--issuer", "board", code=10)
    run("bundle", "verify", "two", "--issuer", "board")
    assert "2 of 3" in run("key", "show", "board").stdout


def test_a_delta_needs_its_base_and_a_merge_does_not(web: Site, here: Path) -> None:
    run("key", "new", "--out", "k")
    run("bundle", "make", "s.toml", "--key", "k", "--out", "monday")
    web.put("/feed", rss(web, range(2, 6)), type="application/rss+xml")
    run("bundle", "make", "s.toml", "--key", "k", "--out", "tuesday", "--base", "monday")
    assert answer("bundle", "verify", "tuesday", "--issuer", "k.pub")["ok"] is True
    assert answer("bundle", "open", "tuesday", "--issuer", "k.pub", "--out", "half")["articles"] == 2
    whole = answer("bundle", "open", "tuesday", "--issuer", "k.pub", "--out", "whole", "--base", "monday")
    assert (whole["articles"], whole["missing"]) == (4, [])
    found = answer("bundle", "diff", "monday", "tuesday")
    titles = {name: sorted(one["title"] for one in found[name]) for name in ("added", "removed", "changed")}  # type: ignore[attr-defined]
    assert titles == {"added": ["Title 4", "Title 5"], "removed": ["Title 0", "Title 1"], "changed": []}
    run("bundle", "merge", "monday", "tuesday", "--issuer", "k.pub", "--out", "week")
    assert answer("bundle", "verify", "week", "--issuer", "k.pub")["ok"] is True
    assert answer("bundle", "open", "week", "--issuer", "k.pub", "--out", "all")["articles"] == 6
    run("bundle", "merge", "tuesday", "--issuer", "k.pub", "--out", "same")
    assert (here / "same").read_bytes() == (here / "tuesday").read_bytes()


def test_inspect_says_that_nobody_vouches(web: Site) -> None:
    run("key", "new", "--out", "k")
    run("bundle", "make", "s.toml", "--key", "k", "--out", "b")
    assert "unverified" in run("bundle", "inspect", "b").stderr
    assert answer("bundle", "inspect", "b")["verified"] is False
    assert answer("bundle", "inspect", "b", "--issuer", "k.pub")["verified"] is True
    assert "unverified" not in run("bundle", "inspect", "b", "--issuer", "k.pub").stderr


def test_what_is_written_wrongly(web: Site) -> None:
    run("key", "new", "--out", "k")
    for size in ("0", "-1", "10XB", "1.5MB", ""):
        run("bundle", "make", "s.toml", "--key", "k", "--out", "b", "--limit", size, code=2)
    run("bundle", "make", "s.toml", "s.toml", "--key", "k", "--out", "b", code=2)
    run("bundle", "make", "none.toml", "--key", "k", "--out", "b", code=2)
    run("bundle", "make", "s.toml", "--key", "none", "--out", "b", code=10)


def test_split_and_joined_by_people_without_a_key(web: Site, here: Path) -> None:
    run("key", "new", "--out", "k")
    run("bundle", "make", "s.toml", "--key", "k", "--out", "b")
    (here / "k").rename(here / "away")
    made = answer("bundle", "split", "b", "--carrier", "files", "--out", "p", "--size", "2KB", "--fec", "50%")
    names = sorted((here / "p").iterdir())
    assert made["pieces"] == len(names)
    assert max(path.stat().st_size for path in names) <= 2_000
    for path in names[: len(names) // 4]:
        path.unlink()
    joined = answer("bundle", "join", "p", "--issuer", "k.pub", "--out", "again")
    assert joined["ok"] is True
    assert (here / "again").read_bytes() == (here / "b").read_bytes()
    assert answer("bundle", "split", "b", "--carrier", "qr", "--out", "codes")["pieces"] == len(
        list((here / "codes").glob("*.png"))
    )
    # Photographs, pieces and things of other kinds, all at once.
    (here / "codes" / "note.txt").write_text("not a piece")
    run("bundle", "join", "codes", "p", "--issuer", "k.pub", "--out", "mixed")
    assert (here / "mixed").read_bytes() == (here / "b").read_bytes()


def test_too_few_pieces_say_what_is_missing(web: Site, here: Path) -> None:
    run("key", "new", "--out", "k")
    run("key", "new", "--out", "other")
    run("bundle", "make", "s.toml", "--key", "k", "--out", "b")
    run("bundle", "split", "b", "--carrier", "files", "--out", "p", "--size", "2KB", "--fec", "0%")
    next((here / "p").iterdir()).unlink()
    found = answer("bundle", "join", "p", "--issuer", "k.pub", "--out", "x", code=10)
    assert found["ok"] is False
    assert found["missing"][0]["here"] < found["missing"][0]["needed"]  # type: ignore[index]
    assert not (here / "x").exists()
    stranger = answer("bundle", "join", "p", "--issuer", "other.pub", "--out", "x", code=10)
    assert stranger["missing"] == []
    assert not list(here.glob(".tmp-*"))
    run("bundle", "join", "none", "--issuer", "k.pub", "--out", "x", code=2)


def test_pieces_of_a_bundle_that_too_few_signed_make_none(web: Site, here: Path) -> None:
    for name in ("a", "b", "c"):
        run("key", "new", "--out", name)
    (here / "board").write_text("rozaneh-policy:1:2\n" + "".join((here / f"{name}.pub").read_text() for name in "abc"))
    run("bundle", "make", "s.toml", "--key", "a", "--out", "one")
    run("bundle", "split", "one", "--carrier", "files", "--out", "p", "--size", "2KB")
    run("bundle", "join", "p", "--issuer", "board", "--out", "x", code=10)
    assert not (here / "x").exists()


def test_headlines_on_a_wall(web: Site, here: Path) -> None:
    run("key", "new", "--out", "k")
    made = answer("bundle", "make", "s.toml", "--key", "k", "--out", "h", "--limit", "1KB")
    assert made["headlines"] == 4
    assert made["bytes"] == (here / "h").stat().st_size <= 1_000
    assert answer("bundle", "verify", "h", "--issuer", "k.pub")["headlines"] == [f"Title {n}" for n in (3, 2, 1, 0)]
    assert answer("bundle", "split", "h", "--carrier", "qr", "--out", "wall")["pieces"] == 1
    run("bundle", "join", "wall/0001.png", "--issuer", "k.pub", "--out", "read")
    assert (here / "read").read_bytes() == (here / "h").read_bytes()
    run("key", "new", "--out", "other")
    run("bundle", "verify", "h", "--issuer", "other.pub", code=10)
    run("bundle", "join", "wall", "--issuer", "other.pub", "--out", "x", code=10)

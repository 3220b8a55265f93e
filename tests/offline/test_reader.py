"""Pages for a device without a network: nothing in them runs, loads or leads out, and every word is found."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.issuer import of_key
from rozaneh.offline import container, text
from rozaneh.offline.extract import ExtractError, extract
from rozaneh.offline.reader import search
from rozaneh.offline.reader.folder import write
from rozaneh.offline.reader.page import POLICY
from tests.offline.editions import KEYS, blob_of, file_of, manifest

OUR_TAGS = {"html", "head", "meta", "title", "style", "body", "nav", "footer", "h1", "h2", "p", "ul", "li", "a", "span"}
OUR_TAGS |= {"br", "table", "tr", "td", "blockquote", "pre"}
OUR_ATTRIBUTES = {"lang", "dir", "charset", "http-equiv", "content", "name", "href", "class"}
HOSTILE = [
    "<script>document.title='pwned'</script>",
    "<img src=x onerror=\"document.title='pwned'\">",
    "<svg onload=\"document.title='pwned'\">",
    "<iframe srcdoc=\"<script>parent.document.title='pwned'</script>\"></iframe>",
    "<a href=\"javascript:document.title='pwned'\">x</a>",
    "<style>@import 'http://127.0.0.1:1/x'</style>",
    "<link rel=stylesheet href=http://127.0.0.1:1/x>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:1/'>",
    "<base href=http://127.0.0.1:1/>",
    "<form action=http://127.0.0.1:1/><button>x</button></form>",
    "<object data=http://127.0.0.1:1/x></object>",
    "<video src=http://127.0.0.1:1/x autoplay></video>",
    "</title><script>document.title='pwned'</script>",
    "\"><script>document.title='pwned'</script>",
    "'><script>document.title='pwned'</script>",
    "--><script>document.title='pwned'</script>",
    "]]><script>document.title='pwned'</script>",
    "</textarea></style></noscript><script>document.title='pwned'</script>",
    "&lt;script&gt;document.title='pwned'&lt;/script&gt;",
    "&#60;script&#62;document.title='pwned'&#60;/script&#62;",
    "<scr<script>ipt>document.title='pwned'</scr</script>ipt>",
    "<math><mi//xlink:href=\"data:x,<script>document.title='pwned'</script>\">",
    "<template><script>document.title='pwned'</script></template>",
    "\x00<script\x00>document.title='pwned'</script>",
    "\u202e<script>document.title='pwned'</script>",
]
FILLER = "These are the honest words of an article that is long enough to be taken for one by anybody. " * 3


class Judge(HTMLParser):
    """Collects every tag and attribute of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]


def judged(page: bytes) -> Judge:
    judge = Judge()
    judge.feed(page.decode())
    judge.close()
    assert judge.tags <= OUR_TAGS, judge.tags - OUR_TAGS
    assert judge.attributes <= OUR_ATTRIBUTES, judge.attributes - OUR_ATTRIBUTES
    return judge


def shown(folder: Path, *texts: str, lost: tuple[str, ...] = ()) -> Path:
    """The pages of an edition with these texts; the parts of those in `lost` are torn off."""
    file = BytesIO(file_of(manifest(*texts), texts=texts))
    head = container.read_head(file, of_key(KEYS[0].public()))
    blobs = {blob.hash: content for blob, content in container.read_blobs(file, head) if content is not None}
    for words in lost:
        del blobs[blob_of(words)[0].hash]
    write(folder, head.editions, blobs, "eight words")
    return folder


@given(st.lists(st.tuples(st.sampled_from(sorted(text.KINDS)), st.text(min_size=1, max_size=60)), min_size=1))
def test_no_text_becomes_markup(raw: list[tuple[str, str]]) -> None:
    blocks = [made for kind, words in raw if (made := text.block(kind, words))]
    if blocks:
        assert text.decode(text.encode(blocks)) == tuple(blocks)
        judge = Judge()
        judge.feed(text.to_html(blocks))
        assert judge.tags <= {"p", "h2", "ul", "li", "blockquote", "pre", "table", "tr", "td"}
        assert judge.attributes == set()


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{}",
        b'[["p",""]]',
        b'[["x","a"]]',
        b'[["p","a"] ]',
        b'[["p","a\\nb"]]',
        b'[["p"]]',
        b'[["p","\\u0061"]]',
    ],
)
def test_a_text_has_one_form(content: bytes) -> None:
    with pytest.raises(Fault):
        text.decode(content)


def placements(payload: str) -> list[str]:
    """Pages with the payload in twenty places."""
    inside = [
        f"<p>{FILLER}{payload}</p>",
        f"<p>{payload}{FILLER}</p>",
        f"<p>{FILLER}</p>{payload}",
        f"{payload}<p>{FILLER}</p>",
        f"<h2>{payload}</h2><p>{FILLER}</p>",
        f"<ul><li>{payload} {FILLER}</li></ul><p>{FILLER}</p>",
        f"<blockquote>{payload} {FILLER}</blockquote><p>{FILLER}</p>",
        f"<pre>{payload}\n{FILLER}</pre><p>{FILLER}</p>",
        f"<table><tr><td>{payload}</td><td>x</td></tr></table><p>{FILLER}</p>",
        f'<p title="{payload}">{FILLER}</p>',
        f"<p><b>{payload}</b><i>{FILLER}</i></p>",
        f"<p><code>{payload}</code>{FILLER}</p>",
        f"<p>{FILLER}<!-- {payload} --></p>",
        f"<p>{FILLER}<br>{payload}</p>",
        f"<p>{FILLER}<a href='/x'>{payload}</a></p>",
        f"<figure><figcaption>{payload}</figcaption></figure><p>{FILLER}</p>",
    ]
    pages = [f"<html><head><title>T</title></head><body><article>{one}</article></body></html>" for one in inside]
    rest = f"<body><article><p>{FILLER}</p></article></body>"
    pages.append(f"<html><head><title>{payload}</title></head>{rest}</html>")
    pages.append(f'<html lang="{payload}"><head><meta name="author" content="{payload}"></head>{rest}</html>')
    pages.append(f'<html><head><meta property="og:title" content="{payload}"></head>{rest}</html>')
    pages.append(f"<html>{payload}<body><article><p>{FILLER}</p></article>{payload}</body></html>")
    return pages


def test_of_500_hostile_pages_nothing_is_left_but_words(tmp_path: Path) -> None:
    pages = list(itertools.chain.from_iterable(map(placements, HOSTILE)))
    assert len(pages) == 500
    texts: dict[str, tuple[text.Block, ...]] = {}
    for number, page in enumerate(pages):
        try:
            found = extract(page.encode("utf-8", "surrogatepass"), "text/html; charset=utf-8", "https://x.example/")
        except ExtractError:
            continue
        blocks = text.decode(text.encode(found.blocks))
        judge = Judge()
        judge.feed(text.to_html(blocks))
        assert judge.tags <= {"p", "h2", "ul", "li", "blockquote", "pre", "table", "tr", "td"}
        texts[str(number)] = blocks
    assert len(texts) > 400


def test_pages_forbid_everything_and_lead_nowhere(tmp_path: Path) -> None:
    folder = shown(
        tmp_path / "news",
        *(f"{number} {payload}".replace("\x00", "").replace("\u202e", "") for number, payload in enumerate(HOSTILE)),
    )
    names = [path for path in folder.rglob("*") if path.is_file()]
    assert len(names) > len(HOSTILE)
    for path in names:
        content = path.read_bytes()
        judge = judged(content)
        assert POLICY.replace("'", "&#x27;").encode() in content
        for link in judge.links:
            target = (path.parent / unquote(link)).resolve()
            assert target.is_file(), link
            assert folder.resolve() in target.parents


def test_every_word_is_found(tmp_path: Path) -> None:
    texts = ("روزنه کوچک در دیوار", "любой человек имеет право", "新闻自由", "plain words here")
    folder = shown(tmp_path / "news", *texts)
    for number, words in enumerate(texts):
        for word in search.tokens(words):
            assert _looked_up(folder, word) == {number}, word


def _looked_up(folder: Path, word: str) -> set[int]:
    """The articles under a word, by following the links a person follows."""
    page = folder / "search" / "index.html"
    for step in (word[0], word[:2]):
        page = page.parent / _targets(page)[step]
    part = page.read_text().split(f"<h2>{word}</h2>")[1].split("</ul>")[0]
    ids = [one.partition(".html")[0] for one in part.split("../a/")[1:]]
    index = (folder / "index.html").read_text()
    order = [one.partition(".html")[0] for one in index.split('href="a/')[1:]]
    return {order.index(one) for one in ids}


def _targets(page: Path) -> dict[str, str]:
    found = {}
    for part in page.read_text().split('<a href="')[1:]:
        address, _, rest = part.partition('">')
        found[rest.partition("<")[0]] = address
    return found


def test_common_words_and_many_places_are_bounded() -> None:
    article = manifest("x").articles[0]
    articles = [replace(article, id=f"{number:016x}", title=f"t{number}") for number in range(200)]
    texts = {one.id: "everywhere " + ("often" if number < 90 else "") for number, one in enumerate(articles)}
    from rozaneh.offline.reader.words import ENGLISH

    pages = b"".join(content for _, content in search.pages(texts, articles, ENGLISH)).decode()
    assert "<h2>everywhere</h2>" not in pages
    part = pages.split("<h2>often</h2>")[1].split("</ul>")[0]
    assert part.count("<li>") == search.MAX_PLACES


def test_what_is_torn_off_is_named(tmp_path: Path) -> None:
    folder = shown(tmp_path / "news", "kept", "lost", lost=("lost",))
    index = (folder / "index.html").read_text()
    assert "Title of lost" in index.split("Not in this file")[1]
    assert len(list((folder / "a").iterdir())) == 1


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "news"
    folder.mkdir()
    shown(folder, "into an empty one")
    before = sorted(folder.rglob("*"))
    with pytest.raises(Fault) as caught:
        shown(folder, "other")
    assert caught.value.kind is FaultKind.CONFIG
    assert sorted(folder.rglob("*")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["news"]


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    left = tmp_path / ".tmp-news-0123"
    (left / "a").mkdir(parents=True)
    (left / "a" / "half.html").write_text("half")
    shown(tmp_path / "news", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["news"]


@pytest.mark.root
def test_a_browser_without_a_network_shows_it_and_runs_nothing(tmp_path: Path) -> None:
    payload = " ".join(HOSTILE).replace("\x00", "").replace("\u202e", "")
    folder = shown(tmp_path / "news", payload, "second")
    article = next(path for path in (folder / "a").iterdir() if b"pwned" in path.read_bytes())
    browser = next(found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name)))
    done = subprocess.run(
        ["unshare", "-rn", browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", article.as_uri()],
        capture_output=True,
        timeout=120,
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
    )
    dom = done.stdout.decode()
    judged(done.stdout)
    assert "<title>Title of" in dom
    assert "document.title='pwned'" in dom

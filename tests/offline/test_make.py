"""Making: articles in, the newest that fit out, the same bytes each time, and what fails is said."""

from __future__ import annotations

import random
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.issuer import of_key
from rozaneh.offline import container, text
from rozaneh.offline.fetch import Fetcher
from rozaneh.offline.make import Gathered, Made, gather, make
from rozaneh.offline.sources import SourceList, load, of_feeds, own_hosts
from tests.offline.editions import KEYS
from tests.offline.site import Site, site

ISSUED = 1_800_000_000
WORDS = {
    "fa": "خبر امروز تهران اینترنت قطع مردم جهان گزارش سازمان اقتصاد آب برق دانشگاه کتاب",
    "ru": "новость сегодня город люди мир отчёт вода свет книга университет связь дорога",
    "en": "news today city people world report water light book university network road",
}


def article(number: int, language: str = "fa", words: int = 60) -> str:
    pick = random.Random(number)
    parts = [" ".join(pick.choices(WORDS[language].split(), k=words)) + "." for _ in range(4)]
    body = "".join(f"<p>{part}</p>" for part in parts)
    return (
        f'<html lang="{language}"><head><meta charset="utf-8"><title>Site</title></head><body><nav><a href="/">Menu</a>'
        f"</nav><article><h1>Title {number}</h1>{body}</article><footer>Footer</footer><script>alert(1)</script></body>"
        "</html>"
    )


def rss(site: Site, numbers: range) -> str:
    items = "".join(
        f"<item><title>Title {n}</title><link>{site.url(f'/{n}')}</link>"
        f"<pubDate>Mon, {n + 1:02d} Feb 2026 08:00:00 GMT</pubDate></item>"
        for n in numbers
    )
    return f'<rss version="2.0"><channel><title>Paper</title><language>fa</language>{items}</channel></rss>'


@pytest.fixture
def web() -> Iterator[Site]:
    with site() as found:
        found.put("/feed", rss(found, range(10)), type="application/rss+xml")
        for number in range(10):
            found.put(f"/{number}", article(number))
        yield found


def sources(web: Site, tmp_path: Path, *lines: str) -> SourceList:
    path = tmp_path / "sources.toml"
    tables = "".join(f"[[source]]\nallow_private = true\n{line}\n" for line in lines)
    path.write_text(tables.replace("SITE", web.url("").rstrip("/")))
    return load(path)


def gathered(web: Site, tmp_path: Path, *lines: str) -> Gathered:
    wanted = sources(web, tmp_path, *lines)
    with Fetcher(own_hosts(wanted)) as fetcher:
        return gather(wanted, fetcher.fetch)


def build(found: Gathered, **more: object) -> Made:
    return make(found, [KEYS[0]], title="Paper", issued=ISSUED, **more)  # type: ignore[arg-type]


def texts(content: bytes) -> dict[str, str]:
    file = BytesIO(content)
    head = container.read_head(file, of_key(KEYS[0].public()))
    blobs = dict(container.read_blobs(file, head))
    found = {}
    for one in head.editions[0].manifest.articles:
        blob = head.editions[0].manifest.blobs[one.text]
        found[one.title] = text.plain(text.decode(container.inflate(blob, blobs[blob] or b"")))
    return found


def test_a_feed_becomes_a_bundle(web: Site, tmp_path: Path) -> None:
    found = gathered(web, tmp_path, 'feed = "SITE/feed"\nlicence = "CC BY 4.0"')
    assert found.failures == ()
    made = build(found)
    manifest = made.edition.manifest
    assert [one.title for one in manifest.articles] == [f"Title {n}" for n in reversed(range(10))]
    first = manifest.articles[0]
    assert (first.rtl, first.language, first.url) == (True, "fa", web.url("/9"))
    assert (manifest.sources[0].name, manifest.sources[0].licence) == ("Paper", "CC BY 4.0")
    said = texts(made.content)["Title 9"]
    for part in ("Menu", "Footer", "alert", "Title 9"):
        assert part not in said
    assert set(said.replace(".", " ").split()) <= set(WORDS["fa"].split())
    assert len(said.split()) == 240
    assert build(gathered(web, tmp_path, 'feed = "SITE/feed"\nlicence = "CC BY 4.0"')).content == made.content


def test_the_newest_that_fit(web: Site, tmp_path: Path) -> None:
    found = gathered(web, tmp_path, 'feed = "SITE/feed"')
    everything = build(found)
    limit = len(everything.content) // 2
    made = build(found, limit=limit)
    kept = [one.title for one in made.edition.manifest.articles]
    assert kept == [f"Title {n}" for n in reversed(range(10))][: len(kept)]
    assert len(made.content) <= limit
    assert made.left_out == 10 - len(kept) > 0
    assert build(found, limit=len(everything.content)).content == everything.content
    with pytest.raises(Fault, match="Not one article"):
        build(found, limit=200)


def test_what_readers_have_is_left_out(web: Site, tmp_path: Path) -> None:
    old = build(gathered(web, tmp_path, 'feed = "SITE/feed"'))
    web.put("/feed", rss(web, range(2, 12)), type="application/rss+xml")
    for number in (10, 11):
        web.put(f"/{number}", article(number))
    file = BytesIO(old.content)
    head = container.read_head(file, None)
    blobs = {blob.hash: content or b"" for blob, content in container.read_blobs(file, head)}
    new = build(gathered(web, tmp_path, 'feed = "SITE/feed"'), base=blobs, base_digest=old.edition.digest)
    assert [blob.base for blob in new.edition.manifest.blobs] == [False] * 2 + [True] * 8
    assert new.edition.manifest.base == old.edition.digest
    assert len(new.content) < len(old.content) * 0.6


def test_sitemaps_pages_and_feeds_that_carry_their_articles(web: Site, tmp_path: Path) -> None:
    rows = "".join(f"<url><loc>{web.url(f'/{n}')}</loc><lastmod>2026-01-0{n + 1}</lastmod></url>" for n in range(3))
    web.put("/map", f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{rows}</urlset>', type="text/xml")
    web.put("/index", f"<sitemapindex><sitemap><loc>{web.url('/map')}</loc></sitemap></sitemapindex>", type="text/xml")
    body = "".join(f"<p>{' '.join(random.Random(n).choices(WORDS['ru'].split(), k=50))}</p>" for n in range(3))
    web.put(
        "/atom",
        '<feed xmlns="http://www.w3.org/2005/Atom"><title>Atom</title><entry><title>Whole</title>'
        f'<link href="{web.url("/gone")}"/><updated>2026-03-01T00:00:00Z</updated>'
        f'<content type="html">{body.replace("<", "&lt;")}</content></entry></feed>',
        type="application/atom+xml",
    )
    found = gathered(
        web, tmp_path, 'sitemap = "SITE/index"\narticles = 2', 'page = "SITE/7"\nname = "One"', 'feed = "SITE/atom"'
    )
    assert found.failures == ()
    assert [(one.source, one.about.title) for one in found.articles] == [
        (0, "Title 2"),
        (0, "Title 1"),
        (1, "Title 7"),
        (2, "Whole"),
    ]
    assert [one.name for one in found.sources] == ["localhost", "One", "Atom"]


def test_one_text_under_two_addresses_is_one_article(web: Site, tmp_path: Path) -> None:
    web.put("/copy", article(3))
    found = gathered(web, tmp_path, 'page = "SITE/3"', 'page = "SITE/copy"', 'page = "SITE/3"')
    assert len(build(found).edition.manifest.articles) == 1


def test_what_fails_is_said_and_the_rest_is_made(web: Site, tmp_path: Path) -> None:
    web.put("/5", "<p>Subscribe to read on.</p>")
    web.put("/6", b"%PDF-1.7", type="application/pdf")
    web.put("/bad", "this is no feed")
    del web.answers["/7"]
    found = gathered(web, tmp_path, 'feed = "SITE/feed"', 'feed = "SITE/bad"', 'feed = "SITE/none"')
    why = {one.url.removeprefix(web.url("")): one.why for one in found.failures}
    assert why == {
        "/5": "there is no article in it",
        "/6": "it is no page",
        "/7": "the site answered 404",
        "/bad": "it is no feed",
        "/none": "the site answered 404",
    }
    assert len(build(found).edition.manifest.articles) == 7
    nothing = gathered(web, tmp_path, 'feed = "SITE/bad"')
    with pytest.raises(Fault) as caught:
        build(nothing)
    assert caught.value.kind is FaultKind.FAILED


def test_libraries_get_no_address_to_fetch(web: Site, tmp_path: Path) -> None:
    web.put(
        "/xxe",
        f'<!DOCTYPE f [<!ENTITY x SYSTEM "{web.url("/leak")}"><!ENTITY y SYSTEM "file:///etc/hostname">]>'
        '<rss version="2.0"><channel><title>&x;&y;</title></channel></rss>',
        type="text/xml",
    )
    web.put(
        "/mapxxe", f'<!DOCTYPE u SYSTEM "{web.url("/leak")}"><urlset><url><loc>x</loc></url></urlset>', type="text/xml"
    )
    web.put("/asurl", web.url("/leak"), type="text/xml")
    web.put(
        "/page",
        article(1).replace(
            "<article>", f'<article><img src="{web.url("/leak")}"><iframe src="{web.url("/leak")}"></iframe>'
        ),
    )
    gathered(
        web,
        tmp_path,
        'feed = "SITE/xxe"',
        'sitemap = "SITE/mapxxe"',
        'feed = "SITE/asurl"',
        'page = "SITE/page"',
    )
    assert "/leak" not in web.asked


def test_lists_of_sources_are_judged(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    for content in (
        "",
        "source = 1",
        "[[source]]",
        '[[source]]\nfeed = "https://a.example/"\npage = "https://a.example/"',
        '[[source]]\nfeed = "file:///etc/passwd"',
        '[[source]]\nfeed = "https://a.example/"\narticles = 0',
        '[[source]]\nfeed = "https://a.example/"\nextra = 1',
        'title = "a\\nb"\n[[source]]\nfeed = "https://a.example/"',
        "[[",
    ):
        path.write_text(content)
        with pytest.raises(Fault) as caught:
            load(path)
        assert caught.value.kind is FaultKind.CONFIG, content
    with pytest.raises(Fault):
        of_feeds(("ftp://a.example/",))
    with pytest.raises(Fault):
        load(tmp_path / "none")

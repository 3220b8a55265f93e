"""Fetching: every address on the way is judged anew, sizes and times are bounded, robots.txt is asked first."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest

from rozaneh.offline.fetch import MAX_BYTES, MAX_REDIRECTS, Fetcher, FetchError
from tests.offline.site import Site, site

ROBOTS = "/robots.txt"


@pytest.fixture
def web() -> Iterator[Site]:
    with site() as found:
        yield found


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    with Fetcher({"localhost"}) as found:
        yield found


def refused(fetcher: Fetcher, url: str) -> str:
    with pytest.raises(FetchError) as caught:
        fetcher.fetch(url)
    assert url not in str(caught.value)
    return str(caught.value)


def test_a_page_comes_with_its_type_and_last_address(web: Site, fetcher: Fetcher) -> None:
    web.put("/b", "<p>سلام", type="text/html; charset=utf-8")
    found = fetcher.fetch(web.put("/a", status=302, headers={"Location": "/b#part"}))
    assert (found.url, found.content, found.content_type) == (
        web.url("/b"),
        "<p>سلام".encode(),
        "text/html; charset=utf-8",
    )
    assert web.asked == [ROBOTS, "/a", "/b"]


def test_private_addresses_are_not_dialled(web: Site) -> None:
    with Fetcher() as strict:
        # Port 80 and 443 alone are for strangers' hosts; what listens there is not asked either.
        assert "ports" in refused(strict, web.url("/"))
        for host in ("localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.0.0.1", "169.254.169.254"):
            assert "private" in refused(strict, f"http://{host}/"), host
    assert web.asked == []


def test_a_redirect_is_a_new_question(web: Site, fetcher: Fetcher) -> None:
    web.put("/x", "secret")
    for target in (
        web.url("/x", "127.0.0.1"),
        "http://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "ftp://localhost/x",
        f"http://user@localhost:{web.port}/x",
        "//127.0.0.1/x",
        "gopher://localhost",
    ):
        refused(fetcher, web.put("/r", status=301, headers={"Location": target}))
    assert "/x" not in web.asked


def test_redirects_end(web: Site, fetcher: Fetcher) -> None:
    refused(fetcher, web.put("/loop", status=302, headers={"Location": "/loop"}))
    assert web.asked.count("/loop") == MAX_REDIRECTS + 1


def test_size_is_bounded_also_behind_a_coding(web: Site, fetcher: Fetcher) -> None:
    assert "longer" in refused(fetcher, web.put("/endless", endless=True))
    bomb = gzip.compress(b"\0" * (MAX_BYTES + 1))
    assert len(bomb) < 20_000
    assert "longer" in refused(fetcher, web.put("/bomb", bomb, headers={"Content-Encoding": "gzip"}))
    assert (
        fetcher.fetch(web.put("/zip", gzip.compress(b"page"), headers={"Content-Encoding": "gzip"})).content == b"page"
    )


def test_time_is_bounded(web: Site) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 16.0
        return now[0]

    with Fetcher({"localhost"}, clock=clock) as slow:
        assert "longer than 30 seconds" in refused(slow, web.put("/", "page"))


def test_robots_are_respected(web: Site, fetcher: Fetcher) -> None:
    web.put(ROBOTS, "User-agent: *\nDisallow: /private/\n", type="text/plain")
    web.put("/private/a", "x")
    assert "robots" in refused(fetcher, web.url("/private/a"))
    assert fetcher.fetch(web.put("/open", "x")).content == b"x"
    assert web.asked == [ROBOTS, "/open"]


def test_robots_hold_for_where_a_redirect_leads(web: Site, fetcher: Fetcher) -> None:
    web.put(ROBOTS, "User-agent: *\nDisallow: /b\n", type="text/plain")
    web.put("/b", "x")
    assert "robots" in refused(fetcher, web.put("/a", status=302, headers={"Location": "/b"}))
    assert "/b" not in web.asked


def test_a_site_whose_robots_cannot_be_read_is_left_alone(web: Site, fetcher: Fetcher) -> None:
    web.put(ROBOTS, status=503)
    assert "programs may read" in refused(fetcher, web.put("/", "x"))


@pytest.mark.parametrize(
    "url", ["", "x", "http://", "http://a b/", "https://x.example:99999/", "http://[::1", "http://x\n/"]
)
def test_what_is_no_address(fetcher: Fetcher, url: str) -> None:
    with pytest.raises(FetchError):
        fetcher.fetch(url)

"""Requests of HTTP/2, good and bad."""

from __future__ import annotations

from dataclasses import dataclass

from tests.interop.cover_site import LAST_MODIFIED

GET2 = [(":method", "GET"), (":scheme", "https"), (":authority", "cover.test"), (":path", "/hello.txt")]


@dataclass(frozen=True)
class H2Case:
    """One request on one stream: fields, whether they end it, and the DATA behind them (which then ends it)."""

    name: str
    fields: tuple[tuple[str, str], ...]
    end: bool = True
    data: bytes | None = None


def with2(*more: tuple[str, str], **pseudo: str | None) -> tuple[tuple[str, str], ...]:
    """The plain GET with pseudo-header fields replaced (or left out by None) and fields added."""
    out = [(name, pseudo.get(name[1:], value)) for name, value in GET2]
    return (*((name, value) for name, value in out if value is not None), *more)


def _h2() -> list[H2Case]:
    agent = ("user-agent", "Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36")
    connect = ((":method", "CONNECT"), (":authority", "example.com:443"))
    plain: dict[str, tuple[tuple[str, str], ...]] = {
        "connect": connect,
        "connect chrome": (*connect, agent),
        "connect credentials": (*connect, ("proxy-authorization", "basic dTpw"), ("padding", "aaaaaaaaaaaaaaaaaaaaaa")),
        "connect full": with2(method="CONNECT"),
        "connect protocol": ((":method", "CONNECT"), (":protocol", "connect-udp"), *with2(method=None)),
        "unknown pseudo": with2((":foo", "x")),
        "protocol": with2((":protocol", "x")),
        "pseudo last": (agent, *with2()),
        "pseudo late": (*GET2[:3], ("x", "y"), GET2[3]),
        "no authority": with2(authority=None),
        "no authority chrome": (agent, *with2(authority=None)),
        "host only": with2(("host", "other.test"), authority=None),
        "host only dir": with2(("host", "other.test"), authority=None, path="/dir"),
        "host and authority": with2(("host", "other.test")),
        "host same": with2(("host", "cover.test")),
        "host first": (("host", "a"), *with2()),
        "authority upper": with2(authority="COVER.Test:99", path="/dir"),
        "authority bad": with2(authority="a..b"),
        "authority empty": with2(authority=""),
        "authority v6": with2(authority="[::1]:80", path="/dir"),
        "no method": with2(method=None),
        "no scheme": with2(scheme=None),
        "no path": with2(path=None),
        "no path and upper": with2(("X", "y"), path=None),
        "path empty": with2(path=""),
        "path relative": with2(path="hello.txt"),
        "path star": with2(path="*", method="OPTIONS"),
        "path absolute": with2(path="https://cover.test/hello.txt"),
        "path query": with2(path="?x"),
        "path space": with2(path="/a b"),
        "path tab": with2(path="/a\tb"),
        "path control": with2(path="/a\x01b"),
        "path percent": with2(path="/%zz"),
        "path up": with2(path="/../x"),
        "path fragment": with2(path="/hello.txt#x"),
        "path dir": with2(path="/dir"),
        "path dir query": with2(path="/dir?x=1"),
        "path two slashes": with2(path="//dir"),
        "two paths": with2((":path", "/")),
        "two methods": ((":method", "GET"), *with2()),
        "two schemes": ((":scheme", "https"), *with2()),
        "two authorities": ((":authority", "a"), *with2()),
        "scheme http": with2(scheme="http", path="/dir"),
        "scheme ftp": with2(scheme="ftp", path="/dir"),
        "scheme 1x": with2(scheme="1x"),
        "scheme empty": with2(scheme=""),
        "scheme upper": with2(scheme="HTTPS"),
        "upper name": with2(("X-Up", "a")),
        "underscore": with2(("x_y", "a")),
        "name space": with2(("x y", "a")),
        "name control": with2(("x\x01y", "a")),
        "name colon": with2(("x:y", "a")),
        "name at": with2(("x@", "a")),
        "name delete": with2(("x\x7f", "a")),
        "name empty": with2(("", "a")),
        "value lf": with2(("x", "a\nb")),
        "value cr": with2(("x", "a\rb")),
        "value nul": with2(("x", "a\x00b")),
        "value control": with2(("x", "a\x01b")),
        "value space first": with2(("x", " a")),
        "value tab last": with2(("x", "a\t")),
        "connection": with2(("connection", "close")),
        "te": with2(("te", "gzip")),
        "te trailers": with2(("te", "trailers")),
        "transfer-encoding": with2(("transfer-encoding", "chunked")),
        "transfer-encoding gzip": with2(("transfer-encoding", "gzip")),
        "transfer-encoding and length": with2(("transfer-encoding", "chunked"), ("content-length", "0")),
        "upgrade": with2(("upgrade", "h2c")),
        "proxy-connection": with2(("proxy-connection", "x")),
        "keep-alive": with2(("keep-alive", "x")),
        "expect": with2(("expect", "100-continue")),
        "two if-match": with2(("if-match", "*"), ("if-match", "*")),
        "two if-match then upper": with2(("if-match", "*"), ("if-match", "*"), ("X", "y")),
        "upper then two if-match": with2(("X", "y"), ("if-match", "*"), ("if-match", "*")),
        "two agents": with2(("user-agent", "x"), agent, path="/missing"),
        "missing": with2(path="/missing"),
        "missing chrome": with2(agent, path="/missing"),
        "missing gzip": with2(("accept-encoding", "gzip"), path="/missing"),
        "forbidden": with2(path="/noindex/"),
        "index": with2(path="/"),
        "empty": with2(path="/empty.txt"),
        "html": with2(path="/page.html"),
        "html gzip": with2(("accept-encoding", "gzip, deflate, br"), path="/page.html"),
        "html gzip via": with2(("accept-encoding", "gzip"), ("via", "x"), path="/page.html"),
        "head": with2(method="HEAD"),
        "head missing": with2(method="HEAD", path="/missing"),
        "head bad path": with2(method="HEAD", path="/%zz"),
        "head no authority": with2(method="HEAD", authority=None),
        "not modified": with2(("if-modified-since", LAST_MODIFIED)),
        "none match": with2(("if-none-match", "*")),
        "precondition": with2(("if-match", "x")),
        "range": with2(("range", "bytes=0-1")),
        "range beyond": with2(("range", "bytes=90-")),
        "length 0": with2(("content-length", "0")),
        "length 5 and end": with2(("content-length", "5")),
        "length bad": with2(("content-length", "x")),
        "two lengths": with2(("content-length", "0"), ("content-length", "0")),
        "trace no authority": with2(method="TRACE", authority=None),
        "trace length 5": with2(("content-length", "5"), method="TRACE"),
        "ignored 2000": with2(*[("x_", "v")] * 2000),
        "headers 1000": with2(*[("x", "v")] * 1000),
        "headers 1001": with2(*[("x", "v")] * 1001),
        "value 8192": with2(("x", "v" * 8192)),
        "value 8193": with2(("x", "v" * 8193)),
        "name 8193": with2(("n" * 8193, "v")),
        "path 8192": with2(path="/" + "u" * 8191),
        "path 8193": with2(path="/" + "u" * 8192),
        "four of 8000": with2(*[("x", "v" * 8000)] * 4),
        "five of 8000": with2(*[("x", "v" * 8000)] * 5),
    }
    out = [H2Case(name, fields) for name, fields in plain.items()]
    for method in ("get", "FOO", "G_T", "G3T", "TRACE", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "", "G T"):
        for path in ("/hello.txt", "/missing", "/dir"):
            out.append(H2Case(f"method {method!r} {path}", with2(method=method, path=path)))
    post = with2(method="POST")
    out += [
        H2Case("connect open", connect, end=False),
        H2Case("connect full open", with2(method="CONNECT"), end=False),
        H2Case("get open", with2(), end=False),
        H2Case("dir open", with2(path="/dir"), end=False),
        H2Case("post open", post, end=False),
        H2Case("post body", post, data=b"abc"),
        H2Case("post body length", (*post, ("content-length", "3")), data=b"abc"),
        H2Case("post expect", (*post, ("expect", "100-continue"), ("content-length", "3")), data=b"abc"),
        H2Case("413", (*post, ("content-length", "2000000")), end=False),
        H2Case("413 get", with2(("content-length", "2000000")), end=False),
        H2Case("transfer-encoding open", with2(("transfer-encoding", "chunked")), end=False),
    ]
    return out


H2_CASES: list[H2Case] = _h2()

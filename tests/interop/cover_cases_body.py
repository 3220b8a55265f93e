# ruff: noqa: E501 (a table: one row, one line)
"""Conditions, ranges, compression, request bodies and connections, good and bad."""

from __future__ import annotations

from tests.interop.cover_site import LAST_MODIFIED, get, raw


def conditions() -> list[tuple[str, bytes]]:
    """Conditional and range requests."""
    later, earlier = "Wed, 15 Nov 2023 22:13:20 GMT", "Mon, 13 Nov 2023 22:13:20 GMT"
    etag = '"6553f100-24"'
    out: list[tuple[str, bytes]] = []
    dates = [LAST_MODIFIED, later, earlier, "Tuesday, 14-Nov-23 22:13:20 GMT", "Tue Nov 14 22:13:20 2023", "x", ""]
    dates += ["Tue, 14 Nov 2023 22:13:20", "14 Nov 2023 22:13:20 GMT", "Tue, 14 nov 2023 22:13:20 GMT", "0"]
    dates += [
        "Tue, 14 Nov 2023 22:13:20 +0000",
        "Tue, 14 Nov 2023 22:13:20 GMT; length=36",
        "Tue, 14 Nov 2023 24:13:20 GMT",
    ]
    dates += [
        "Tue, 31 Feb 2023 22:13:20 GMT",
        "Wed, 14 Nov 2023 22:13:20 GMT",
        "Tue,14 Nov 2023 22:13:20 GMT",
        "Tue, 14 Nov",
    ]
    dates += [
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Tue, 14 Nov 1600 22:13:20 GMT",
        "99999999999",
    ]
    dates += [
        "Tuesday, 14-Nov-69 22:13:20 GMT",
        "Tuesday, 14-Nov-70 22:13:20 GMT",
        "Tue Nov  4 22:13:20 2023",
        "Tue Nov 14 22:13:20 23",
    ]
    for date in dates:
        for name in ("If-Modified-Since", "If-Unmodified-Since"):
            out.append((f"{name} {date}", get(b"/hello.txt", f"{name}: {date}".encode())))
        out.append((f"If-Range {date}", get(b"/hello.txt", b"Range: bytes=1-3", f"If-Range: {date}".encode())))
    tags = [
        etag,
        f"W/{etag}",
        "*",
        '"x"',
        f'"x", {etag}',
        f'"x",{etag}',
        f'"x" {etag}',
        f"{etag}x",
        f" {etag} ",
        etag[:-1],
        "",
    ]
    tags += [
        f"{etag},",
        f",{etag}",
        f'W/"x", W/{etag}',
        f"w/{etag}",
        "W/",
        '"',
        f"{etag} , x",
        f"*, {etag}",
        f"{etag}\t",
        f'"x"\t,\t{etag}',
    ]
    for tag in tags:
        for name in ("If-Match", "If-None-Match"):
            out.append((f"{name} {tag}", get(b"/hello.txt", f"{name}: {tag}".encode())))
        out.append((f"If-Range tag {tag}", get(b"/hello.txt", b"Range: bytes=1-3", f"If-Range: {tag}".encode())))
    both = f"If-None-Match: {etag}".encode(), f"If-Modified-Since: {LAST_MODIFIED}".encode()
    out += [
        ("304 both", get(b"/hello.txt", *both)),
        ("304 tag only", get(b"/hello.txt", both[0], f"If-Modified-Since: {earlier}".encode())),
        ("304 date only", get(b"/hello.txt", b'If-None-Match: "x"', both[1])),
        ("304 head", get(b"/hello.txt", *both, method=b"HEAD")),
        ("304 post", get(b"/hello.txt", *both, method=b"POST")),
        ("304 missing", get(b"/missing", *both)),
        ("304 dir", get(b"/dir", *both)),
        ("304 range", get(b"/hello.txt", *both, b"Range: bytes=0-3")),
        ("304 gzip", get(b"/page.html", b'If-None-Match: W/"6553f100-bda"', b"Accept-Encoding: gzip")),
        ("304 gzip date", get(b"/page.html", both[1], b"Accept-Encoding: gzip")),
        ("304 keepalive", get(b"/hello.txt", *both) * 3),
        ("304 1.0", get(b"/hello.txt", *both, version=b"HTTP/1.0")),
        ("412 head", get(b"/hello.txt", b"If-Match: x", method=b"HEAD")),
        ("412 gzip", get(b"/page.html", b"If-Match: x", b"Accept-Encoding: gzip")),
        ("412 keepalive", get(b"/hello.txt", b"If-Match: x") * 2),
        ("412 with range", get(b"/hello.txt", b"If-Match: x", b"Range: bytes=0-1")),
        ("412 chrome", get(b"/hello.txt", b"If-Match: x", b"User-Agent: Chrome/1")),
        ("if-match missing", get(b"/missing", b"If-Match: x")),
    ]
    ranges = "bytes=0-0 bytes=0-9 bytes=5- bytes=-5 bytes=-0 bytes=-100 bytes=36- bytes=35- bytes=35-35 bytes=0-36 bytes=0-999"
    ranges += (
        " bytes=9-5 bytes= bytes=- bytes=a-b bytes=1-2,4-5 bytes=0-0,-1 bytes=0-0,2-2,4-4 bytes=0-,0- bytes=0-35,0-0"
    )
    ranges += " bytes=1-2,40-50 bytes=40-50,1-2 bytes=40-50,60-70 bytes=1-2, bytes=,1-2 bytes=1-2,,3-4 bytes=1 bytes 1-2 Bytes=1-2"
    ranges += (
        " BYTES=1-2 bits=1-2 bytes=1-2x bytes=-1- bytes=99999999999999999999- bytes=0-99999999999999999999 bytes=+1-2"
    )
    ranges += (
        " bytes=0-9223372036854775807 bytes=-9223372036854775807 bytes=1--2 bytes=--2 b bytes=0-10,5-15,10-20,1-30"
    )
    for value in ranges.split(" "):
        out.append((f"range {value}", get(b"/hello.txt", f"Range: {value}".encode())))
    for value in (
        "bytes= 1-2",
        "bytes=1 - 2",
        "bytes=1-2 , 4-5",
        "bytes=1- ",
        "bytes=1-2,4-5",
        "bytes =1-2",
        "bytes=1-\t2",
    ):
        out.append((f"range sp {value}", get(b"/hello.txt", f"Range: {value}".encode())))
    for path in (b"/empty.txt", b"/missing", b"/dir", b"/dir/", b"/big.html", b"/page.html", b"/noext"):
        out.append((f"range at {path!r}", get(path, b"Range: bytes=1-2")))
        out.append((f"range from 0 at {path!r}", get(path, b"Range: bytes=0-")))
        out.append((f"ranges at {path!r}", get(path, b"Range: bytes=1-2,4-5")))
        out.append((f"range suffix at {path!r}", get(path, b"Range: bytes=-7")))
        out.append((f"range beyond at {path!r}", get(path, b"Range: bytes=900000-")))
    out += [
        ("range head", get(b"/hello.txt", b"Range: bytes=1-2", method=b"HEAD")),
        ("range post", get(b"/hello.txt", b"Range: bytes=1-2", method=b"POST")),
        ("range multi head", get(b"/hello.txt", b"Range: bytes=1-2,4-5", method=b"HEAD")),
        ("range 1.0", get(b"/hello.txt", b"Range: bytes=1-2", version=b"HTTP/1.0")),
        ("range gzip", get(b"/page.html", b"Range: bytes=1-2", b"Accept-Encoding: gzip")),
        ("range gzip multi", get(b"/page.html", b"Range: bytes=1-2,5-6", b"Accept-Encoding: gzip")),
        ("range 416 gzip", get(b"/hello.txt", b"Range: bytes=90-", b"Accept-Encoding: gzip")),
        ("range 416 head", get(b"/hello.txt", b"Range: bytes=90-", method=b"HEAD")),
        ("range 416 chrome", get(b"/hello.txt", b"Range: bytes=90-", b"User-Agent: Mozilla Chrome/90")),
        ("range 416 keep", get(b"/hello.txt", b"Range: bytes=90-") * 2),
        ("range big multi", get(b"/big.bin", b"Range: bytes=0-99999,100000-199999,-5")),
        ("range big", get(b"/big.bin", b"Range: bytes=70000-250000")),
    ]
    return out


def encodings() -> list[tuple[str, bytes]]:
    """Accept-Encoding and everything it applies to."""
    out: list[tuple[str, bytes]] = []
    values = [
        "gzip",
        "gzip, deflate",
        "gzip,deflate",
        "deflate, gzip",
        "deflate",
        "br, gzip",
        "*",
        "identity",
        "GZIP",
        "x-gzip",
    ]
    values += [
        "gzip;q=0",
        "gzip;q=1",
        "gzip;q=0.5",
        "gzip;q=0.0",
        "gzip;q=0.001",
        "gzip;q=0.0001",
        "gzip; q=1",
        "gzip ;q=0",
    ]
    values += [
        "gzip;q=1.0",
        "gzip;q=1.1",
        "gzip;q=2",
        "gzip;q=",
        "gzip;q",
        "gzip;",
        "gzip;x=1",
        "gzip;q=.5",
        "gzipx",
        "xgzip",
    ]
    values += [
        "a,gzip",
        "a gzip",
        "a;gzip",
        "gzip q=0",
        "gzi",
        "gzip;Q=0",
        "gzip;q=0,gzip",
        "gzip,x;q=0",
        "",
        "gzip;q=0.000",
    ]
    values += [
        "deflate,gzip;q=0",
        "gzip;  q=0.1",
        "gzip;q=1.000",
        "gzip;q=1.0000",
        "gzip;q=1.001",
        "gzip;q=0.x",
        "gzip, gzip;q=0",
    ]
    for value in values:
        out.append((f"gzip ae {value}", get(b"/page.html", f"Accept-Encoding: {value}".encode())))
    names = "/ /page.html /tiny.html /twenty.html /empty.html /big.html /k32.html /k64.html /k64less.html /k700.html /random.html"
    names += " /hello.txt /style.css /app.js /x.xhtml /missing /noindex/ /dir /dir/ /big.bin /missing.txt"
    for name in names.split():
        out.append((f"gzip {name}", get(name.encode(), b"Accept-Encoding: gzip")))
        out.append((f"gzip head {name}", get(name.encode(), b"Accept-Encoding: gzip", method=b"HEAD")))
        out.append((f"gzip post {name}", get(name.encode(), b"Accept-Encoding: gzip", method=b"POST")))
    out += [
        ("gzip 1.0", get(b"/page.html", b"Accept-Encoding: gzip", version=b"HTTP/1.0")),
        ("gzip 1.0 keep", get(b"/page.html", b"Accept-Encoding: gzip", b"Connection: keep-alive", version=b"HTTP/1.0")),
        ("gzip via", get(b"/page.html", b"Accept-Encoding: gzip", b"Via: 1.1 x")),
        ("gzip msie6", get(b"/page.html", b"Accept-Encoding: gzip", b"User-Agent: Mozilla/4.0 (compatible; MSIE 6.0)")),
        ("gzip keep", get(b"/page.html", b"Accept-Encoding: gzip") * 2 + get(b"/hello.txt")),
        ("gzip close", get(b"/page.html", b"Accept-Encoding: gzip", b"Connection: close")),
        ("gzip 400", raw(b"GET / HTTP/1.1", b"Accept-Encoding: gzip")),
        ("gzip 405", get(b"/page.html", b"Accept-Encoding: gzip", method=b"DELETE")),
        (
            "gzip 404 chrome",
            get(b"/missing", b"Accept-Encoding: gzip", b"User-Agent: Mozilla/5.0 Chrome/120.0 Safari/537.36"),
        ),
    ]
    return out


def bodies() -> list[tuple[str, bytes]]:
    """Request bodies and 100-continue."""
    out: list[tuple[str, bytes]] = []
    values = [
        b"0",
        b"5",
        b"-1",
        b"+5",
        b"5 ",
        b" 5",
        b"5, 5",
        b"5x",
        b"0x5",
        b"",
        b"1048576",
        b"1048577",
        b"99999999999999999999",
    ]
    values += [b"9223372036854775807", b"9223372036854775808", b"00005", b"5.0", b"\t5"]
    for value in values:
        for method, path in ((b"POST", b"/hello.txt"), (b"GET", b"/hello.txt"), (b"PUT", b"/missing")):
            head = get(path, b"Content-Length: " + value, method=method)
            out.append((f"length {value!r} {method.decode()}", head + b"abcde" + get(b"/data.json")))
    chunks = {
        "good": b"5\r\nabcde\r\n0\r\n\r\n",
        "two": b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        "upper hex": b"A\r\n0123456789\r\n0\r\n\r\n",
        "extension": b"5;a=b\r\nabcde\r\n0;x\r\n\r\n",
        "trailer": b"5\r\nabcde\r\n0\r\nX: y\r\nZ: w\r\n\r\n",
        "lf": b"5\nabcde\n0\n\n",
        "space size": b"5 \r\nabcde\r\n0\r\n\r\n",
        "space before": b" 5\r\nabcde\r\n0\r\n\r\n",
        "tab": b"5\t\r\nabcde\r\n0\r\n\r\n",
        "zeros": b"0000005\r\nabcde\r\n000\r\n\r\n",
        "bad size": b"x\r\nabcde\r\n0\r\n\r\n",
        "bad after data": b"5\r\nabcdeX\r\n0\r\n\r\n",
        "negative": b"-5\r\nabcde\r\n0\r\n\r\n",
        "huge": b"ffffffffffffffff\r\nabc",
        "huger": b"fffffffffffffffff\r\nabc",
        "max": b"7fffffffffffffff\r\nabc",
        "empty size": b"\r\nabc\r\n",
        "cr": b"5\rabcde\r\n0\r\n\r\n",
        "0x": b"0x5\r\nabcde\r\n0\r\n\r\n",
        "cut": b"5\r\nab",
        "cut size": b"5",
        "only last": b"0\r\n\r\n",
        "only last lf": b"0\n\n",
        "trailer folded": b"0\r\n x\r\n\r\n",
        "no final crlf": b"0\r\n",
        "extension quoted": b'5;a="b\r\nc"\r\nabcde\r\n0\r\n\r\n',
        "big": b"8000\r\n" + b"z" * 0x8000 + b"\r\n0\r\n\r\n",
        "over a megabyte": b"200000\r\n" + b"z" * 0x200000 + b"\r\n0\r\n\r\n",
    }
    for name, chunk in chunks.items():
        for method, path in ((b"POST", b"/hello.txt"), (b"GET", b"/hello.txt"), (b"GET", b"/missing")):
            head = get(path, b"Transfer-Encoding: chunked", method=method)
            out.append((f"chunked {name} {method.decode()} {path.decode()}", head + chunk + get(b"/data.json")))
    for coding in (
        "Chunked",
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "identity",
        "",
        " chunked ",
        "chunked,chunked",
        "\tchunked",
        "xchunked",
    ):
        head = get(b"/hello.txt", b"Transfer-Encoding: " + coding.encode())
        out.append((f"te {coding!r}", head + b"5\r\nabcde\r\n0\r\n\r\n" + get(b"/data.json")))
    te = b"Transfer-Encoding: chunked"
    out += [
        ("te 1.0", get(b"/hello.txt", te, version=b"HTTP/1.0") + b"0\r\n\r\n"),
        ("te and length", get(b"/hello.txt", te, b"Content-Length: 5") + b"0\r\n\r\n"),
        ("length and te", get(b"/hello.txt", b"Content-Length: 5", te) + b"0\r\n\r\n"),
        ("te two", get(b"/hello.txt", te, te) + b"0\r\n\r\n"),
        ("trace te", get(b"/hello.txt", te, method=b"TRACE") + b"0\r\n\r\n"),
        ("413 get", get(b"/hello.txt", b"Content-Length: 1048577")),
        ("413 missing", get(b"/missing", b"Content-Length: 2000000", method=b"POST")),
        ("413 expect", get(b"/hello.txt", b"Content-Length: 2000000", b"Expect: 100-continue", method=b"POST")),
        ("413 with body", get(b"/", b"Content-Length: 1048580", method=b"POST") + b"b" * 1048580 + get(b"/")),
        ("413 head", get(b"/", b"Content-Length: 2000000", method=b"HEAD")),
        ("413 delete", get(b"/", b"Content-Length: 2000000", method=b"DELETE")),
        ("413 gzip", get(b"/", b"Content-Length: 2000000", b"Accept-Encoding: gzip", method=b"POST")),
        (
            "length exactly 1m",
            get(b"/hello.txt", b"Content-Length: 1048576", method=b"POST") + b"b" * 1048576 + get(b"/data.json"),
        ),
        ("expect get", get(b"/hello.txt", b"Expect: 100-continue")),
        (
            "expect get length",
            get(b"/hello.txt", b"Expect: 100-continue", b"Content-Length: 5") + b"abcde" + get(b"/data.json"),
        ),
        ("expect post", get(b"/hello.txt", b"Expect: 100-continue", b"Content-Length: 5", method=b"POST") + b"abcde"),
        ("expect upper", get(b"/hello.txt", b"Expect: 100-CONTINUE", b"Content-Length: 5", method=b"POST") + b"abcde"),
        ("expect other", get(b"/hello.txt", b"Expect: something", b"Content-Length: 5", method=b"POST") + b"abcde"),
        (
            "expect 1.0",
            get(b"/hello.txt", b"Expect: 100-continue", b"Content-Length: 5", version=b"HTTP/1.0") + b"abcde",
        ),
        ("expect missing", get(b"/missing", b"Expect: 100-continue", b"Content-Length: 5", method=b"POST") + b"abcde"),
        ("expect chunked", get(b"/hello.txt", b"Expect: 100-continue", te, method=b"POST") + b"0\r\n\r\n"),
        ("expect dir", get(b"/dir", b"Expect: 100-continue", b"Content-Length: 5", method=b"POST") + b"abcde"),
        ("expect put", get(b"/x", b"Expect: 100-continue", b"Content-Length: 5", method=b"PUT") + b"abcde"),
        ("expect trace", get(b"/", b"Expect: 100-continue", b"Content-Length: 5", method=b"TRACE") + b"abcde"),
        ("expect 304", get(b"/hello.txt", b"Expect: 100-continue", f"If-Modified-Since: {LAST_MODIFIED}".encode())),
    ]
    return out


def connections() -> list[tuple[str, bytes]]:
    """Keep-alive, pipelining, other protocols, browsers."""
    chrome = b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
    out: list[tuple[str, bytes]] = []
    for value in (
        b"close",
        b"Close",
        b"keep-alive",
        b"Keep-Alive",
        b"close, keep-alive",
        b"keep-alive, close",
        b"xclosex",
        b"upgrade",
    ):
        for version in (b"HTTP/1.0", b"HTTP/1.1"):
            two = get(b"/hello.txt", b"Connection: " + value, version=version) * 2
            out.append((f"connection {value.decode()} {version.decode()}", two))
    close, keep = b"Connection: close", b"Connection: keep-alive"
    out += [
        ("connection close keep lines", get(b"/hello.txt", close, keep) * 2),
        ("connection keep close lines", get(b"/hello.txt", keep, close) * 2),
        ("keep-alive timeout", get(b"/hello.txt", keep, b"Keep-Alive: 5") * 2),
        ("pipelined 3", get(b"/hello.txt") + get(b"/missing") + get(b"/dir") + get(b"/", method=b"HEAD")),
        ("pipelined bad second", get(b"/hello.txt") + b"get / HTTP/1.1\r\n\r\n" + get(b"/hello.txt")),
        ("pipelined after 400", raw(b"GET / HTTP/1.1") + get(b"/hello.txt")),
        ("pipelined after 404", get(b"/missing") * 3),
        ("pipelined after 405", get(b"/hello.txt", method=b"DELETE") + get(b"/hello.txt")),
        ("pipelined after trace", get(b"/hello.txt", method=b"TRACE") + get(b"/hello.txt")),
        ("pipelined after 403", get(b"/noindex/") * 2),
        ("pipelined crlf between", get(b"/hello.txt") + b"\r\n\r\n" + get(b"/data.json")),
        ("pipelined junk", get(b"/hello.txt") + b"\x00\x01\x02"),
        ("pipelined 50", get(b"/hello.txt") * 50),
        ("pipelined big", get(b"/big.bin") + get(b"/big.html", b"Accept-Encoding: gzip") + get(b"/hello.txt")),
        ("keepalive limit", get(b"/empty.txt", method=b"HEAD") * 1002),
        (
            "websocket",
            get(
                b"/",
                b"Connection: Upgrade",
                b"Upgrade: websocket",
                b"Sec-WebSocket-Key: x",
                b"Sec-WebSocket-Version: 13",
            ),
        ),
        (
            "h2c upgrade",
            get(b"/", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAA"),
        ),
        ("authorization", get(b"/hello.txt", b"Authorization: Basic dTpw")),
        ("proxy authorization", get(b"/hello.txt", b"Proxy-Authorization: Basic dTpw")),
        ("tls hello as text", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40)),
        ("ssh", b"SSH-2.0-OpenSSH_9.2\r\n"),
        ("socks5", b"\x05\x01\x00"),
        ("socks4", b"\x04\x01\x00\x50\x01\x02\x03\x04\x00"),
        ("smtp", b"EHLO example.com\r\n"),
        ("sip", b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm;branch=foo\r\n\r\n"),
        ("rtsp", b"OPTIONS / RTSP/1.0\r\n\r\n"),
        ("help", b"HELP\r\n"),
        ("nul", b"\x00" * 50),
        ("high", b"\x80" * 50),
        ("random 1500", bytes((i * 197 + 31) & 0xFF for i in range(1500))),
        ("zero chunk", b"0\r\n\r\n"),
    ]
    for path in (b"/missing", b"/dir", b"/noindex/", b"/", b"/%00", b"/hello.txt"):
        out.append((f"chrome {path!r}", get(path, chrome)))
        out.append((f"chrome 1.0 {path!r}", get(path, chrome, version=b"HTTP/1.0")))
        out.append((f"chrome head {path!r}", get(path, chrome, method=b"HEAD")))
        out.append((f"chrome delete {path!r}", get(path, chrome, method=b"DELETE")))
    for agent in (
        *(
            b"MSIE ",
            b"MSIE 6",
            b"MSIE 6.",
            b"MSIE 6.0",
            b"MSIE 6.0 SV1",
            b"MSIE 7.0",
            b"MSIE 5.0",
            b"MSIE 10.0",
            b"Opera MSIE 6.0 x",
        ),
        *(
            b"Mozilla/4.0 (compatible; MSIE 6.0; Windows) Opera 8",
            b"Chrome/",
            b"chrome/1",
            b"Opera Chrome/1",
            b"Safari/1",
        ),
        *(
            b"Gecko/2010 Chrome/1",
            b"Konqueror Chrome/1",
            b"Mac OS X Safari/1",
            b"MSIE 6.0 Chrome/1",
            b"x" * 100,
            b"MSIE 40.0 x",
        ),
    ):
        out.append((f"agent {agent[:40].decode()}", get(b"/missing", b"User-Agent: " + agent)))
        out.append((f"agent post {agent[:40].decode()}", get(b"/missing", b"User-Agent: " + agent, method=b"POST") * 2))
        out.append((f"agent 400 {agent[:40].decode()}", raw(b"GET / HTTP/1.1", b"User-Agent: " + agent)))
    out += [
        ("chrome 400 no host", raw(b"GET / HTTP/1.1", chrome)),
        ("chrome 400 two hosts", raw(b"GET / HTTP/1.1", chrome, b"Host: a", b"Host: b")),
        ("chrome 413", get(b"/", chrome, b"Content-Length: 2000000", method=b"POST")),
        ("chrome trace", get(b"/", chrome, method=b"TRACE")),
        ("chrome too large", get(b"/", chrome, b"X: " + b"v" * 9000)),
        ("chrome 501", get(b"/", chrome, b"Transfer-Encoding: gzip")),
        ("chrome version", get(b"/", chrome, version=b"HTTP/2.0")),
    ]
    return out

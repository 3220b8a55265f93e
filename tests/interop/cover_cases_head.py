# ruff: noqa: E501 (a table: one row, one line)
"""Request lines, hosts, versions, targets and header lines, good and bad."""

from __future__ import annotations

from tests.interop.cover_site import get, raw


def methods() -> list[tuple[str, bytes]]:
    """Every kind of method, and what follows it."""
    out: list[tuple[str, bytes]] = []
    names = "GET HEAD POST PUT DELETE OPTIONS TRACE CONNECT PROPFIND PATCH MKCOL COPY MOVE LOCK UNLOCK PROPPATCH"
    names += " FOO get Get G_T M-SEARCH PRI LINK G3T A"
    for method in names.split():
        for path in ("/", "/hello.txt", "/dir", "/missing", "/noindex/", "/page.html"):
            out.append((f"method {method} {path}", get(path.encode(), method=method.encode())))
    out += [
        ("method empty", raw(b" / HTTP/1.1", b"Host: a")),
        ("method long", get(b"/", method=b"X" * 300)),
        ("connect authority", raw(b"CONNECT example.com:443 HTTP/1.1", b"Host: example.com:443")),
        ("connect padding", raw(b"CONNECT example.com:443 HTTP/1.1", b"Host: a", b"Padding: aaaaaaaa")),
        ("connect authority 1.0", raw(b"CONNECT example.com:443 HTTP/1.0")),
        ("connect ip", raw(b"CONNECT 1.2.3.4:443 HTTP/1.1", b"Host: 1.2.3.4:443")),
        (
            "connect credentials",
            raw(b"CONNECT example.com:443 HTTP/1.1", b"Host: example.com:443", b"Proxy-Authorization: Basic dTpw"),
        ),
        ("connect host slash", raw(b"CONNECT / HTTP/1.1", b"Host: a")),
        ("connect absolute", raw(b"CONNECT http://a/ HTTP/1.1", b"Host: a")),
        ("options asterisk", raw(b"OPTIONS * HTTP/1.1", b"Host: a")),
        ("get asterisk", raw(b"GET * HTTP/1.1", b"Host: a")),
        ("h2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("post body", get(b"/hello.txt", b"Content-Length: 5", method=b"POST") + b"abcde"),
        (
            "post body then get",
            get(b"/hello.txt", b"Content-Length: 5", method=b"POST") + b"abcde" + get(b"/hello.txt"),
        ),
        ("post dir body", get(b"/dir", b"Content-Length: 5", method=b"POST") + b"abcde" + get(b"/")),
        ("post missing body", get(b"/missing", b"Content-Length: 5", method=b"POST") + b"abcde" + get(b"/")),
        ("get body", get(b"/hello.txt", b"Content-Length: 5") + b"abcde" + get(b"/data.json")),
        ("head body", get(b"/hello.txt", b"Content-Length: 5", method=b"HEAD") + b"abcde" + get(b"/data.json")),
        ("trace body", get(b"/", b"Content-Length: 5", method=b"TRACE") + b"abcde" + get(b"/")),
        ("put body", get(b"/new.txt", b"Content-Length: 5", method=b"PUT") + b"abcde" + get(b"/")),
        ("post msie6", get(b"/", b"User-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", method=b"POST")),
        ("get msie6", get(b"/", b"User-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)")),
    ]
    return out


def hosts_versions() -> list[tuple[str, bytes]]:
    """Hosts, versions and forms of the target."""
    out: list[tuple[str, bytes]] = []
    for version in (  # noqa: SIM905
        "HTTP/0.9 HTTP/1.0 HTTP/1.2 HTTP/1.9 HTTP/1.10 HTTP/1.999 HTTP/1.1000 HTTP/2.0 HTTP/2 HTTP/3.0 HTTP/10.1 HTTP/0.1"
        " http/1.1 HTTP/1 HTTP/1. HTTP/.1 HTTP/a.b HTTP/1.x HTTP HTTPS/1.1 HTTP/01.1 HTTP/1.01 HTT X"
    ).split():
        out.append((f"version {version}", get(b"/hello.txt", version=version.encode())))
        out.append((f"version nohost {version}", raw(b"GET /dir " + version.encode())))
    out += [
        ("0.9", b"GET /hello.txt\r\n"),
        ("0.9 root", b"GET /\r\n"),
        ("0.9 missing", b"GET /missing\r\n"),
        ("0.9 dir", b"GET /dir\r\n"),
        ("0.9 lf", b"GET /hello.txt\n"),
        ("0.9 space", b"GET /hello.txt \r\n"),
        ("0.9 post", b"POST /hello.txt\r\n"),
        ("0.9 head", b"HEAD /hello.txt\r\n"),
        ("0.9 headers", b"GET /hello.txt\r\nHost: a\r\n\r\n"),
        ("0.9 bad", b"GET\r\n"),
        ("0.9 empty", b"\r\n"),
        ("nothing", b""),
        ("half line", b"GET / HT"),
        ("half headers", b"GET / HTTP/1.1\r\nHost: a\r\n"),
        ("no host 1.1", raw(b"GET / HTTP/1.1")),
        ("no host 1.0", raw(b"GET / HTTP/1.0")),
        ("no host 1.0 dir", raw(b"GET /dir HTTP/1.0")),
        ("no host 1.0 keep", raw(b"GET /hello.txt HTTP/1.0", b"Connection: keep-alive") * 2),
        ("two hosts", raw(b"GET /dir HTTP/1.1", b"Host: a", b"Host: b")),
        ("two same hosts", raw(b"GET /dir HTTP/1.1", b"Host: a", b"Host: a")),
        ("absolute", raw(b"GET http://cover.test/hello.txt HTTP/1.1", b"Host: cover.test")),
        ("absolute dir", raw(b"GET http://other.test/dir HTTP/1.1", b"Host: cover.test")),
        ("absolute port dir", raw(b"GET http://other.test:99/dir HTTP/1.1", b"Host: cover.test")),
        ("absolute nohost", raw(b"GET http://other.test/dir HTTP/1.1")),
        ("absolute nohost 1.0", raw(b"GET http://other.test/dir HTTP/1.0")),
        ("absolute upper", raw(b"GET HTTP://OTHER.test/dir HTTP/1.1", b"Host: a")),
        ("absolute no path", raw(b"GET http://other.test HTTP/1.1", b"Host: a")),
        ("absolute query only", raw(b"GET http://other.test?x=1 HTTP/1.1", b"Host: a")),
        ("absolute port no path", raw(b"GET http://other.test:80 HTTP/1.1", b"Host: a")),
        ("absolute port query", raw(b"GET http://other.test:80?x HTTP/1.1", b"Host: a")),
        ("absolute empty port", raw(b"GET http://other.test:/dir HTTP/1.1", b"Host: a")),
        ("absolute bad port", raw(b"GET http://other.test:8x/dir HTTP/1.1", b"Host: a")),
        ("absolute userinfo", raw(b"GET http://u:p@other.test/dir HTTP/1.1", b"Host: a")),
        ("absolute userinfo 2", raw(b"GET http://u@other.test/dir HTTP/1.1", b"Host: a")),
        ("absolute v6", raw(b"GET http://[::1]/dir HTTP/1.1", b"Host: a")),
        ("absolute v6 port", raw(b"GET http://[::1]:80/dir HTTP/1.1", b"Host: a")),
        ("absolute v6 bad", raw(b"GET http://[::1/dir HTTP/1.1", b"Host: a")),
        ("absolute v6 odd", raw(b"GET http://[v1.a$b]/dir HTTP/1.1", b"Host: a")),
        ("absolute empty host", raw(b"GET http:///dir HTTP/1.1", b"Host: a")),
        ("absolute one slash", raw(b"GET http:/dir HTTP/1.1", b"Host: a")),
        ("absolute https", raw(b"GET https://other.test/dir HTTP/1.1", b"Host: a")),
        ("absolute ftp", raw(b"GET ftp://other.test/dir HTTP/1.1", b"Host: a")),
        ("absolute h2", raw(b"GET h2+c://other.test/dir HTTP/1.1", b"Host: a")),
        ("absolute 1scheme", raw(b"GET 1http://other.test/dir HTTP/1.1", b"Host: a")),
        ("absolute underscore", raw(b"GET http://ot_her.test/dir HTTP/1.1", b"Host: a")),
        ("absolute percent", raw(b"GET http://ot%41.test/dir HTTP/1.1", b"Host: a")),
        ("absolute dotdot host", raw(b"GET http://a..b/dir HTTP/1.1", b"Host: a")),
        ("absolute dot end host", raw(b"GET http://a.b./dir HTTP/1.1", b"Host: a")),
        ("absolute http 0.9", b"GET http://other.test/hello.txt\r\n"),
        ("absolute host only 0.9", b"GET http://other.test\r\n"),
        ("empty uri", raw(b"GET  HTTP/1.1", b"Host: a")),
        ("no uri", raw(b"GET", b"Host: a")),
        ("relative uri", raw(b"GET hello.txt HTTP/1.1", b"Host: a")),
        ("spaces before uri", raw(b"GET    /hello.txt HTTP/1.1", b"Host: a")),
        ("spaces before version", raw(b"GET /hello.txt    HTTP/1.1", b"Host: a")),
        ("spaces after version", raw(b"GET /hello.txt HTTP/1.1   ", b"Host: a")),
        ("junk after version", raw(b"GET /hello.txt HTTP/1.1 x", b"Host: a")),
        ("tab separators", raw(b"GET\t/hello.txt\tHTTP/1.1", b"Host: a")),
        ("leading crlf", b"\r\n\r\n" + get(b"/hello.txt")),
        ("leading lf", b"\n\n\n" + get(b"/hello.txt")),
        ("leading space", b" " + get(b"/hello.txt")),
        ("leading crlf many", b"\r\n" * 600 + get(b"/hello.txt")),
        ("cr in line", raw(b"GET /hello.txt HTTP/1.1\rx", b"Host: a")),
        ("crcrlf", b"GET /hello.txt HTTP/1.1\r\r\nHost: a\r\n\r\n"),
        ("bare lf lines", b"GET /hello.txt HTTP/1.1\nHost: a\n\n"),
        ("mixed lf", b"GET /hello.txt HTTP/1.1\r\nHost: a\n\r\n"),
        ("bare cr", b"GET /hello.txt HTTP/1.1\rHost: a\r\r"),
    ]
    odd: list[bytes] = [
        b"",
        b" ",
        b"a",
        b"A.Test",
        b"a.test:80",
        b"a.test:8080",
        b"a.test:",
        b"a.test:abc",
        b"a..b",
        b".a",
        b"a.",
        b".",
        b"..",
        b"a/b",
        b"a\\b",
        b"a b",
        b"a\tb",
        b"a\x01b",
        b"a\x7fb",
        b"[::1]",
        b"[::1]:80",
        b"[::1",
        b"::1",
        b"a]b",
        b"a@b",
        b"a,b",
        b"a%41",
        b"\xff\xfe",
        b"a:b:c",
        b"*",
        b"_",
        b"a_b",
        b"-",
        b"1.2.3.4",
        b"[]",
        b":80",
        b"[a b]",
        b"a\x00b",
        b"x" * 300,
        b"a.test:80/x",
        b"a.test.:80",
        b"[::1]x",
        b"A[::1]",
        b'a"b',
        b"a;b",
        b"a?b",
        b"a#b",
    ]
    for i, host in enumerate(odd):
        out.append((f"host {i} {host[:12]!r}", raw(b"GET /dir HTTP/1.1", b"Host: " + host)))
        out.append((f"host10 {i} {host[:12]!r}", raw(b"GET /dir HTTP/1.0", b"Host: " + host)))
    return out


def uris() -> list[tuple[str, bytes]]:
    """Paths, queries, their bytes and their sizes."""
    uris = [
        *(b"/", b"//", b"///hello.txt", b"/dir", b"/dir/", b"/dir//", b"/dir//other.txt", b"/dir?x=1", b"/dir/?x=1"),
        *(b"/dir?", b"/hello.txt?", b"/hello.txt?a=b", b"/hello.txt?a b", b"/?", b"/??", b"/dir?a?b#c", b"/dir#f"),
        *(b"/hello.txt#frag", b"/hello.txt#frag?x", b"/#", b"/hello.txt/", b"/hello.txt/x", b"/missing/", b"/missing"),
        *(b"/./hello.txt", b"/dir/../hello.txt", b"/dir/./other.txt", b"/dir/..", b"/dir/.", b"/..", b"/../", b"/../x"),
        *(b"/../../etc/passwd", b"/dir/../../etc/passwd", b"/a/b/c/../../../hello.txt", b"/a/b/../../../hello.txt"),
        *(b"/...", b"/.../x", b"/dir/...", b"/dir/..x", b"/dir/.x", b"/dir/..?x", b"/dir/.?x", b"/dir/..#x"),
        *(b"/%2e%2e/etc/passwd", b"/dir/%2e%2e/hello.txt", b"/dir/%2E./hello.txt", b"/dir/.%2e/hello.txt"),
        *(b"/%2e/hello.txt", b"/%2fhello.txt", b"/dir%2fother.txt", b"/dir%2f%2e%2e%2fhello.txt", b"/%00", b"/a%00b"),
        *(
            b"/hello.txt%00",
            b"/%",
            b"/%1",
            b"/%zz",
            b"/%2",
            b"/%%",
            b"/hello%2etxt",
            b"/%68ello.txt",
            b"/%68ello%2Etxt",
        ),
        *(b"/two%20words.txt", b"/two+words.txt", b"/two words.txt", b"/per%25cent.txt", b"/per%cent.txt"),
        *(b"/quest%3fmark.txt", b"/quest%3Fmark.txt?x", b"/hash%23tag.txt", b"/%c3%bcn%c3%afcode.txt"),
        *("/ünïcode.txt".encode(), b"/\xff", b"/%ff", b"/%0a", b"/%0d%0a", b"/%7f", b"/%01", b"/a%20", b"/sp%20ace"),
        *(b"/sp%20ace/", b"/sp%20ace?x=%20y", b"/linkdir", b"/linkdir/", b"/link.txt", b"/dangling.txt", b"/loop"),
        *(b"/fifo", b"/fifo/", b"/emptydir", b"/emptydir/", b"/noindex", b"/noindex/", b"/htm/", b"/debian/", b"/htm"),
        *(b"/indexdir", b"/indexdir/", b"/indexdir/index.html", b"/indexdir/index.html/", b"/.hidden", b"/.hidden.txt"),
        *(b"/dir/.htaccess", b"/noext", b"/img.PNG", b"/archive.tar.gz", b"/name.", b"/x.svgz", b"/f.woff2", b"/v.mp4"),
        *(
            b"/d.pdf",
            b"/w.wasm",
            b"/p.pl",
            b"/x.xhtml",
            b"/e.xml",
            b"/style.css",
            b"/app.js",
            b"/data.json",
            b"/big.bin",
        ),
        *(
            b"/tiny.html",
            b"/twenty.html",
            b"/empty.html",
            b"/empty.txt",
            b"/page.html",
            b"/big.html",
            b"/a/b/c/deep.txt",
        ),
        *(
            b"/a/b",
            b"/a/b/c/",
            b"/q%22uo%27te.txt",
            b"/q\"uo'te.txt",
            b"/index.html",
            b"/index.htm",
            b"/<x>",
            b"/%3Cx%3E",
        ),
        *(b"/a\\b", b"/..\\x", b"/a;b", b"/a:b", b"/*", b"/~", b"/a\x01", b"/a\x7f", b"/a\x00b", b"/a\tb", b"/a\x80"),
        *(b"/" + b"x" * 200, b"/" + b"x" * 255, b"/" + b"x" * 256, b"/" + b"d/" * 500, b"/" + b"x" * 5000),
        *(
            b"/long." + b"x" * 40,
            b"/dir/index.html",
            b"/dir%3f",
            b"/dir%3fx",
            b"/dir%23",
            b"/dir%20",
            b"/DIR",
            b"/Hello.txt",
        ),
        *(
            b"/dir/%2e",
            b"/dir/%2e%2e",
            b"/a//b",
            b"/a///b?x=1",
            b"/a/%2fb",
            b"//dir",
            b"//evil.test/dir",
            b"/%2f%2fdir",
        ),
        *(b"/.", b"/./", b"/%2e", b"/dir/./", b"/dir/../", b"/dir/../dir", b"/sp%20ace%2f", b"/a%252fb", b"/dir?x=%zz"),
    ]
    out = [(f"uri {i} {uri[:40]!r}", get(uri)) for i, uri in enumerate(uris)]
    out += [(f"redirect byte {b:02x}", get(b"/bytes/x%%%02xy" % b)) for b in range(1, 256) if b != 0x2F]
    out += [(f"target byte {b:02x}", get(b"/bytes/x" + bytes([b]) + b"y")) for b in range(256)]
    out += [(f"query byte {b:02x}", get(b"/dir?x" + bytes([b]) + b"y")) for b in range(256)]
    out += [(f"uri10 {i} {uri[:40]!r}", get(uri, version=b"HTTP/1.0")) for i, uri in enumerate(uris[:24])]
    # Around every size of the header buffers: 1 KiB first, then four of 8 KiB.
    for size in (
        900,
        980,
        990,
        1000,
        1010,
        1024,
        2000,
        8150,
        8170,
        8172,
        8173,
        8174,
        8175,
        8176,
        8177,
        8178,
        8180,
        8191,
    ):
        out.append((f"long uri {size}", get(b"/" + b"u" * size)))
    for size in (8192, 8193, 9000, 16384, 40000):
        out.append((f"long uri {size}", get(b"/" + b"u" * size)))
    for size in (8100, 8185, 8192, 9000):
        out.append((f"long 0.9 {size}", b"GET /" + b"u" * size + b"\r\n"))
        out.append((f"long method {size}", b"G" * size + b" / HTTP/1.1\r\nHost: a\r\n\r\n"))
        out.append((f"long query {size}", get(b"/hello.txt?" + b"u" * size)))
    return out


def headers() -> list[tuple[str, bytes]]:
    """Header lines, their bytes, their number and their sizes."""
    odd = [
        *(b"X", b"X:", b"X: ", b":", b": x", b"X : y", b" X: y", b"\tX: y", b"X: a\r\n b", b"X: a\r\n\tb", b"X_Y: z"),
        *(b"X\x01: y", b"X\x7f: y", b"X\x80: y", b"X: \x01", b"X: \x7f", b"X: \x80", b"X: a\x00b", b"X\x00: y"),
        *(b"X: a\rb", b"X: a\r\r", b"X!: y", b"X@: y", b"X(: y", b"X y: z", b"X,: y", b"X/: y", b"Host_: y", b"X.y: z"),
        *(
            b"X: " + b" " * 300 + b"y",
            b"X: y" + b" " * 300,
            b"\r",
            b"X" * 100 + b": y",
            b"X\r",
            b"\xff: \xff",
            b"x\tz: y",
        ),
        *(b"Content_Length: 5", b"Content-Length : 5", b"{: y", b'"a": y', b"--: y", b"-: y", b"9: y", b"_: y"),
    ]
    out = [(f"header {i} {line[:24]!r}", get(b"/hello.txt", line)) for i, line in enumerate(odd)]
    for size in (900, 970, 1000, 8000, 8180, 8185, 8186, 8187, 8188, 8189, 8190, 8191, 8192, 8193, 8200, 9000, 20000):
        out.append((f"long header {size}", get(b"/hello.txt", b"X: " + b"v" * size)))
        out.append((f"long name {size}", get(b"/hello.txt", b"N" * size + b": v")))
        out.append((f"long cookie {size}", get(b"/hello.txt", b"Cookie: " + b"v" * size)))
    for count in (3, 4, 5, 6, 8):
        out.append((f"headers {count}x8000", get(b"/hello.txt", *[b"X: " + b"v" * 8000] * count)))
        out.append((f"headers {count}x5000", get(b"/hello.txt", *[b"X: " + b"v" * 5000] * count)))
    for byte in range(256):
        out.append((f"name byte {byte:02x}", get(b"/hello.txt", b"X" + bytes([byte]) + b"Y: z")))
        out.append((f"first byte {byte:02x}", get(b"/hello.txt", bytes([byte]) + b"Y: z")))
        out.append((f"value byte {byte:02x}", get(b"/hello.txt", b"X: a" + bytes([byte]) + b"b")))
        out.append((f"method byte {byte:02x}", get(b"/hello.txt", method=b"G" + bytes([byte]) + b"T")))
        out.append((f"host byte {byte:02x}", raw(b"GET /dir HTTP/1.1", b"Host: a" + bytes([byte]) + b"b")))
        out.append((f"authority byte {byte:02x}", raw(b"GET http://a" + bytes([byte]) + b"b/dir HTTP/1.1", b"Host: a")))
        out.append((f"literal byte {byte:02x}", raw(b"GET http://[a" + bytes([byte]) + b"b]/dir HTTP/1.1", b"Host: a")))
        out.append((f"scheme byte {byte:02x}", raw(b"GET h" + bytes([byte]) + b"p://a/dir HTTP/1.1", b"Host: a")))
    for count in (998, 999, 1000, 1001):
        out.append((f"{count} headers", get(b"/hello.txt", *[b"X: v"] * count)))
        out.append((f"{count} ignored headers", get(b"/hello.txt", *[b"X_: v"] * count)))
    for count in (10, 100, 300, 1000, 2000, 5000):
        out.append((f"headers {count} small", get(b"/hello.txt", *[b"X-%d: v" % i for i in range(count)])))
    out.append(("headers long then pipelined", (get(b"/hello.txt", b"X: " + b"v" * 5000) + get(b"/data.json")) * 3))
    out.append(
        ("pipelined to the brim", b"".join(get(b"/hello.txt", b"X: " + b"v" * n) for n in (900, 60, 3000, 8000, 8000)))
    )
    out.append(("headers long after line", get(b"/" + b"u" * 7000, b"X: " + b"v" * 7000, b"Y: " + b"v" * 7000)))
    for name in (  # noqa: SIM905
        "Host Connection If-Modified-Since If-Unmodified-Since If-Match If-None-Match User-Agent Referer Content-Length"
        " Content-Range Content-Type Range If-Range Transfer-Encoding TE Expect Upgrade Accept-Encoding Via Authorization"
        " Keep-Alive X-Forwarded-For Date Cookie Trailer Accept Destination Depth Overwrite Proxy-Authorization X-Real-IP"
        " Accept-Language If Origin Max-Forwards Priority HTTP2-Settings Proxy-Connection"
    ).split():
        value = {"Content-Length": b"0", "Transfer-Encoding": b"chunked", "Range": b"bytes=0-1"}.get(name, b"x")
        line = name.encode() + b": " + value
        out.append((f"one {name}", get(b"/hello.txt", line) + (b"0\r\n\r\n" if name == "Transfer-Encoding" else b"")))
        out.append((f"two {name}", get(b"/hello.txt", line, line)))
        out.append((f"empty {name}", get(b"/hello.txt", name.encode() + b":")))
        out.append((f"upper {name}", get(b"/hello.txt", name.upper().encode() + b":" + value)))
    return out

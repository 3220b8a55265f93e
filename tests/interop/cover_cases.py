"""Everything a stranger may say over HTTP/1.x, as data, and the small site it is said to.

``CASES`` holds (name, raw bytes). Every conversation ends by the visitor's FIN, so that no test has to wait for a
keep-alive timeout; ``SERVER_CLOSES`` names those where the server must end it without being asked.
"""

from __future__ import annotations

import os
from pathlib import Path

MTIME = 1_700_000_000
LAST_MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"
HOST = b"Host: cover.test\r\n"


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that look like text to deflate: repeats with changes, the same on every run."""
    words = [b"river", b"stone", b"cloud", b"paper", b"lamp", b"winter", b"bridge", b"<p>", b"</p>", b"\n", b"garden"]
    out = bytearray()
    state = seed
    while len(out) < size:
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        out += words[(state >> 16) % len(words)] + b" %d " % (state >> 20)
    return bytes(out[:size])


def build_site(root: Path) -> None:
    """Writes the site: index files, nested directories, odd names, sizes around every threshold of the server."""
    files: dict[str, bytes] = {
        "index.html": b"<!DOCTYPE html>\n<title>front</title>\n<p>Front page of the site.</p>\n",
        "page.html": b"<!DOCTYPE html>\n<title>page</title>\n" + noise(3000),
        "tiny.html": b"<p>tiny 19 bytes</p"[:19],
        "twenty.html": b"<p>twenty bytes</p>\n"[:20],
        "empty.html": b"",
        "empty.txt": b"",
        "hello.txt": b"0123456789abcdefghijklmnopqrstuvwxyz",
        "big.html": noise(200_000, 7),
        "big.bin": noise(300_000, 9),
        "k32.html": noise(32768, 3),
        "k64.html": noise(65536, 4),
        "k64less.html": noise(65535, 5),
        "k700.html": noise(700_000, 6),
        "random.html": bytes((i * i * 31 + (i >> 3) * 17 + (i >> 7)) & 0xFF for i in range(90_000)),
        "style.css": b"body { color: black }\n" * 10,
        "app.js": b"let x = 1;\n" * 20,
        "data.json": b'{"a": 1}\n',
        "img.PNG": b"\x89PNG\r\n\x1a\n" + bytes(64),
        "noext": b"no extension\n",
        "archive.tar.gz": b"\x1f\x8b" + bytes(40),
        ".hidden": b"hidden\n",
        ".hidden.txt": b"hidden text\n",
        "two words.txt": b"space\n",
        "per%cent.txt": b"percent\n",
        "quest?mark.txt": b"question\n",
        "hash#tag.txt": b"hash\n",
        "ünïcode.txt": "ü\n".encode(),
        "dir/index.html": b"<p>index of dir</p>\n",
        "dir/other.txt": b"other\n",
        "dir/.htaccess": b"deny\n",
        "htm/index.htm": b"<p>index.htm</p>\n",
        "debian/index.nginx-debian.html": b"<p>debian index</p>\n",
        "noindex/file.txt": b"in noindex\n",
        "indexdir/index.html/inner.txt": b"inner\n",
        "sp ace/index.html": b"<p>space dir</p>\n",
        "a/b/c/deep.txt": b"deep\n",
        "q\"uo'te.txt": b"quote\n",
        "name.": b"dot at the end\n",
        "x.svgz": b"svgz\n",
        "f.woff2": b"font\n",
        "v.mp4": b"video\n",
        "d.pdf": b"pdf\n",
        "w.wasm": b"wasm\n",
        "p.pl": b"perl\n",
        "x.xhtml": b"<html/>\n",
        "e.xml": b"<a/>\n",
        "long." + "x" * 40: b"long extension\n",
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (root / "emptydir").mkdir(exist_ok=True)
    for link, target in {"link.txt": "hello.txt", "dangling.txt": "nowhere", "linkdir": "dir", "loop": "loop"}.items():
        if not (root / link).is_symlink():
            (root / link).symlink_to(target)
    if not (root / "fifo").exists():
        os.mkfifo(root / "fifo")
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            os.utime(path, (MTIME, MTIME))


def get(path: bytes, *headers: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    """One request with a Host header."""
    lines = b"".join(h + b"\r\n" for h in headers)
    return method + b" " + path + b" " + version + b"\r\n" + HOST + lines + b"\r\n"


def raw(line: bytes, *headers: bytes) -> bytes:
    """One request with exactly these lines."""
    return line + b"\r\n" + b"".join(h + b"\r\n" for h in headers) + b"\r\n"


def _methods() -> list[tuple[str, bytes]]:
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
        ("post body then get", get(b"/hello.txt", b"Content-Length: 5", method=b"POST") + b"abcde" + get(b"/hello.txt")),
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


def _hosts_versions() -> list[tuple[str, bytes]]:
    out: list[tuple[str, bytes]] = []
    for version in (
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
    for i, host in enumerate(
        [b"", b" ", b"a", b"A.Test", b"a.test:80", b"a.test:8080", b"a.test:", b"a.test:abc", b"a..b", b".a", b"a.", b"."]
        + [b"..", b"a/b", b"a\\b", b"a b", b"a\tb", b"a\x01b", b"a\x7fb", b"[::1]", b"[::1]:80", b"[::1", b"::1", b"a]b"]
        + [b"a@b", b"a,b", b"a%41", b"\xff\xfe", b"a:b:c", b"*", b"_", b"a_b", b"-", b"1.2.3.4", b"[]", b":80", b"[a b]"]
        + [b"a\x00b", b"x" * 300, b"a.test:80/x", b"a.test.:80", b"[::1]x", b"A[::1]", b"a\"b", b"a;b", b"a?b", b"a#b"]
    ):
        out.append((f"host {i} {host[:12]!r}", raw(b"GET /dir HTTP/1.1", b"Host: " + host)))
        out.append((f"host10 {i} {host[:12]!r}", raw(b"GET /dir HTTP/1.0", b"Host: " + host)))
    return out


def _uris() -> list[tuple[str, bytes]]:
    uris = [
        *(b"/", b"//", b"///hello.txt", b"/dir", b"/dir/", b"/dir//", b"/dir//other.txt", b"/dir?x=1", b"/dir/?x=1"),
        *(b"/dir?", b"/hello.txt?", b"/hello.txt?a=b", b"/hello.txt?a b", b"/?", b"/??", b"/dir?a?b#c", b"/dir#f"),
        *(b"/hello.txt#frag", b"/hello.txt#frag?x", b"/#", b"/hello.txt/", b"/hello.txt/x", b"/missing/", b"/missing"),
        *(b"/./hello.txt", b"/dir/../hello.txt", b"/dir/./other.txt", b"/dir/..", b"/dir/.", b"/..", b"/../", b"/../x"),
        *(b"/../../etc/passwd", b"/dir/../../etc/passwd", b"/a/b/c/../../../hello.txt", b"/a/b/../../../hello.txt"),
        *(b"/...", b"/.../x", b"/dir/...", b"/dir/..x", b"/dir/.x", b"/dir/..?x", b"/dir/.?x", b"/dir/..#x"),
        *(b"/%2e%2e/etc/passwd", b"/dir/%2e%2e/hello.txt", b"/dir/%2E./hello.txt", b"/dir/.%2e/hello.txt"),
        *(b"/%2e/hello.txt", b"/%2fhello.txt", b"/dir%2fother.txt", b"/dir%2f%2e%2e%2fhello.txt", b"/%00", b"/a%00b"),
        *(b"/hello.txt%00", b"/%", b"/%1", b"/%zz", b"/%2", b"/%%", b"/hello%2etxt", b"/%68ello.txt", b"/%68ello%2Etxt"),
        *(b"/two%20words.txt", b"/two+words.txt", b"/two words.txt", b"/per%25cent.txt", b"/per%cent.txt"),
        *(b"/quest%3fmark.txt", b"/quest%3Fmark.txt?x", b"/hash%23tag.txt", b"/%c3%bcn%c3%afcode.txt"),
        *("/ünïcode.txt".encode(), b"/\xff", b"/%ff", b"/%0a", b"/%0d%0a", b"/%7f", b"/%01", b"/a%20", b"/sp%20ace"),
        *(b"/sp%20ace/", b"/sp%20ace?x=%20y", b"/linkdir", b"/linkdir/", b"/link.txt", b"/dangling.txt", b"/loop"),
        *(b"/fifo", b"/fifo/", b"/emptydir", b"/emptydir/", b"/noindex", b"/noindex/", b"/htm/", b"/debian/", b"/htm"),
        *(b"/indexdir", b"/indexdir/", b"/indexdir/index.html", b"/indexdir/index.html/", b"/.hidden", b"/.hidden.txt"),
        *(b"/dir/.htaccess", b"/noext", b"/img.PNG", b"/archive.tar.gz", b"/name.", b"/x.svgz", b"/f.woff2", b"/v.mp4"),
        *(b"/d.pdf", b"/w.wasm", b"/p.pl", b"/x.xhtml", b"/e.xml", b"/style.css", b"/app.js", b"/data.json", b"/big.bin"),
        *(b"/tiny.html", b"/twenty.html", b"/empty.html", b"/empty.txt", b"/page.html", b"/big.html", b"/a/b/c/deep.txt"),
        *(b"/a/b", b"/a/b/c/", b"/q%22uo%27te.txt", b"/q\"uo'te.txt", b"/index.html", b"/index.htm", b"/<x>", b"/%3Cx%3E"),
        *(b"/a\\b", b"/..\\x", b"/a;b", b"/a:b", b"/*", b"/~", b"/a\x01", b"/a\x7f", b"/a\x00b", b"/a\tb", b"/a\x80"),
        *(b"/" + b"x" * 200, b"/" + b"x" * 255, b"/" + b"x" * 256, b"/" + b"d/" * 500, b"/" + b"x" * 5000),
        *(b"/long." + b"x" * 40, b"/dir/index.html", b"/dir%3f", b"/dir%3fx", b"/dir%23", b"/dir%20", b"/DIR", b"/Hello.txt"),
        *(b"/dir/%2e", b"/dir/%2e%2e", b"/a//b", b"/a///b?x=1", b"/a/%2fb", b"//dir", b"//evil.test/dir", b"/%2f%2fdir"),
        *(b"/.", b"/./", b"/%2e", b"/dir/./", b"/dir/../", b"/dir/../dir", b"/sp%20ace%2f", b"/a%252fb", b"/dir?x=%zz"),
    ]
    out = [(f"uri {i} {uri[:40]!r}", get(uri)) for i, uri in enumerate(uris)]
    out += [(f"uri10 {i} {uri[:40]!r}", get(uri, version=b"HTTP/1.0")) for i, uri in enumerate(uris[:24])]
    # Around every size of the header buffers: 1 KiB first, then four of 8 KiB.
    for size in (900, 980, 990, 1000, 1010, 1024, 2000, 8150, 8170, 8172, 8173, 8174, 8175, 8176, 8177, 8178, 8180, 8191):
        out.append((f"long uri {size}", get(b"/" + b"u" * size)))
    for size in (8192, 8193, 9000, 16384, 40000):
        out.append((f"long uri {size}", get(b"/" + b"u" * size)))
    for size in (8100, 8185, 8192, 9000):
        out.append((f"long 0.9 {size}", b"GET /" + b"u" * size + b"\r\n"))
        out.append((f"long method {size}", b"G" * size + b" / HTTP/1.1\r\nHost: a\r\n\r\n"))
        out.append((f"long query {size}", get(b"/hello.txt?" + b"u" * size)))
    return out


def _headers() -> list[tuple[str, bytes]]:
    odd = [
        *(b"X", b"X:", b"X: ", b":", b": x", b"X : y", b" X: y", b"\tX: y", b"X: a\r\n b", b"X: a\r\n\tb", b"X_Y: z"),
        *(b"X\x01: y", b"X\x7f: y", b"X\x80: y", b"X: \x01", b"X: \x7f", b"X: \x80", b"X: a\x00b", b"X\x00: y"),
        *(b"X: a\rb", b"X: a\r\r", b"X!: y", b"X@: y", b"X(: y", b"X y: z", b"X,: y", b"X/: y", b"Host_: y", b"X.y: z"),
        *(b"X: " + b" " * 300 + b"y", b"X: y" + b" " * 300, b"\r", b"X" * 100 + b": y", b"X\r", b"\xff: \xff", b"x\tz: y"),
        *(b"Content_Length: 5", b"Content-Length : 5", b"{: y", b"\"a\": y", b"--: y", b"-: y", b"9: y", b"_: y"),
    ]
    out = [(f"header {i} {line[:24]!r}", get(b"/hello.txt", line)) for i, line in enumerate(odd)]
    for size in (900, 970, 1000, 8000, 8180, 8185, 8186, 8187, 8188, 8189, 8190, 8191, 8192, 8193, 8200, 9000, 20000):
        out.append((f"long header {size}", get(b"/hello.txt", b"X: " + b"v" * size)))
        out.append((f"long name {size}", get(b"/hello.txt", b"N" * size + b": v")))
        out.append((f"long cookie {size}", get(b"/hello.txt", b"Cookie: " + b"v" * size)))
    for count in (3, 4, 5, 6, 8):
        out.append((f"headers {count}x8000", get(b"/hello.txt", *[b"X: " + b"v" * 8000] * count)))
        out.append((f"headers {count}x5000", get(b"/hello.txt", *[b"X: " + b"v" * 5000] * count)))
    for count in (10, 100, 300, 1000, 2000, 5000):
        out.append((f"headers {count} small", get(b"/hello.txt", *[b"X-%d: v" % i for i in range(count)])))
    out.append(("headers long then pipelined", (get(b"/hello.txt", b"X: " + b"v" * 5000) + get(b"/data.json")) * 3))
    out.append(("pipelined to the brim", b"".join(get(b"/hello.txt", b"X: " + b"v" * n) for n in (900, 60, 3000, 8000, 8000))))
    out.append(("headers long after line", get(b"/" + b"u" * 7000, b"X: " + b"v" * 7000, b"Y: " + b"v" * 7000)))
    for name in (
        "Host Connection If-Modified-Since If-Unmodified-Since If-Match If-None-Match User-Agent Referer Content-Length"
        " Content-Range Content-Type Range If-Range Transfer-Encoding TE Expect Upgrade Accept-Encoding Via Authorization"
        " Keep-Alive X-Forwarded-For Date Cookie Trailer Accept Destination"
    ).split():
        value = {"Content-Length": b"0", "Transfer-Encoding": b"chunked", "Range": b"bytes=0-1"}.get(name, b"x")
        line = name.encode() + b": " + value
        out.append((f"one {name}", get(b"/hello.txt", line) + (b"0\r\n\r\n" if name == "Transfer-Encoding" else b"")))
        out.append((f"two {name}", get(b"/hello.txt", line, line)))
        out.append((f"empty {name}", get(b"/hello.txt", name.encode() + b":")))
        out.append((f"upper {name}", get(b"/hello.txt", name.upper().encode() + b":" + value)))
    return out


def _conditions() -> list[tuple[str, bytes]]:
    later, earlier = "Wed, 15 Nov 2023 22:13:20 GMT", "Mon, 13 Nov 2023 22:13:20 GMT"
    etag = '"6553f100-24"'
    out: list[tuple[str, bytes]] = []
    dates = [LAST_MODIFIED, later, earlier, "Tuesday, 14-Nov-23 22:13:20 GMT", "Tue Nov 14 22:13:20 2023", "x", ""]
    dates += ["Tue, 14 Nov 2023 22:13:20", "14 Nov 2023 22:13:20 GMT", "Tue, 14 nov 2023 22:13:20 GMT", "0"]
    dates += ["Tue, 14 Nov 2023 22:13:20 +0000", "Tue, 14 Nov 2023 22:13:20 GMT; length=36", "Tue, 14 Nov 2023 24:13:20 GMT"]
    dates += ["Tue, 31 Feb 2023 22:13:20 GMT", "Wed, 14 Nov 2023 22:13:20 GMT", "Tue,14 Nov 2023 22:13:20 GMT", "Tue, 14 Nov"]
    dates += ["Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Tue, 14 Nov 1600 22:13:20 GMT", "99999999999"]
    dates += ["Tuesday, 14-Nov-69 22:13:20 GMT", "Tuesday, 14-Nov-70 22:13:20 GMT", "Tue Nov  4 22:13:20 2023", "Tue Nov 14 22:13:20 23"]
    for date in dates:
        for name in ("If-Modified-Since", "If-Unmodified-Since"):
            out.append((f"{name} {date}", get(b"/hello.txt", f"{name}: {date}".encode())))
        out.append((f"If-Range {date}", get(b"/hello.txt", b"Range: bytes=1-3", f"If-Range: {date}".encode())))
    tags = [etag, f"W/{etag}", "*", '"x"', f'"x", {etag}', f'"x",{etag}', f'"x" {etag}', f"{etag}x", f" {etag} ", etag[:-1], ""]
    tags += [f"{etag},", f",{etag}", f'W/"x", W/{etag}', f"w/{etag}", "W/", '"', f"{etag} , x", f"*, {etag}", f"{etag}\t", f'"x"\t,\t{etag}']
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
    ranges += " bytes=9-5 bytes= bytes=- bytes=a-b bytes=1-2,4-5 bytes=0-0,-1 bytes=0-0,2-2,4-4 bytes=0-,0- bytes=0-35,0-0"
    ranges += " bytes=1-2,40-50 bytes=40-50,1-2 bytes=40-50,60-70 bytes=1-2, bytes=,1-2 bytes=1-2,,3-4 bytes=1 bytes 1-2 Bytes=1-2"
    ranges += " BYTES=1-2 bits=1-2 bytes=1-2x bytes=-1- bytes=99999999999999999999- bytes=0-99999999999999999999 bytes=+1-2"
    ranges += " bytes=0-9223372036854775807 bytes=-9223372036854775807 bytes=1--2 bytes=--2 b bytes=0-10,5-15,10-20,1-30"
    for value in ranges.split(" "):
        out.append((f"range {value}", get(b"/hello.txt", f"Range: {value}".encode())))
    for value in ("bytes= 1-2", "bytes=1 - 2", "bytes=1-2 , 4-5", "bytes=1- ", "bytes=1-2,4-5", "bytes =1-2", "bytes=1-\t2"):
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


def _gzip() -> list[tuple[str, bytes]]:
    out: list[tuple[str, bytes]] = []
    values = ["gzip", "gzip, deflate", "gzip,deflate", "deflate, gzip", "deflate", "br, gzip", "*", "identity", "GZIP", "x-gzip"]
    values += ["gzip;q=0", "gzip;q=1", "gzip;q=0.5", "gzip;q=0.0", "gzip;q=0.001", "gzip;q=0.0001", "gzip; q=1", "gzip ;q=0"]
    values += ["gzip;q=1.0", "gzip;q=1.1", "gzip;q=2", "gzip;q=", "gzip;q", "gzip;", "gzip;x=1", "gzip;q=.5", "gzipx", "xgzip"]
    values += ["a,gzip", "a gzip", "a;gzip", "gzip q=0", "gzi", "gzip;Q=0", "gzip;q=0,gzip", "gzip,x;q=0", "", "gzip;q=0.000"]
    values += ["deflate,gzip;q=0", "gzip;  q=0.1", "gzip;q=1.000", "gzip;q=1.0000", "gzip;q=1.001", "gzip;q=0.x", "gzip, gzip;q=0"]
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
        ("gzip 404 chrome", get(b"/missing", b"Accept-Encoding: gzip", b"User-Agent: Mozilla/5.0 Chrome/120.0 Safari/537.36")),
    ]
    return out


def _bodies() -> list[tuple[str, bytes]]:
    out: list[tuple[str, bytes]] = []
    values = [b"0", b"5", b"-1", b"+5", b"5 ", b" 5", b"5, 5", b"5x", b"0x5", b"", b"1048576", b"1048577", b"99999999999999999999"]
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
    for value in ("Chunked", "gzip", "gzip, chunked", "chunked, gzip", "identity", "", " chunked ", "chunked,chunked", "\tchunked", "xchunked"):
        head = get(b"/hello.txt", b"Transfer-Encoding: " + value.encode())
        out.append((f"te {value!r}", head + b"5\r\nabcde\r\n0\r\n\r\n" + get(b"/data.json")))
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
        ("length exactly 1m", get(b"/hello.txt", b"Content-Length: 1048576", method=b"POST") + b"b" * 1048576 + get(b"/data.json")),
        ("expect get", get(b"/hello.txt", b"Expect: 100-continue")),
        ("expect get length", get(b"/hello.txt", b"Expect: 100-continue", b"Content-Length: 5") + b"abcde" + get(b"/data.json")),
        ("expect post", get(b"/hello.txt", b"Expect: 100-continue", b"Content-Length: 5", method=b"POST") + b"abcde"),
        ("expect upper", get(b"/hello.txt", b"Expect: 100-CONTINUE", b"Content-Length: 5", method=b"POST") + b"abcde"),
        ("expect other", get(b"/hello.txt", b"Expect: something", b"Content-Length: 5", method=b"POST") + b"abcde"),
        ("expect 1.0", get(b"/hello.txt", b"Expect: 100-continue", b"Content-Length: 5", version=b"HTTP/1.0") + b"abcde"),
        ("expect missing", get(b"/missing", b"Expect: 100-continue", b"Content-Length: 5", method=b"POST") + b"abcde"),
        ("expect chunked", get(b"/hello.txt", b"Expect: 100-continue", te, method=b"POST") + b"0\r\n\r\n"),
        ("expect dir", get(b"/dir", b"Expect: 100-continue", b"Content-Length: 5", method=b"POST") + b"abcde"),
        ("expect put", get(b"/x", b"Expect: 100-continue", b"Content-Length: 5", method=b"PUT") + b"abcde"),
        ("expect trace", get(b"/", b"Expect: 100-continue", b"Content-Length: 5", method=b"TRACE") + b"abcde"),
        ("expect 304", get(b"/hello.txt", b"Expect: 100-continue", f"If-Modified-Since: {LAST_MODIFIED}".encode())),
    ]
    return out


def _connections() -> list[tuple[str, bytes]]:
    chrome = b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
    out: list[tuple[str, bytes]] = []
    for value in (b"close", b"Close", b"keep-alive", b"Keep-Alive", b"close, keep-alive", b"keep-alive, close", b"xclosex", b"upgrade"):
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
        ("websocket", get(b"/", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: x", b"Sec-WebSocket-Version: 13")),
        ("h2c upgrade", get(b"/", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAA")),
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
        *(b"MSIE ", b"MSIE 6", b"MSIE 6.", b"MSIE 6.0", b"MSIE 6.0 SV1", b"MSIE 7.0", b"MSIE 5.0", b"MSIE 10.0", b"Opera MSIE 6.0 x"),
        *(b"Mozilla/4.0 (compatible; MSIE 6.0; Windows) Opera 8", b"Chrome/", b"chrome/1", b"Opera Chrome/1", b"Safari/1"),
        *(b"Gecko/2010 Chrome/1", b"Konqueror Chrome/1", b"Mac OS X Safari/1", b"MSIE 6.0 Chrome/1", b"x" * 100, b"MSIE 40.0 x"),
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


CASES: list[tuple[str, bytes]] = [
    *_methods(),
    *_hosts_versions(),
    *_uris(),
    *_headers(),
    *_conditions(),
    *_gzip(),
    *_bodies(),
    *_connections(),
]

"""The small site everything is said to, and the two ways to spell a request."""

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
    # A directory for every byte a name can hold: what a redirect to it looks like.
    for byte in range(1, 256):
        if byte != ord("/"):
            Path(os.fsdecode(os.fsencode(root / "bytes") + b"/x" + bytes([byte]) + b"y")).mkdir(
                parents=True, exist_ok=True
            )
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

"""One page: a head that forbids everything, and a body in which every character is escaped."""

from __future__ import annotations

import base64
import hashlib
import html

from rozaneh.offline.reader.words import Words

_STYLE = (
    "body{max-width:42em;margin:1em auto;padding:0 1em;font:1.05em/1.6 serif;background:#fff;color:#111}"
    "h1{font-size:1.5em;line-height:1.3}h2{font-size:1.15em}nav,footer,.by{font:.85em sans-serif;color:#555}"
    "li{margin:.3em 0}td{border:1px solid #bbb;padding:.2em .5em}pre{white-space:pre-wrap}a{color:#0645ad}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8ab4f8}nav,footer,.by{color:#aaa}}"
)
# One style, named by its hash; nothing else of any kind is loaded, sent or embedded (CSP Level 3).
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode("ascii")).digest()).decode("ascii")
POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"


def page(title: str, body: str, words: Words, *, language: str = "", rtl: bool | None = None) -> bytes:
    """A whole page. `body` is HTML whose text is escaped already; `title` is not."""
    direction = "rtl" if (words.rtl if rtl is None else rtl) else "ltr"
    text = (
        "<!doctype html>\n"
        f'<html lang="{html.escape(language or words.tag)}" dir="{direction}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(POLICY)}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
    return text.encode("utf-8")


def link(address: str, text: str) -> str:
    """A link to another page of the folder; `address` is one that we made."""
    return f'<a href="{html.escape(address)}">{html.escape(text)}</a>'

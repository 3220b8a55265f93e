"""An article's text: a list of blocks with plain text in them, so that there is nothing to sanitise when it is shown.

News needs paragraphs, headings, lists, quotations and tables; it does not need anybody's HTML. What a publisher's page
said is reduced to these once, where the bundle is made, and a reader's program only ever escapes text. A hostile issuer
can write lies and nothing else.

A text is stored as canonical JSON: `[["p","…"],["h","…"]]`.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.offline.manifest import one_line

Block: TypeAlias = tuple[str, str]

MAX_BLOCKS = 20_000
MAX_CHARACTERS = 200_000  # of one block
# Paragraph, heading, list item, quotation, preformatted, table row (cells separated by tabs).
_TAGS = {"p": "p", "h": "h2", "li": "li", "quote": "blockquote", "pre": "pre", "row": "tr"}
_GROUPS = {"li": "ul", "row": "table"}
KINDS = frozenset(_TAGS)


def block(kind: str, text: str) -> Block | None:
    """A block of this text, tidied; None where nothing of it shows."""
    if kind == "row":
        tidy = "\t".join(one_line(cell, MAX_CHARACTERS) for cell in text.split("\t")).strip("\t")
    elif kind == "pre":
        tidy = "\n".join(one_line(line, MAX_CHARACTERS) for line in text.splitlines()).strip("\n")
    else:
        tidy = one_line(text, MAX_CHARACTERS)
    return (kind, tidy[:MAX_CHARACTERS]) if tidy.strip() else None


def encode(blocks: Sequence[Block]) -> bytes:
    """The bytes of a text."""
    return msgspec.json.encode(blocks)


def decode(content: bytes) -> tuple[Block, ...]:
    """The text in these bytes.

    Raises:
        Fault: INTEGRITY when it is not in its one form.
    """
    try:
        blocks = msgspec.json.decode(content, type=tuple[Block, ...])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Fault(FaultKind.INTEGRITY, "A text in the bundle is not well formed", why=str(error)) from None
    good = 0 < len(blocks) <= MAX_BLOCKS and all(one[0] in KINDS and block(*one) == one for one in blocks)
    if not good or encode(blocks) != content:
        raise Fault(FaultKind.INTEGRITY, "A text in the bundle is not in its one form")
    return blocks


def plain(blocks: Iterable[Block]) -> str:
    """The words alone, a block a line."""
    return "\n".join(text for _, text in blocks)


def to_html(blocks: Iterable[Block]) -> str:
    """The text as a fragment of HTML in which every character of the text is escaped."""
    out: list[str] = []
    group = ""
    for kind, text in blocks:
        wanted = _GROUPS.get(kind, "")
        if wanted != group:
            out.append((f"</{group}>" if group else "") + (f"<{wanted}>" if wanted else ""))
            group = wanted
        tag = _TAGS[kind]
        if kind == "row":
            inner = "".join(f"<td>{html.escape(cell)}</td>" for cell in text.split("\t"))
        else:
            inner = html.escape(text)
        out.append(f"<{tag}>{inner}</{tag}>")
    out.append(f"</{group}>" if group else "")
    return "\n".join(part for part in out if part)

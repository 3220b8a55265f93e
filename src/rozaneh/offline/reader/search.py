"""Full-text search without script: pages of words, two steps from the first letter to the articles.

`search/index.html` lists first letters, a letter's page the beginnings of words with two letters, and that page each
word with the articles it stands in. Scripts that write without blanks (Chinese, Japanese, Thai) are listed by pairs of
letters, as is done where no dictionary is at hand.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from rozaneh.offline.manifest import Article
from rozaneh.offline.reader.page import link, page
from rozaneh.offline.reader.words import Words

MAX_PLACES = 50  # articles listed under a word, the newest; who looks for more looks for a rarer word
_LONGEST = 40  # characters of a word; longer ones are addresses and noise
_COMMON = 0.5  # a word that stands in more than half of the articles finds nothing
_FEW = 20  # articles below which every word is listed
_WORD = re.compile(r"[^\W_]+(?:[\u200c'\u2019][^\W_]+)*")
# Han, Hiragana, Katakana, Thai, Lao, Khmer, Myanmar (Unicode 15 blocks).
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]+")


def tokens(text: str) -> Iterator[str]:
    """The words of a text as they are looked up."""
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text).casefold()):
        word = match[0]
        at = 0
        for run in _UNSPACED.finditer(word):
            yield from _spaced(word[at : run.start()])
            letters = run[0]
            yield from (letters[i : i + 2] for i in range(max(1, len(letters) - 1)))
            at = run.end()
        yield from _spaced(word[at:])


def _spaced(word: str) -> Iterator[str]:
    if 2 <= len(word) <= _LONGEST:
        yield word


def pages(texts: Mapping[str, str], articles: Iterable[Article], words: Words) -> Iterator[tuple[str, bytes]]:
    """The pages of `search/`, by name; `texts` has an article's words by its id, `articles` come newest first."""
    known = [article for article in articles if article.id in texts]
    places: dict[str, list[int]] = defaultdict(list)
    for number, article in enumerate(known):
        for word in set(tokens(f"{article.title} {texts[article.id]}")):
            places[word].append(number)
    most = len(known) * _COMMON if len(known) > _FEW else len(known)
    kept = sorted(word for word, found in places.items() if len(found) <= most)
    home = f"<nav>{link('../index.html', words.home)} · {link('index.html', words.search)}</nav>"
    letters = {letter: list(group) for letter, group in groupby(kept, key=lambda word: word[0])}
    listed = " ".join(link(f"{_name(letter)}.html", letter) for letter in letters)
    yield "index.html", page(words.search, f"{home}\n<h1>{html.escape(words.search)}</h1>\n<p>{listed}</p>", words)
    for letter, group in letters.items():
        beginnings = {begin: list(part) for begin, part in groupby(group, key=lambda word: word[:2])}
        listed = " ".join(link(f"{_name(begin)}.html", begin) for begin in beginnings)
        yield f"{_name(letter)}.html", page(letter, f"{home}\n<h1>{html.escape(letter)}</h1>\n<p>{listed}</p>", words)
        for begin, part in beginnings.items():
            if begin == letter:
                continue
            body = "\n".join(_entry(word, places[word], known) for word in part)
            yield f"{_name(begin)}.html", page(begin, f"{home}\n<h1>{html.escape(begin)}</h1>\n{body}", words)


def _entry(word: str, found: list[int], known: list[Article]) -> str:
    rows = "\n".join(f"<li>{link(f'../a/{known[at].id}.html', known[at].title)}</li>" for at in found[:MAX_PLACES])
    return f"<h2>{html.escape(word)}</h2>\n<ul>\n{rows}\n</ul>"


def _name(text: str) -> str:
    """A file's name for any letters."""
    return "w" + "-".join(f"{ord(letter):x}" for letter in text)

"""The files every site serves for measurements: the same bytes in every world, told apart by the site's name.

They look random to anything in between (nothing can compress or guess them) and anyone can compute them: block `n` is
SHA-256 of `NAME/FILE/n`.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

# What a trial fetches (issue 4, section 6).
SIZES = {"64k.bin": 65_536, "1m.bin": 1_048_576}


def content(site: str, file: str) -> bytes:
    """The bytes of `file` on the site called `site`; `KeyError` for a file no site has."""
    blocks = -(-SIZES[file] // 32)
    seed = f"{site}/{file}/"
    return b"".join(hashlib.sha256(f"{seed}{block}".encode()).digest() for block in range(blocks))[: SIZES[file]]


@lru_cache(maxsize=64)
def digest(site: str, file: str) -> str:
    """SHA-256 of that file, in hex: what a fetch is checked against."""
    return hashlib.sha256(content(site, file)).hexdigest()

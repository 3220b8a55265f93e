"""Acts on any TCP stream in which a keyword stands, whatever its protocol (Geneva's model censors 1 to 11 and 8b).

With `tcb = "geneva-8b"` and its like the flows are followed as that model censor does.
"""

from __future__ import annotations

from random import Random

from rozaneh.lab.api import Params
from rozaneh.lab.censors.base import read_settings
from rozaneh.lab.packet import Packet
from rozaneh.lab.strikes import StrikeSettings
from rozaneh.lab.tcb import expand
from rozaneh.lab.tcpfilter import TcpFilter
from rozaneh.lab.watch import MORE, Reading


class KeywordSettings(StrikeSettings, frozen=True, kw_only=True):
    """What is looked for: `keywords` as text, upper and lower case alike."""

    keywords: tuple[str, ...]


class Censor(TcpFilter[str]):
    """Reads what the client sends."""

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(KeywordSettings, expand(params))
        if not all(settings.keywords):
            raise ValueError("an empty keyword would match everything")
        keywords = [(word, word.lower().encode()) for word in settings.keywords]

        def read(data: bytes, p: Packet) -> str | Reading | None:
            data = data.lower()
            for word, wanted in keywords:
                if wanted in data:
                    return word
            return MORE

        super().__init__(settings, rng, read)

    def match(self, found: str, p: Packet) -> str | None:
        """Whatever was found matches."""
        return f"keyword {found}"

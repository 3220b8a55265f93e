"""Iran's block page under its own name: `http_host` with the parameters of catalogue IR-02.

Any TCP port, from the SYN on [C IRBlock 3.2]. The request goes no further, the page comes in the server's name, the
server gets a reset. Then 180 s of silence for the four-tuple, restarted by each hit [C WOOT'21]. `segments` says
whether a request head spread over several segments is put together.
"""

from __future__ import annotations

from random import Random

from rozaneh.lab.api import Params
from rozaneh.lab.censors import http_host
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.resets import Reset


class HttpBlockSettings(Settings, frozen=True, kw_only=True):
    """`names` match with everything below them; `frame` is the address the page's iframe shows.

    `text` stands above it: today's browsers refuse to show a private address inside a public page.
    """

    names: tuple[str, ...]
    frame: str = "http://10.10.34.36/"
    text: str = ""
    segments: bool = False
    residual_s: float = 180.0
    residual_restarts: bool = True


class Censor(http_host.Censor):
    """Reads the heads of each connection's HTTP requests from the inside."""

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(HttpBlockSettings, params)
        given = {
            "names": settings.names,
            "frame": settings.frame,
            "text": settings.text,
            "page": "iran-2024",
            "reassembly": "full" if settings.segments else "none",
            "drop": "both",
            "resets": (Reset(to="server"),),
            "residual_s": settings.residual_s,
            "residual_restarts": settings.residual_restarts,
        }
        super().__init__(given, rng)

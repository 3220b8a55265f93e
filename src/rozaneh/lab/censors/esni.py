"""Acts on ClientHellos that carry an encrypted server name, extension 0xffce (catalogue CN-03, July 2020).

After a full handshake, on any port; packets of the client are dropped, nothing is injected; at least a second passes
before that begins, and it lasts 120 to 180 s for the 3-tuple, which further triggers do not begin again; 0xff02 to
0xff04 are not looked for; a first segment of at most four bytes defeats it [all C gfw.report 2020].
"""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar

from rozaneh.lab.api import Params
from rozaneh.lab.censors.base import read_settings
from rozaneh.lab.codec.clienthello import ESNI, ClientHello
from rozaneh.lab.packet import Packet
from rozaneh.lab.strikes import StrikeSettings
from rozaneh.lab.tcb import expand
from rozaneh.lab.tcpfilter import TcpFilter
from rozaneh.lab.watch import hello_reader


class EsniSettings(StrikeSettings, frozen=True, kw_only=True):
    """Which extensions are looked for."""

    extensions: tuple[int, ...] = (ESNI,)


class Censor(TcpFilter[ClientHello]):
    """Reads the ClientHello of each connection."""

    # What the report says, under whatever the profile says. Five bytes are a TLS record's head: why four defeat it.
    DEFAULTS: ClassVar[dict[str, Any]] = {
        "needs": "syn+ack",
        "initiator": "any",
        "drop": "client",
        "arm_s": 1.0,
        "residual_s": 150.0,
        "residual_key": "3-tuple",
        "residual_restarts": False,
        "residual_renews": False,
        "min_first": 5,
        "cut": False,
    }

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(EsniSettings, {**self.DEFAULTS, **expand(params)})
        super().__init__(settings, rng, hello_reader(settings))
        self._extensions = settings.extensions

    def match(self, found: ClientHello, p: Packet) -> str | None:
        """By extension."""
        for extension in self._extensions:
            if found.extension(extension) is not None:
                return f"extension 0x{extension:04x}"
        return None

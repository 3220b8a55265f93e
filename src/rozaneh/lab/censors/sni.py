"""Acts on TLS ClientHellos by the name they ask for (catalogue IR-03, CN-02, CN-04, CN-10).

One mechanism, many boxes: how flows are followed (`tcb.TcbSettings`), what is put together and read
(`watch.WatchSettings`), what a match brings (`strikes.StrikeSettings`) and which names match are parameters, whose
values and sources stand in the profiles. By default a match has no consequence: a profile says `drop` or `resets`.

* IR-03: from the SYN on (`needs = "syn"`, in sequence: `window`), any port; `resets = ["iran"]`, then 180 s for the
  4-tuple, restarting [C IRBlock 3.2, WOOT'21]. 2020: `reassembly = "none"`. A decoy in front did not help against
  the HTTP filter beside it (`gives_up = false`) [C lib-erate IMC'17].
* CN-02: on the path; the SYN but no SYN+ACK, `reassembly = "full"`, `records = false` [P SP'25]; `resets` gfw-1 to -3
  and 180 s for the 3-tuple, `residual_does = "reset"` [P SP'25]; no checksum check, `rst = "teardown"` for resets after
  the handshake [P Geneva], `rst_early = "resync"` with p = 0.5 [C Geneva], `old_data = "accept"` [C SymTCP]. What a
  split before the name did in CCS'23 is `reassembly = "none"`.
* CN-04: on the path, `needs = "none"`, `reassembly = "none"`, `header_length = 20`, `resets = ["henan"]`, nothing else
  [P SP'25]: it holds for hosts with `tcp_timestamps` 0 and must spare those with 1.
* CN-10: `resets = ["gfw-edge"]`, and for a while the reader's whole traffic, `ban_s` [T #248].
* Kazakhstan (X-07): `drop = "both"`, 120 s for the 4-tuple, restarting [C WOOT'21].
"""

from __future__ import annotations

from random import Random

from rozaneh.lab.api import Params
from rozaneh.lab.censors.base import read_settings
from rozaneh.lab.codec.clienthello import ClientHello
from rozaneh.lab.names import NameList
from rozaneh.lab.packet import Packet
from rozaneh.lab.strikes import StrikeSettings
from rozaneh.lab.tcb import expand
from rozaneh.lab.tcpfilter import TcpFilter
from rozaneh.lab.watch import hello_reader


class SniSettings(StrikeSettings, frozen=True, kw_only=True):
    """Which names are meant.

    Attributes:
        names: Names that match with everything below them.
        exact: Names that match alone.
        substrings: What matches anywhere in a name.
        spared: Names that never match, with everything below them.
        nameless: Whether a ClientHello without a name matches.
        case: Whether letter case matters (then a name sent in other letters than the list's lower case passes).
    """

    names: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    substrings: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()
    nameless: bool = False
    case: bool = False


class Censor(TcpFilter[ClientHello]):
    """Reads the ClientHello of each connection."""

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(SniSettings, expand(params))
        super().__init__(settings, rng, hello_reader(settings))
        self._settings = settings
        self._names = NameList(settings.names, settings.exact, settings.substrings)
        self._spared = NameList(settings.spared)

    def match(self, found: ClientHello, p: Packet) -> str | None:
        """By name."""
        name = found.server_name
        if name is None:
            return "no name" if self._settings.nameless else None
        if self._settings.case and found.server_name_as_sent != name:
            return None
        return f"name {name}" if self._names.find(name) and not self._spared.find(name) else None

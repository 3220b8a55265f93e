"""Iran's TLS name filter under its own name: `sni` with the parameters of catalogue IR-03.

Any TCP port; the flow must have been seen from its SYN [C]. The action is a RST+ACK right after the ClientHello
[C IRBlock 3.2], then 180 s during which the same four-tuple goes nowhere [C WOOT'21 table I], each hit beginning the
time again (IR-02, same system). `segments` says whether a ClientHello spread over several TCP segments is put together
(not in 2020-22: segmentation worked then; "when load permits" in 2025), `records` the same for TLS records.
"""

from __future__ import annotations

from random import Random

from rozaneh.lab.api import Params
from rozaneh.lab.censors import sni
from rozaneh.lab.censors.base import Settings, read_settings


class SniResetSettings(Settings, frozen=True, kw_only=True):
    """`names` match with everything below them; an empty `ports` means every port."""

    names: tuple[str, ...]
    ports: tuple[int, ...] = ()
    segments: bool = True
    records: bool = True
    needs_syn: bool = True
    residual_s: float = 180.0
    residual_restarts: bool = True


class Censor(sni.Censor):
    """Reads the first message of each TLS connection from the inside."""

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(SniResetSettings, params)
        given = {
            "names": settings.names,
            "ports": settings.ports,
            "reassembly": "full" if settings.segments else "none",
            "records": settings.records,
            "needs": "syn" if settings.needs_syn else "none",
            "drop": "both",
            "resets": ("iran",),
            "residual_s": settings.residual_s,
            "residual_restarts": settings.residual_restarts,
        }
        super().__init__(given, rng)

"""ML-08: Trojan by sums of bytes, as Trojan-killer and OpenGFW do [P]; a cheap smoke test with many errors.

After the client's ChangeCipherSpec record (`14 03 03 00 01 01`) bytes are counted both ways; when the client has sent
650 to 1,000 bytes and the server 170 to 180 or 3,000 to 7,500 by the time the next packet from the client comes, the
flow is flagged. Its own authors speak of many false positives and negatives.
"""

from __future__ import annotations

from pathlib import Path

from rozaneh.lab.judges import flowsfrom, records
from rozaneh.lab.judges.base import Flagged

BASIS = "published (Trojan-killer, OpenGFW) [P]"

# 37 of 382 benign TLS flows of the lab's test corpus; what host verdicts reckon with.
FALSE_POSITIVE = 0.1

_CCS = bytes.fromhex("140303000101")
UP = (650, 1_000)
DOWN = ((170, 180), (3_000, 7_500))


def judge(capture: Path) -> list[Flagged]:
    """The verdicts on a capture's TLS flows."""
    return [_flow(flow) for flow in flowsfrom.read(capture) if flow.protocol == "tcp"]


def _flow(flow: flowsfrom.Flow) -> Flagged:
    at = flow.up.find(_CCS) if records.is_tls(flow) else -1
    if at < 0:
        return Flagged(flow.name, flow.host, False, "no ChangeCipherSpec of a TLS client", False, flow.began)
    end = at + len(_CCS)
    gone = up = down = 0
    begun = False
    for packet in flow.packets:
        if packet.up:
            if begun and _suspicious(up, down):
                why = f"{up} B up and {down} B down after the client's ChangeCipherSpec"
                return Flagged(flow.name, flow.host, True, why, True, flow.began)
            gone += packet.size
            if gone >= end:
                up += packet.size if begun else gone - end
                begun = True
        elif begun:
            down += packet.size
    return Flagged(flow.name, flow.host, False, f"{up} B up and {down} B down at the end", begun, flow.began)


def _suspicious(up: int, down: int) -> bool:
    return UP[0] <= up <= UP[1] and any(low <= down <= high for low, high in DOWN)

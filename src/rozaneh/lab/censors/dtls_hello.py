"""DTLS-HELLO: DTLS connections of listed fingerprints are dropped a little after their ClientHello (catalogue RU-16).

30 March 2026 in Russia: Snowflake's DTLS 1.2 hello (JA3/JA4) is recognised and the flow dropped "after a small delay";
the rendezvous hosts stay reachable; a randomised hello or one of DTLS 1.3 passes [C/T net4people #603]. Any UDP port,
either side may be DTLS's client. The fingerprints themselves are not published: a profile names its own.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar

from rozaneh.lab.api import DONE, PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.codec import fingerprint
from rozaneh.lab.codec.clienthello import ClientHello, More, parse_dtls
from rozaneh.lab.packet import Packet

_DTLS_1_3 = 0xFEFC
_LOOKS = 24  # datagrams before the hello (STUN comes first) or without one, then the flow is something else
_MAX_HELD = 8_192


class DtlsHelloSettings(Settings, frozen=True, kw_only=True):
    """Which fingerprints, and when it acts.

    Attributes:
        fingerprints: JA3 or JA4 patterns of hellos that are dropped; `*` for every DTLS hello.
        spare_1_3: Whether hellos that offer DTLS 1.3 pass: they do [C/T #603].
        after_s: How long after the hello packets still pass; "a small delay" [C/T #603], the number is the lab's.
        outbound_only: Whether only hellos from inside count; not reported, so not by default.
    """

    fingerprints: tuple[str, ...]
    spare_1_3: bool = True
    after_s: float = 1.0
    outbound_only: bool = False


class Censor:
    """Judges each UDP flow by its DTLS ClientHello."""

    protocols: ClassVar[str] = "udp"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(DtlsHelloSettings, params)
        if settings.after_s < 0 or not settings.fingerprints:
            raise ValueError("fingerprints are needed, and after_s is not below 0")
        self._settings = settings
        self._patterns = settings.fingerprints

    def packet(self, p: Packet, now: float) -> Verdict:
        """Follows a flow to its hello; a listed one's flow is dropped from then on, after the delay."""
        flow = p.flow
        why: str | None = flow.get("why")
        if why is not None:
            return Drop(why) if now >= flow["from"] else PASS
        payload = p.payload
        flow["looks"] = looks = flow.get("looks", 0) + 1
        if looks > _LOOKS:
            return DONE
        if (self._settings.outbound_only and not p.outbound) or payload[:2] != b"\x16\xfe":
            return PASS
        held: bytes = flow.get("held", b"")
        hello = parse_dtls(held + payload)
        if isinstance(hello, More):
            flow["held"] = (held + payload)[:_MAX_HELD]
            return PASS
        flow.pop("held", None)
        if hello is None:
            return PASS  # the other end's part of the handshake, or a fragment that fits nothing
        if not hello.cookie:
            # A server may ask for the same hello again with a cookie; the fingerprint is the same.
            flow["looks"] = 0
        return self._judge(hello, flow, now)

    def _judge(self, hello: ClientHello, flow: dict[str, object], now: float) -> Verdict:
        settings = self._settings
        if settings.spare_1_3 and _DTLS_1_3 in hello.versions:
            return DONE
        found = fingerprint.matches(hello, self._patterns, "d")
        if found is None:
            return PASS
        flow["why"] = why = f"DTLS fingerprint {found}"
        flow["from"] = now + settings.after_s
        return Drop(why) if settings.after_s == 0 else PASS

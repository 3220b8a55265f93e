"""ECH: connections that hide their name in Encrypted ClientHello behind one well-known outer name go nowhere (RU-13).

Since 5 November 2024 in Russia: outer name `cloudflare-ech.com` AND the extension 0xfe0d; each alone passes, so a
GREASE extension under another name does too; TLS and QUIC; the flow is dropped without a reset [T net4people #417], and
only towards Cloudflare, which is the rule's gate `outside` [C FOCI'25 5]. Segmentation alone or record fragmentation
alone does not get through, both together do [C FOCI'25 5]: `segments = "full"`, `records = "buffered"`.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

from rozaneh.lab.api import DONE, PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import read_settings
from rozaneh.lab.codec.clienthello import ClientHello, More
from rozaneh.lab.codec.quicframes import Habits, HelloReader
from rozaneh.lab.names import NameList
from rozaneh.lab.packet import Packet
from rozaneh.lab.tspu import HelloRule, PunishSettings


class EchSettings(PunishSettings, frozen=True, kw_only=True):
    """Which outer names, and whether QUIC is read as well.

    Attributes:
        names: Outer names that match together with the extension [T #417].
        needs_extension: Whether the extension has to be there.
        quic: Whether QUIC Initials are read; their ports are `ports` too [T #417].
        habits: How QUIC is read; RU-07's parser by default (no check of the tag, CRYPTO frames put together).
    """

    segments: Literal["none", "in_order", "full"] = "full"
    records: Literal["none", "buffered", "full"] = "buffered"
    names: tuple[str, ...] = ("cloudflare-ech.com",)
    needs_extension: bool = True
    quic: bool = True
    habits: Habits = Habits(check_tag=False, truncated=True, crypto="full", datagrams=2)


class Censor(HelloRule):
    """Judges connections by their outer name and the extension."""

    protocols: ClassVar[str] = "any"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(EchSettings, params)
        super().__init__(settings, rng)
        self._settings = settings
        self._names = NameList(exact=settings.names)

    def packet(self, p: Packet, now: float) -> Verdict:
        """Follows TCP as every such rule does, and the first datagrams of QUIC."""
        if p.tcp is not None:
            return super().packet(p, now)
        udp = p.udp
        if udp is None or not self._settings.quic:
            return DONE
        flow = p.flow
        dead: str | None = flow.get("why")
        if dead is not None:
            return Drop(dead)
        if self._settings.ports and p.outside_port not in self._settings.ports:
            return DONE
        if not p.outbound:
            return PASS
        reader: HelloReader = flow.setdefault("quic", HelloReader(self._settings.habits))
        hello = reader.add(p.payload)
        if isinstance(hello, More):
            return PASS
        why = self.why(hello, p, now) if hello is not None else ""
        if not why:
            return DONE
        flow["why"] = why
        return Drop(why)

    def why(self, hello: ClientHello, p: Packet, now: float) -> str:
        """Names the outer name when the extension is there as well."""
        name = hello.server_name
        if name is None or self._names.find(name) is None:
            return ""
        if self._settings.needs_extension and not hello.has_ech:
            return ""
        return f"ECH behind {name}"

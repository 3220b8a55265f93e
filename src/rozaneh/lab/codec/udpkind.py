"""What protocol a UDP flow's first datagram belongs to, as a box that keeps an allow list of protocols sees it.

Only the shape of the first bytes is looked at, as such boxes do; `""` means unrecognised (catalogue IR-06: UDP that is
not recognised is dropped).
"""

from __future__ import annotations

from rozaneh.lab import dnsmessage
from rozaneh.lab.codec import quic

KINDS = ("dns", "ntp", "stun", "quic", "dtls", "wireguard", "openvpn")

_STUN_COOKIE = b"\x21\x12\xa4\x42"  # RFC 8489 5
_DTLS_VERSIONS = (b"\xfe\xff", b"\xfe\xfd")  # RFC 6347 4.1
_WIREGUARD = {b"\x01\0\0\0": 148, b"\x02\0\0\0": 92}  # whitepaper 5.4.2, 5.4.3: type, reserved zeroes; length
_OPENVPN = (7, 8, 10)  # P_CONTROL_HARD_RESET_CLIENT_V2, its answer, and V3


def kind(payload: bytes, port: int) -> str:
    """The protocol of a datagram to the outside port `port`; `""` when it is none that is known."""
    if port == 53 and dnsmessage.read_query(payload) is not None:
        return "dns"
    if port == 123 and len(payload) >= 48 and payload[0] >> 3 & 7 in (1, 2, 3, 4) and payload[0] & 7 in (1, 3):
        return "ntp"  # RFC 5905 7.3: version 1 to 4, symmetric or client mode
    if len(payload) >= 20 and payload[0] < 4 and payload[4:8] == _STUN_COOKIE:
        return "stun"
    if _WIREGUARD.get(payload[:4]) == len(payload):
        return "wireguard"
    if len(payload) >= 13 and 20 <= payload[0] <= 25 and payload[1:3] in _DTLS_VERSIONS:
        return "dtls"
    if payload[:1] and payload[0] & 0xC0 == 0xC0:
        head = quic.header(payload)
        if head is not None and head.kind == quic.INITIAL:
            return "quic"
    if len(payload) >= 14 and payload[0] >> 3 in _OPENVPN and not payload[0] & 7:
        return "openvpn"
    return ""

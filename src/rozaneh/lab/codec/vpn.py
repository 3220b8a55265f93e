"""Recognises OpenVPN, WireGuard, IKE/ESP and L2TP message by message, as a first-bytes classifier does.

Sources: OpenVPN's `ssl_pkt.h` opcodes as described in its protocol documentation and in USENIX Sec'22 (catalogue
ML-05); WireGuard's paper, section 5.4; RFC 7296 3.1 and RFC 3948 2 (IKEv2, ESP in UDP); RFC 2661 3.1 (L2TP).
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["hello", "reply", "data", "other"]

# OpenVPN: the opcode is the first byte's upper five bits.
_OPENVPN_CLIENT_RESET = (1, 7, 10)
_OPENVPN_SERVER_RESET = (2, 8)
_OPENVPN_DATA = (6, 9)
_OPENVPN_OTHER = (3, 4, 5, 11)
_OPENVPN_V3 = 10
# A client's reset: opcode, session id, acknowledgements (none), packet id; with tls-auth (MD5 to SHA-512) or tls-crypt
# a code, a packet id and a time as well. Version 3 carries a wrapped key behind that.
_OPENVPN_PLAIN = 14
_OPENVPN_RESET_SIZES = (_OPENVPN_PLAIN, 38, 42, 54, 86)

_IKE_VERSIONS = (0x10, 0x20)
_IKE_FIRST = (2, 4, 34)  # IKEv1 main and aggressive mode, IKE_SA_INIT
_ESP_MIN = 16


def wireguard(payload: bytes) -> Kind | None:
    """WireGuard: message type and three zero bytes; sizes of the handshake are fixed, data comes in sixteens."""
    size = len(payload)
    if size < 4 or payload[1:4] != b"\0\0\0":
        return None
    kind = payload[0]
    if kind == 1 and size == 148:
        return "hello"
    if kind == 2 and size == 92:
        return "reply"
    if kind == 3 and size == 64:
        return "other"
    return "data" if kind == 4 and size >= 32 and size % 16 == 0 else None


def openvpn(payload: bytes, *, tcp: bool = False) -> Kind | None:
    """OpenVPN's first message in `payload`; over TCP each has its length in front."""
    if tcp:
        if len(payload) < 3:
            return None
        said = int.from_bytes(payload[:2], "big")
        payload = payload[2:]
        if said < 10 or said > 16_384:
            return None
    if not payload:
        return None
    opcode, size = payload[0] >> 3, len(payload)
    if opcode in _OPENVPN_CLIENT_RESET:
        return "hello" if _is_client_reset(payload, opcode) else None
    if opcode in _OPENVPN_SERVER_RESET:
        return "reply" if size >= 14 and payload[0] & 7 == 0 else None
    if opcode in _OPENVPN_DATA:
        return "data"
    return "other" if opcode in _OPENVPN_OTHER and size >= 10 else None


def _is_client_reset(payload: bytes, opcode: int) -> bool:
    size = len(payload)
    if payload[0] & 7 or payload[1:9] == bytes(8):
        return False
    if opcode == _OPENVPN_V3:
        return size >= 54
    return size in _OPENVPN_RESET_SIZES and (size != _OPENVPN_PLAIN or payload[9:14] == bytes(5))


def ike(payload: bytes, *, encapsulated: bool = False) -> Kind | None:
    """IKE, or ESP in UDP with `encapsulated` (port 4500, where IKE has four zero bytes in front)."""
    if encapsulated:
        if payload == b"\xff":  # NAT keep-alive
            return "other"
        if payload[:4] != b"\0\0\0\0":
            return "data" if len(payload) >= _ESP_MIN else None
        payload = payload[4:]
    if len(payload) < 28 or payload[17] not in _IKE_VERSIONS or payload[:8] == bytes(8):
        return None
    if int.from_bytes(payload[24:28], "big") != len(payload):
        return None
    if payload[18] in _IKE_FIRST:
        return "hello" if payload[8:16] == bytes(8) else "reply"
    return "other"


def l2tp(payload: bytes) -> Kind | None:
    """L2TP version 2: control messages have T, L and S set; data messages have not T."""
    if len(payload) < 6 or payload[1] & 0x0F != 2:
        return None
    if payload[0] & 0x80:
        if payload[0] & 0xC8 != 0xC8 or int.from_bytes(payload[2:4], "big") != len(payload):
            return None
        tunnel = int.from_bytes(payload[4:6], "big")
        return "hello" if tunnel == 0 else "reply"
    return "data"

"""Run by the peers' Python, never imported: nDPI 5 through nfstream, both modern heuristics on, one JSON line a flow.

`python ndpi_script.py CAPTURE [MASK]`. nfstream 6.6.0 carries nDPI 5.0 with the obfuscated-TLS and the fully-encrypted
heuristics compiled in and switched off. Its Python sets up a dissector without a place for settings, so that step is
done here again with two calls of the library's exported `ndpi_set_config` in the middle. The capture must have whole
packets of an MTU of 1,500 without segmentation offload, or the heuristics count packets that never were.

It stands alone on purpose: the environment it runs in knows nothing of this package.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import multiprocessing
import sys
from typing import Any

# All three places the obfuscated-TLS heuristic looks: 1 plain, 2 over TLS, 4 over HTTP and WebSocket.
ALL = "0x07"
# Packets nDPI sees of each flow; its heuristic looks at up to 25 after the handshake it is told to skip.
_PACKETS = 255
_NEVER_S = 1_000_000


def main(arguments: list[str]) -> int:
    """Judges one capture; writes a line about the library first, then one for each flow."""
    capture, mask = arguments[0], arguments[1] if len(arguments) > 1 else ALL
    multiprocessing.set_start_method("fork", force=True)  # what is replaced below must reach the meter's process
    nfstream = importlib.import_module("nfstream")
    meter = importlib.import_module("nfstream.meter")
    engine = importlib.import_module("_lib_engine")
    exported = ctypes.CDLL(engine.__file__)
    exported.ndpi_set_config.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p]
    exported.ndpi_revision.restype = ctypes.c_char_p
    meter.setup_dissector = _setup(exported, mask)  # type: ignore[attr-defined]

    class Plugin(nfstream.NFPlugin):  # type: ignore[misc, name-defined]  # known only where this runs
        """Keeps what nDPI knows of a flow after each packet: the structure is gone when the flow has expired."""

        def on_init(self, packet: Any, flow: Any) -> None:  # noqa: ANN401 - foreign objects
            flow.udps.risk = 0
            flow.udps.ja4 = ""
            self.on_update(packet, flow)

        def on_update(self, packet: Any, flow: Any) -> None:  # noqa: ANN401
            inner = flow._C.ndpi_flow
            if inner:
                flow.udps.risk |= int(inner.risk)
                said = engine.ffi.string(inner.protos.tls_quic.ja4_client)
                flow.udps.ja4 = said.decode("ascii", errors="replace") or flow.udps.ja4

    bit = _risk_bit(engine.ffi)
    _say({"ndpi": exported.ndpi_revision().decode(), "nfstream": nfstream.__version__, "heuristics": mask})
    streamer = nfstream.NFStreamer(
        source=capture,
        n_dissections=_PACKETS,
        n_meters=1,
        idle_timeout=_NEVER_S,
        active_timeout=_NEVER_S,
        statistical_analysis=False,
        udps=Plugin(),
    )
    for flow in streamer:
        _say(
            {
                "protocol": {6: "tcp", 17: "udp"}.get(flow.protocol, str(flow.protocol)),
                "client": [flow.src_ip, flow.src_port],
                "server": [flow.dst_ip, flow.dst_port],
                "began": flow.bidirectional_first_seen_ms / 1000,
                "packets": flow.bidirectional_packets,
                "application": flow.application_name,
                "obfuscated": bool(flow.udps.risk >> bit & 1),
                "ja4": flow.udps.ja4,
            }
        )
    return 0


def _setup(exported: ctypes.CDLL, mask: str) -> Any:  # noqa: ANN401
    """nfstream's `setup_dissector`, with the heuristics switched on before the dissector is finished."""

    def setup_dissector(ffi: Any, lib: Any, n_dissections: int) -> Any:  # noqa: ANN401
        checker = ffi.new("struct dissector_checker *")
        checker.flow_size = ffi.sizeof("struct ndpi_flow_struct")
        checker.flow_tcp_size = ffi.sizeof("struct ndpi_flow_tcp_struct")
        checker.flow_udp_size = ffi.sizeof("struct ndpi_flow_udp_struct")
        dissector = lib.dissector_init(checker)
        if not n_dissections or dissector == ffi.NULL:
            return ffi.NULL
        pointer = int(ffi.cast("uintptr_t", dissector))
        settings = (
            (b"tls", b"dpi.heuristics", mask.encode()),
            (None, b"fully_encrypted_heuristic", b"1" if int(mask, 16) else b"0"),
        )
        for protocol, name, value in settings:
            code = exported.ndpi_set_config(pointer, protocol, name, value)
            if code:
                raise SystemExit(f"nDPI does not take {name.decode()} = {value.decode()} (code {code})")
        lib.dissector_configure(dissector)
        return dissector

    return setup_dissector


def _risk_bit(ffi: Any) -> int:  # noqa: ANN401
    """The number of nDPI's "obfuscated traffic" risk, asked from the library's own header."""
    return int(ffi.typeof("ndpi_risk_enum").relements["NDPI_OBFUSCATED_TRAFFIC"])


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""ClientHellos from published traces, beside the lab's own builder, for the lab's tests."""

from __future__ import annotations

from rozaneh.lab.codec.hellobuild import (
    CHROME_ALGORITHMS,
    CHROME_CIPHERS,
    algorithms,
    alpn,
    body,
    chrome,
    dtls,
    firefox,
    groups,
    handshake,
    record,
    server_name,
    vector,
    versions,
)

__all__ = [
    "CHROME_ALGORITHMS",
    "CHROME_CIPHERS",
    "RFC_8448",
    "RFC_9001",
    "algorithms",
    "alpn",
    "body",
    "chrome",
    "dtls",
    "firefox",
    "groups",
    "handshake",
    "record",
    "server_name",
    "vector",
    "versions",
]

# RFC 8448 section 3, "Simple 1-RTT Handshake": the client's first record, whole.
RFC_8448 = bytes.fromhex(
    "16030100c4010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006130113031302010000"
    "910000000b0009000006736572766572ff01000100000a00140012001d0017001800190100010101020103010400230000003300260024"
    "001d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c002b0003020304000d0020001e040305030603"
    "020308040805080604010501060102010402050206020202002d00020101001c00024001"
)

# RFC 9001 appendix A.2: what the CRYPTO frame of the client's Initial carries (no record around it).
RFC_9001 = bytes.fromhex(
    "010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c00000413011302010000c00000001000"
    "0e00000b6578616d706c652e636f6dff01000100000a00080006001d0017001800100007000504616c706e000500050100000000003300"
    "260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e040305"
    "0306030203080408050806002d00020101001c00024001003900320408ffffffffffffffff05048000ffff07048000ffff080110010480"
    "0075300901100f088394c8f03e51570806048000ffff"
)

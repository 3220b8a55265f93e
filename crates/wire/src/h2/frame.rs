//! Frame headers and the frames without a payload of their own (RFC 9113 sections 4.1 and 6).

use super::StreamId;
use super::error::Code;

/// Bytes of a frame header (RFC 9113 section 4.1).
pub(super) const HEAD: usize = 9;

/// What a client says first (RFC 9113 section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) mod kind {
    pub const DATA: u8 = 0x0;
    pub const HEADERS: u8 = 0x1;
    pub const PRIORITY: u8 = 0x2;
    pub const RST_STREAM: u8 = 0x3;
    pub const SETTINGS: u8 = 0x4;
    pub const PUSH_PROMISE: u8 = 0x5;
    pub const PING: u8 = 0x6;
    pub const GOAWAY: u8 = 0x7;
    pub const WINDOW_UPDATE: u8 = 0x8;
    pub const CONTINUATION: u8 = 0x9;
    /// One of the types that are reserved to be ignored, 0x0b + 31 n (draft-bishop-httpbis-grease).
    pub const FILLER: u8 = 0x2a;
}

pub(super) mod flag {
    pub const END_STREAM: u8 = 0x1;
    pub const ACK: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// A frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Length of the payload: 24 bits.
    pub len: u32,
    pub kind: u8,
    pub flags: u8,
    /// 31 bits; the reserved bit is ignored (RFC 9113 section 4.1).
    pub id: StreamId,
}

impl Head {
    pub fn new(len: u32, kind: u8, flags: u8, id: StreamId) -> Self {
        Self { len, kind, flags, id }
    }

    pub fn parse(b: [u8; HEAD]) -> Self {
        Self {
            len: u32::from_be_bytes([0, b[0], b[1], b[2]]),
            kind: b[3],
            flags: b[4],
            id: u32::from_be_bytes([b[5] & 0x7f, b[6], b[7], b[8]]),
        }
    }

    pub fn bytes(self) -> [u8; HEAD] {
        let [_, l0, l1, l2] = self.len.to_be_bytes();
        let [i0, i1, i2, i3] = self.id.to_be_bytes();
        [l0, l1, l2, self.kind, self.flags, i0, i1, i2, i3]
    }

    pub fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

pub(super) fn put(out: &mut Vec<u8>, kind: u8, flags: u8, id: StreamId, payload: &[u8]) {
    let len = u32::try_from(payload.len()).unwrap_or(0);
    out.reserve(HEAD + payload.len());
    out.extend_from_slice(&Head::new(len, kind, flags, id).bytes());
    out.extend_from_slice(payload);
}

pub(super) fn put_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    let len = u32::try_from(settings.len().saturating_mul(6)).unwrap_or(0);
    out.extend_from_slice(&Head::new(len, kind::SETTINGS, 0, 0).bytes());
    for (id, value) in settings {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

pub(super) fn put_window_update(out: &mut Vec<u8>, id: StreamId, increment: u32) {
    put(out, kind::WINDOW_UPDATE, 0, id, &increment.to_be_bytes());
}

pub(super) fn put_reset(out: &mut Vec<u8>, id: StreamId, code: Code) {
    put(out, kind::RST_STREAM, 0, id, &code.0.to_be_bytes());
}

pub(super) fn put_goaway(out: &mut Vec<u8>, last: StreamId, code: Code) {
    let [l0, l1, l2, l3] = last.to_be_bytes();
    let [c0, c1, c2, c3] = code.0.to_be_bytes();
    put(out, kind::GOAWAY, 0, 0, &[l0, l1, l2, l3, c0, c1, c2, c3]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_there_and_back() {
        for head in [
            Head::new(0, 0, 0, 0),
            Head::new(0xff_ffff, 0xff, 0xff, 0x7fff_ffff),
            Head::new(0x01_0203, kind::HEADERS, flag::END_HEADERS, 0x0405_0607),
        ] {
            assert_eq!(Head::parse(head.bytes()), head);
        }
    }

    #[test]
    fn the_reserved_bit_is_ignored() {
        let head = Head::parse([0, 0, 8, 6, 1, 0x80, 0, 0, 1]);
        assert_eq!(head, Head::new(8, kind::PING, flag::ACK, 1));
    }

    #[test]
    fn golden_frames() {
        let mut out = Vec::new();
        put_settings(&mut out, &[(1, 65_536), (2, 0)]);
        put_window_update(&mut out, 0, 15_663_105);
        put_reset(&mut out, 3, Code::CANCEL);
        put_goaway(&mut out, 7, Code::ENHANCE_YOUR_CALM);
        assert_eq!(
            out,
            [
                &[0, 0, 12, 4, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0][..],
                &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0x00, 0xef, 0x00, 0x01],
                &[0, 0, 4, 3, 0, 0, 0, 0, 3, 0, 0, 0, 8],
                &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 11],
            ]
            .concat()
        );
    }
}

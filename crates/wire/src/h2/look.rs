//! What an observer of the decrypted connection sees first. All of it is data.

use super::hpack::HpackStyle;

/// The priority fields of a HEADERS frame: deprecated by RFC 9113 section 5.3, still sent by browsers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// The exclusive bit.
    pub exclusive: bool,
    /// The stream it depends on.
    pub depends_on: u32,
    /// The weight as it travels: one less than the weight meant.
    pub weight: u8,
}

/// How a connection introduces itself.
///
/// The order of pseudo-header fields is the caller's: fields are sent in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The first SETTINGS frame: identifiers and values in this order, unknown ones (GREASE) included.
    pub settings: Vec<(u16, u32)>,
    /// Increment of the WINDOW_UPDATE for the connection right behind it; 0 sends none.
    pub window_increment: u32,
    /// How header fields are represented.
    pub hpack: HpackStyle,
    /// Priority fields of every HEADERS frame that opens a stream; `None` sends none.
    pub priority: Option<Priority>,
    /// A client's first stream: 1 by RFC 9113 section 5.1.1, and 3 from Firefox, which keeps the first for an upgrade.
    pub first_stream: u32,
}

impl Look {
    /// A client as Chrome 149 to 151 introduces itself (captured in August 2026): HEADER_TABLE_SIZE 65,536, no push,
    /// INITIAL_WINDOW_SIZE 6,291,456, MAX_HEADER_LIST_SIZE 262,144, 15 MiB for the connection, weight 256 exclusive.
    #[must_use]
    pub fn chrome() -> Self {
        Self {
            settings: vec![(1, 65_536), (2, 0), (4, 6_291_456), (6, 262_144)],
            window_increment: 15_663_105,
            hpack: HpackStyle::Browser,
            priority: Some(Priority { exclusive: true, depends_on: 0, weight: 255 }),
            first_stream: 1,
        }
    }

    /// A server as nginx 1.22 introduces itself: MAX_CONCURRENT_STREAMS 128, INITIAL_WINDOW_SIZE 65,536,
    /// MAX_FRAME_SIZE 16,777,215, and the connection's window opened to 2^31-1.
    #[must_use]
    pub fn nginx() -> Self {
        Self {
            settings: vec![(3, 128), (4, 65_536), (5, 16_777_215)],
            window_increment: 2_147_418_112,
            hpack: HpackStyle::Nginx,
            priority: None,
            first_stream: 1,
        }
    }

    /// Nothing but the defaults of RFC 9113: an empty SETTINGS frame.
    #[must_use]
    pub fn plain() -> Self {
        Self { settings: Vec::new(), window_increment: 0, hpack: HpackStyle::Browser, priority: None, first_stream: 1 }
    }
}

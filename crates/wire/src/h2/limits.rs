//! How much a peer may cost us before the connection ends with ENHANCE_YOUR_CALM.
//!
//! There is no clock here. What can be abused is counted, useful work pays the count off, and a driver that has a clock
//! lets it fade by calling `Connection::calm` about once a second. Without that call an honest connection is safe for
//! weeks (65,536 PINGs at one every 30 s are 22 days); with it for ever.

/// What to do with a request that breaks RFC 9113 section 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Malformed {
    /// RST_STREAM with PROTOCOL_ERROR (RFC 9113 section 8.1.1). The caller never hears of the request.
    #[default]
    Reset,
    /// Report it as `Event::Malformed`, so that a cover may answer as its model does (RFC 9113 section 8.1.1 allows an
    /// HTTP response).
    Report,
}

/// Bounds. Every one of them is reachable by a peer, so every one has a defined outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest decoded header list by the measure of RFC 9113 section 6.5.2. Beyond: `HeadersTooLarge` on a server,
    /// a reset of the stream on a client and for trailers.
    pub max_header_bytes: usize,
    /// Longest single name or value as encoded. Beyond: the connection ends, since only this much is ever buffered.
    pub max_field_bytes: usize,
    /// Longest header block as encoded. Beyond: the connection ends.
    pub max_block_bytes: usize,
    /// Most CONTINUATION frames of one block. Beyond: the connection ends (CONTINUATION flood).
    pub max_continuations: u32,
    /// Most streams the peer may hold open, whatever we announce. Beyond: REFUSED_STREAM.
    pub max_streams: u32,
    /// Most requests the peer may take back before they are answered (Rapid Reset, CVE-2023-44487); each answer pays
    /// for one.
    pub max_resets: u32,
    /// Most streams the peer may make us reset (MadeYouReset, CVE-2025-8671); each answer pays for one.
    pub max_stream_errors: u32,
    /// Most frames that move nothing (PING, SETTINGS, PRIORITY, unknown, empty DATA, WINDOW_UPDATE nobody needed);
    /// each piece of DATA received or sent pays for one.
    pub max_noise: u32,
    /// Most answers (PING and SETTINGS acknowledgements, RST_STREAM) waiting in `out()`.
    pub max_replies: u32,
    /// What happens to requests that break the rules.
    pub malformed: Malformed,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_header_bytes: 64 * 1024,
            max_field_bytes: 32 * 1024,
            max_block_bytes: 256 * 1024,
            max_continuations: 64,
            max_streams: 4096,
            max_resets: 1000,
            max_stream_errors: 1000,
            max_noise: 65_536,
            max_replies: 2048,
            malformed: Malformed::Reset,
        }
    }
}

/// The counts behind `Limits`.
#[derive(Debug, Default)]
pub(super) struct Strain {
    /// Requests taken back before an answer.
    pub resets: u32,
    /// Streams the peer made us reset.
    pub errors: u32,
    /// Frames that moved nothing.
    pub noise: u32,
    /// Answers written since `out` was last seen empty.
    pub replies: u32,
}

impl Strain {
    /// Useful bytes moved.
    pub fn work(&mut self) {
        self.noise = self.noise.saturating_sub(1);
    }

    /// A request was answered.
    pub fn answered(&mut self) {
        self.resets = self.resets.saturating_sub(1);
        self.errors = self.errors.saturating_sub(1);
    }

    /// About a second went by: a sixteenth of everything is forgiven, and one more so that it reaches nought.
    pub fn calm(&mut self) {
        for count in [&mut self.resets, &mut self.errors, &mut self.noise] {
            *count = count.saturating_sub(*count / 16 + 1);
        }
    }
}

//! What nginx's HTTP/2 shows: numbers and habits seen of a real nginx 1.22.1, for the driver that speaks for a cover.
//!
//! * First of all, before the visitor's preface: SETTINGS with [`SETTINGS`] in this order, then WINDOW_UPDATE of
//!   [`WINDOW_INCREMENT`] for the connection. The visitor's SETTINGS are acknowledged behind them.
//! * Header blocks never use the dynamic table. `:status` is indexed where the static table has the value, else a
//!   literal with incremental indexing whose three digits are not Huffman-coded; `server`, `date`, `content-type`,
//!   `last-modified`, `location` and `vary` are literals with incremental indexing under their static names, Huffman-coded
//!   where that is shorter; `content-length` the same but never Huffman-coded; every other field is a literal without
//!   indexing under a literal name. After a SETTINGS frame with HEADER_TABLE_SIZE the next block begins with a table
//!   size update to 0.
//! * DATA frames carry at most [`DATA_FRAME`] bytes whatever the visitor's MAX_FRAME_SIZE allows; END_STREAM is on the
//!   last frame with payload (or on HEADERS where there is none), never on an empty frame of its own.
//! * An answer that is complete before the request is gets RST_STREAM with NO_ERROR behind its END_STREAM.
//! * A field name or value longer than [`MAX_FIELD`] as it is encoded, or all of them together longer than
//!   [`MAX_FIELDS`] decoded, ends the connection with GOAWAY ENHANCE_YOUR_CALM and nothing behind it. Bytes that are not a preface are answered with GOAWAY PROTOCOL_ERROR.
//! * A connection that opens no stream gets GOAWAY NO_ERROR `client_header_timeout` (60 s) after its start, whether or
//!   not its preface came; one whose streams are all over, `keepalive_timeout` (75 s) after the last. A HEADERS frame
//!   that is never finished costs its stream a reset after the former and the connection its GOAWAY after the latter.
//!   `close_notify` and FIN follow each GOAWAY at once.

/// Identifier and value: MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE.
pub const SETTINGS: [(u16, u32); 3] = [(0x3, 128), (0x4, 65_536), (0x5, 16_777_215)];

/// Opens the connection's window from 65,535 to 2^31-1.
pub const WINDOW_INCREMENT: u32 = 0x7fff_ffff - 65_535;

/// `http2_chunk_size 8k`.
pub const DATA_FRAME: usize = 8192;

/// One name or value as encoded (`large_client_header_buffers 4 8k`).
pub const MAX_FIELD: usize = 8 * 1024;

/// All names and values of a request, decoded; RFC 9113 section 6.5.2's 32 bytes for each field are not counted.
pub const MAX_FIELDS: usize = 4 * 8 * 1024;

/// The error code behind a complete answer to an incomplete request.
pub const NO_ERROR: u32 = 0;

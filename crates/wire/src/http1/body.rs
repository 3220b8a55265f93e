//! Finds the end of a request's body without changing a byte of it (RFC 9112 sections 6 and 7).

use crate::error::RemoteProtocolError;

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes; zero where there is no body.
    Length(u64),
    /// Chunks (RFC 9112 section 7.1).
    Chunked,
}

/// Longest chunk size or extension line, and longest trailer section. Nobody uses either.
const MAX_LINE: u32 = 4_096;

/// Digits of a chunk size: fifteen hexadecimal ones stay below 2^60.
const MAX_DIGITS: u8 = 15;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Plain(u64),
    Size {
        value: u64,
        digits: u8,
    },
    Extension,
    SizeEnd {
        value: u64,
    },
    Data(u64),
    DataCr,
    DataLf,
    /// At the start of a trailer line.
    TrailerStart,
    Trailer,
    TrailerLf,
    LastLf,
    Done,
    Broken,
}

/// Follows one body.
#[derive(Clone, Debug)]
pub struct Tracker {
    state: State,
    /// The size of the chunk whose extension is being read.
    size: u64,
    /// Bytes of extensions or trailers so far.
    line: u32,
}

impl Tracker {
    /// A tracker at the start of a body.
    #[must_use]
    pub const fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(len) => State::Plain(len),
            Framing::Chunked => State::Size { value: 0, digits: 0 },
        };
        Self { state, size: 0, line: 0 }
    }

    /// True behind the body's last byte.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// How many bytes at the front of `input` belong to the body: all of them unless the body ends there.
    ///
    /// # Errors
    /// When chunks are malformed.
    pub fn feed(&mut self, input: &[u8]) -> Result<usize, RemoteProtocolError> {
        let mut at = 0;
        while at < input.len() {
            match &mut self.state {
                State::Done => break,
                State::Plain(left) | State::Data(left) => {
                    let here = input.len() - at;
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(here);
                    *left -= take as u64;
                    at += take;
                    self.state = match self.state {
                        State::Plain(0) => State::Done,
                        State::Data(0) => State::DataCr,
                        state => state,
                    };
                }
                _ => {
                    let byte = input.get(at).copied().unwrap_or_default();
                    at += 1;
                    self.state = match self.next(byte) {
                        Some(state) => state,
                        None => {
                            self.state = State::Broken;
                            return Err(RemoteProtocolError::new("a chunked body is malformed"));
                        }
                    };
                }
            }
        }
        Ok(at)
    }

    /// The state behind one byte of framing; `None` where no rule allows it.
    fn next(&mut self, byte: u8) -> Option<State> {
        let plain = (byte >= 0x20 && byte != 0x7f) || byte == b'\t';
        Some(match (self.state, byte) {
            (State::Size { value, digits }, b'\r') if digits > 0 => State::SizeEnd { value },
            (State::Size { value, digits }, b';' | b' ' | b'\t') if digits > 0 => {
                self.size = value;
                State::Extension
            }
            (State::Size { value, digits }, _) if digits < MAX_DIGITS => {
                let digit = char::from(byte).to_digit(16)?;
                State::Size { value: value * 16 + u64::from(digit), digits: digits + 1 }
            }
            (State::Extension, b'\r') => State::SizeEnd { value: self.size },
            (State::Extension, _) if plain => self.count(State::Extension)?,
            (State::SizeEnd { value: 0 }, b'\n') => State::TrailerStart,
            (State::SizeEnd { value }, b'\n') => State::Data(value),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { value: 0, digits: 0 },
            (State::TrailerStart, b'\r') => State::LastLf,
            (State::TrailerStart, b' ' | b'\t') => return None,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::TrailerStart | State::Trailer, _) if plain => self.count(State::Trailer)?,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::LastLf, b'\n') => State::Done,
            _ => return None,
        })
    }

    fn count(&mut self, state: State) -> Option<State> {
        self.line += 1;
        (self.line <= MAX_LINE).then_some(state)
    }
}

//! Reading past a chunked body (RFC 9112 section 7.1) with nginx's leniency and nginx's refusals.

/// A body that does not follow the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cover) struct Malformed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Size,
    Extension,
    /// The LF behind a CR behind a size.
    SizeEnd,
    Data,
    AfterData,
    AfterDataLf,
    /// The same for the last chunk, behind which the trailer follows.
    LastExtension,
    LastEnd,
    Trailer,
    TrailerEnd,
    TrailerField,
    TrailerFieldEnd,
    Over,
}

/// How far into a chunked body the conversation is.
#[derive(Clone, Debug)]
pub(in crate::cover) struct Chunked {
    state: State,
    left: u64,
}

impl Chunked {
    pub(in crate::cover) fn new() -> Self {
        Self { state: State::Start, left: 0 }
    }

    /// Whether the body has ended.
    pub(in crate::cover) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Takes bytes and returns how many of them belong to the body; `data` gets the payload.
    pub(in crate::cover) fn feed(&mut self, bytes: &[u8], data: &mut dyn FnMut(&[u8])) -> Result<usize, Malformed> {
        let mut at = 0;
        while self.state != State::Over {
            if self.state == State::Data {
                let rest = bytes.get(at..).unwrap_or_default();
                let count = usize::try_from(self.left).map_or(rest.len(), |left| left.min(rest.len()));
                if count == 0 && self.left > 0 {
                    break;
                }
                data(rest.get(..count).unwrap_or_default());
                self.left -= count as u64;
                at += count;
                if self.left == 0 {
                    self.state = State::AfterData;
                }
                continue;
            }
            let Some(&byte) = bytes.get(at) else { break };
            at += 1;
            self.state = self.step(byte)?;
        }
        Ok(at)
    }

    fn digit(&mut self, byte: u8) -> Result<bool, Malformed> {
        let Some(digit) = char::from(byte).to_digit(16) else { return Ok(false) };
        // Lengths are signed 64-bit numbers.
        if self.left > i64::MAX as u64 / 16 {
            return Err(Malformed);
        }
        self.left = self.left * 16 + u64::from(digit);
        // The least that must follow a chunk is counted with it and may not overflow either.
        if self.left > i64::MAX as u64 - 6 {
            return Err(Malformed);
        }
        Ok(true)
    }

    fn step(&mut self, byte: u8) -> Result<State, Malformed> {
        Ok(match (self.state, byte) {
            (State::Start, _) => {
                self.left = 0;
                if !self.digit(byte)? {
                    return Err(Malformed);
                }
                State::Size
            }
            (State::Size, _) => {
                if self.digit(byte)? {
                    return Ok(State::Size);
                }
                match (self.left, byte) {
                    (0, b'\r') => State::LastEnd,
                    (0, b'\n') => State::Trailer,
                    (0, b';' | b' ' | b'\t') => State::LastExtension,
                    (_, b'\r') => State::SizeEnd,
                    (_, b'\n') => State::Data,
                    (_, b';' | b' ' | b'\t') => State::Extension,
                    _ => return Err(Malformed),
                }
            }
            (State::Extension, b'\r') => State::SizeEnd,
            (State::Extension, b'\n') | (State::SizeEnd, b'\n') => State::Data,
            (State::Extension, _) => State::Extension,
            (State::AfterData, b'\r') => State::AfterDataLf,
            (State::AfterData | State::AfterDataLf, b'\n') => State::Start,
            (State::LastExtension, b'\r') => State::LastEnd,
            (State::LastExtension | State::LastEnd, b'\n') => State::Trailer,
            (State::LastExtension, _) => State::LastExtension,
            (State::Trailer, b'\r') => State::TrailerEnd,
            (State::Trailer | State::TrailerEnd, b'\n') => State::Over,
            (State::Trailer, _) => State::TrailerField,
            (State::TrailerField, b'\r') => State::TrailerFieldEnd,
            (State::TrailerField | State::TrailerFieldEnd, b'\n') => State::Trailer,
            (State::TrailerField, _) => State::TrailerField,
            _ => return Err(Malformed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &[u8], cut: usize) -> Result<(Vec<u8>, usize, bool), Malformed> {
        let mut chunked = Chunked::new();
        let mut data = Vec::new();
        let (first, second) = body.split_at(cut.min(body.len()));
        let mut taken = chunked.feed(first, &mut |d| data.extend_from_slice(d))?;
        if taken == first.len() {
            taken += chunked.feed(second, &mut |d| data.extend_from_slice(d))?;
        }
        Ok((data, taken, chunked.is_over()))
    }

    #[test]
    fn table() {
        for (body, data) in [
            (&b"5\r\nabcde\r\n0\r\n\r\n"[..], &b"abcde"[..]),
            (b"3;x=y\nabc\n2 \r\nde\r\n0\nT: u\n\n", b"abcde"),
            (b"000A\r\n0123456789\r\n000;e\r\n\r\n", b"0123456789"),
        ] {
            assert_eq!(read(body, 0), Ok((data.to_vec(), body.len(), true)));
        }
        for body in
            ["x", " 5\r\n", "\r\n", "-5", "0x5", "5\rx", "5\r\nabcdeX", "8000000000000000\r\n", "ffffffffffffffff"]
        {
            assert_eq!(read(body.as_bytes(), 0), Err(Malformed), "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_cut(parts in proptest::collection::vec("[a-z]{1,20}", 0..5), cut in 0_usize..200) {
            let mut body = Vec::new();
            for part in &parts {
                body.extend_from_slice(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes());
            }
            body.extend_from_slice(b"0\r\n\r\n");
            let length = body.len();
            body.extend_from_slice(b"GET");
            prop_assert_eq!(read(&body, cut.min(length)), Ok((parts.concat().into_bytes(), length, true)));
        }
    }
}

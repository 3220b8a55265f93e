//! Datagrams on a VLESS stream (cmd 2): each is its length in 16 bits and its bytes, the same both ways.

use crate::error::LocalProtocolError;

/// Appends one datagram.
///
/// # Errors
/// More bytes than a length of 16 bits can say.
pub fn encode(payload: &[u8], out: &mut Vec<u8>) -> Result<(), LocalProtocolError> {
    let len = u16::try_from(payload.len()).map_err(|_| LocalProtocolError::new("a datagram holds 65,535 bytes"))?;
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(payload);
    Ok(())
}

/// Puts datagrams together again. Holds one unfinished datagram at most.
#[derive(Debug, Default)]
pub struct Decoder {
    held: Vec<u8>,
}

impl Decoder {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes all of `input` and gives every datagram that is whole now.
    pub fn feed(&mut self, mut input: &[u8], on: &mut impl FnMut(&[u8])) {
        while !input.is_empty() {
            let wanted = match *self.held.as_slice() {
                [] => match *input {
                    // The usual case: it came whole and is not copied.
                    [a, b, ref rest @ ..] => match rest.split_at_checked(usize::from(u16::from_be_bytes([a, b]))) {
                        Some((payload, behind)) => {
                            on(payload);
                            input = behind;
                            continue;
                        }
                        None => input.len(),
                    },
                    _ => input.len(),
                },
                [_] => 1,
                [a, b, ref rest @ ..] => usize::from(u16::from_be_bytes([a, b])).saturating_sub(rest.len()),
            };
            let (now, behind) = input.split_at(wanted.min(input.len()));
            self.held.extend_from_slice(now);
            input = behind;
            if let [a, b, ref payload @ ..] = *self.held.as_slice() {
                if payload.len() == usize::from(u16::from_be_bytes([a, b])) {
                    on(payload);
                    self.held = Vec::new();
                }
            }
        }
    }

    /// Whether the stream may end here.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.held.is_empty()
    }
}

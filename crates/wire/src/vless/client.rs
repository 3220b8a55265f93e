//! The client's side: the request to be sent with the first payload, and the response in front of the first answer.

use super::server::RESPONSE;
use super::{Address, Command, Id, VERSION, encode_address};
use crate::error::{LocalProtocolError, RemoteProtocolError};

/// Appends a request without addons. The stream's first bytes belong right behind it, in the same write: a header
/// alone is a record of a telling length.
///
/// # Errors
/// A name that does not have 1 to 255 bytes.
pub fn request(id: &Id, command: Command, address: &Address, out: &mut Vec<u8>) -> Result<(), LocalProtocolError> {
    let start = out.len();
    out.push(VERSION);
    out.extend_from_slice(id.bytes());
    out.extend_from_slice(&[0, command.code()]);
    encode_address(address, out).inspect_err(|_| out.truncate(start))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Version,
    Length,
    Addons(u8),
    Body,
    Broken,
}

/// Takes the response's header off the front of what comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    state: State,
}

impl Default for Client {
    fn default() -> Self {
        Self { state: State::Version }
    }
}

impl Client {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the header is over, and everything else is the stream's.
    #[must_use]
    pub fn done(&self) -> bool {
        self.state == State::Body
    }

    /// Takes the header's bytes off the front of `input` and says how many those were. A server's addons are passed
    /// over: they ask for nothing where no flow was named.
    ///
    /// # Errors
    /// A server that does not speak VLESS 0.
    pub fn feed(&mut self, input: &[u8]) -> Result<usize, RemoteProtocolError> {
        let mut taken = 0;
        for byte in input {
            self.state = match (self.state, *byte) {
                (State::Body, _) => break,
                (State::Version, VERSION) => State::Length,
                (State::Version | State::Broken, _) => {
                    self.state = State::Broken;
                    return Err(RemoteProtocolError::new("the server does not answer in VLESS of version 0"));
                }
                (State::Length, 0) | (State::Addons(1), _) => State::Body,
                (State::Length, length) => State::Addons(length),
                (State::Addons(left), _) => State::Addons(left.saturating_sub(1)),
            };
            taken += 1;
        }
        Ok(taken)
    }
}

const _: () = assert!(RESPONSE.len() == 2 && RESPONSE[0] == VERSION, "what the machine reads is what the server sends");

//! The client's side: what our engine says to a SOCKS5 proxy that it uses as an upstream.

use std::fmt;

use super::{AUTH_VERSION, Address, Code, Command, Decoded, Reader, VERSION, method};
use crate::error::{LocalProtocolError, RemoteProtocolError};

/// The server's last word.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Granted. For UDP, `bound` is where datagrams go. Bytes that were not taken belong to the stream.
    Granted { bound: Address },
    /// Refused; the connection is of no more use.
    Refused(Code),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Choice,
    Verdict,
    Reply,
    Over,
}

/// The machine: `out` at once, then `feed` until there is an answer.
pub struct Client {
    state: State,
    credentials: Option<Vec<u8>>,
    request: Vec<u8>,
    held: Vec<u8>,
    out: Vec<u8>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({:?})", self.state)
    }
}

impl Client {
    /// A client that will ask for `command` at `address`; with credentials it offers both methods, without only none.
    ///
    /// # Errors
    /// When user or password do not have 1 to 255 bytes (RFC 1929 section 2), or the address has no encoding.
    pub fn new(
        credentials: Option<(&[u8], &[u8])>,
        command: Command,
        address: &Address,
    ) -> Result<Self, LocalProtocolError> {
        let mut request = vec![VERSION, command.code(), 0x00];
        address.encode(&mut request)?;
        let credentials = match credentials {
            None => None,
            Some((user, password)) => {
                let mut message = vec![AUTH_VERSION];
                for text in [user, password] {
                    let len = u8::try_from(text.len()).ok().filter(|len| *len > 0);
                    message.push(len.ok_or(LocalProtocolError::new("a SOCKS5 user or password holds 1 to 255 bytes"))?);
                    message.extend_from_slice(text);
                }
                Some(message)
            }
        };
        let out = match credentials {
            None => vec![VERSION, 1, method::NONE],
            Some(_) => vec![VERSION, 2, method::NONE, method::PASSWORD],
        };
        Ok(Self { state: State::Choice, credentials, request, held: Vec::new(), out })
    }

    /// Bytes to send now; they leave the machine.
    #[must_use]
    pub fn out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Takes bytes up to the answer and says how many it took. With no answer, all were taken.
    ///
    /// # Errors
    /// When the server broke the rules, or demands what was not offered.
    pub fn feed(&mut self, input: &[u8]) -> Result<(usize, Option<Answer>), RemoteProtocolError> {
        let mut taken = 0;
        for byte in input {
            if self.state == State::Over {
                break;
            }
            self.held.push(*byte);
            taken += 1;
            let answer = match self.step() {
                Ok(answer) => answer,
                Err(error) => {
                    self.state = State::Over;
                    return Err(error);
                }
            };
            if answer.is_some() {
                self.state = State::Over;
                self.held = Vec::new();
                return Ok((taken, answer));
            }
        }
        Ok((taken, None))
    }

    fn step(&mut self) -> Result<Option<Answer>, RemoteProtocolError> {
        let mut reader = Reader(&self.held);
        match self.state {
            State::Choice => {
                if reader.byte() != Some(VERSION) {
                    return Err(RemoteProtocolError::new("the upstream does not speak SOCKS5"));
                }
                let Some(choice) = reader.byte() else { return Ok(None) };
                match (choice, self.credentials.take()) {
                    (method::NONE, _) => {
                        self.out.append(&mut self.request);
                        self.state = State::Reply;
                    }
                    (method::PASSWORD, Some(message)) => {
                        self.out.extend_from_slice(&message);
                        self.state = State::Verdict;
                    }
                    _ => return Err(RemoteProtocolError::new("the upstream accepts none of the offered methods")),
                }
                self.held.clear();
            }
            State::Verdict => {
                // Some servers answer with version 05 here; only the status counts (RFC 1929 section 2).
                let (Some(_), Some(status)) = (reader.byte(), reader.byte()) else { return Ok(None) };
                if status != 0 {
                    return Err(RemoteProtocolError::new("the upstream refused user and password"));
                }
                self.out.append(&mut self.request);
                self.state = State::Reply;
                self.held.clear();
            }
            State::Reply => {
                if reader.byte() != Some(VERSION) {
                    return Err(RemoteProtocolError::new("the upstream's reply is not SOCKS5"));
                }
                let (Some(code), Some(_reserved)) = (reader.byte(), reader.byte()) else { return Ok(None) };
                let bound = match Address::decode(reader.0) {
                    Decoded::More => return Ok(None),
                    // Nobody reads the address of a refusal; servers leave rubbish there.
                    Decoded::UnknownType | Decoded::Empty if code != 0 => Address::UNSPECIFIED,
                    Decoded::UnknownType => {
                        return Err(RemoteProtocolError::new("an unknown address type in the upstream's reply"));
                    }
                    Decoded::Empty => Address::UNSPECIFIED,
                    Decoded::Whole(address, _) => address,
                };
                return Ok(Some(match Code::from(code) {
                    Code::Succeeded => Answer::Granted { bound },
                    code => Answer::Refused(code),
                }));
            }
            State::Over => {}
        }
        Ok(None)
    }
}

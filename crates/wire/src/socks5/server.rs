//! The server's side: greeting, user and password, request.

use std::fmt;

use super::{AUTH_VERSION, Address, Code, Command, Decoded, Reader, VERSION, address_type, method};
use crate::error::{LocalProtocolError, RemoteProtocolError};

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// The listener already knows who the program is. A client that can only offer user and password is let through
    /// that exchange too: programs use made-up users to keep their streams apart.
    Nothing,
    /// User and password, and no other method.
    Password,
}

/// What happened. `Debug` shows neither credentials nor destinations.
#[derive(PartialEq, Eq)]
pub enum Event {
    /// The client named itself; call [`Server::verdict`] before feeding on.
    Credentials { user: Vec<u8>, password: Vec<u8> },
    /// The client asked; call [`Server::reply`]. Bytes that were not taken belong to the stream.
    Request { command: Command, address: Address },
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credentials { .. } => f.write_str("Credentials(…)"),
            Self::Request { command, .. } => write!(f, "Request({command:?}, …)"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Greeting,
    Credentials,
    Verdict,
    Request,
    Reply,
    Over,
}

/// Longest message of a client: user and password of 255 bytes each (RFC 1929 section 2). Nothing longer is held.
const MAX_MESSAGE: usize = 3 + 255 + 255;

/// The machine; see the table in the module above.
#[derive(Debug)]
pub struct Server {
    demand: Demand,
    state: State,
    held: Vec<u8>,
    out: Vec<u8>,
}

impl Server {
    /// A server that waits for a greeting.
    #[must_use]
    pub const fn new(demand: Demand) -> Self {
        Self { demand, state: State::Greeting, held: Vec::new(), out: Vec::new() }
    }

    /// Bytes to send now; they leave the machine.
    #[must_use]
    pub fn out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Takes bytes up to the next event and says how many it took. With no event, all were taken.
    ///
    /// # Errors
    /// When the client broke the rules or asked for what is not offered. What it should hear is in [`Self::out`], and
    /// the connection ends there.
    pub fn feed(&mut self, input: &[u8]) -> Result<(usize, Option<Event>), RemoteProtocolError> {
        let mut taken = 0;
        // A message ends where its lengths say, so it is taken byte by byte: it has at most 513 of them.
        for byte in input {
            if matches!(self.state, State::Verdict | State::Reply | State::Over) {
                break;
            }
            self.held.push(*byte);
            taken += 1;
            let event = match self.step() {
                Ok(event) => event,
                Err(error) => {
                    self.state = State::Over;
                    return Err(error);
                }
            };
            if event.is_some() {
                self.held = Vec::new();
                return Ok((taken, event));
            }
        }
        if self.state == State::Over && !input.is_empty() {
            return Err(RemoteProtocolError::new("the SOCKS conversation is over"));
        }
        Ok((taken, None))
    }

    /// What was decided about the credentials.
    ///
    /// # Errors
    /// When none were reported.
    pub fn verdict(&mut self, good: bool) -> Result<(), LocalProtocolError> {
        if self.state != State::Verdict {
            return Err(LocalProtocolError::new("no SOCKS credentials wait for a verdict"));
        }
        // RFC 1929 section 2: anything but 00 is a failure, and the connection must then be closed.
        self.out.extend_from_slice(&[AUTH_VERSION, u8::from(!good)]);
        self.state = if good { State::Request } else { State::Over };
        Ok(())
    }

    /// What became of the request. After [`Code::Succeeded`] the connection is the stream.
    ///
    /// # Errors
    /// When there was no request, or `bound` is no address.
    pub fn reply(&mut self, code: Code, bound: &Address) -> Result<(), LocalProtocolError> {
        if self.state != State::Reply {
            return Err(LocalProtocolError::new("no SOCKS request waits for a reply"));
        }
        self.say(code, bound)?;
        self.state = State::Over;
        Ok(())
    }

    fn say(&mut self, code: Code, bound: &Address) -> Result<(), LocalProtocolError> {
        self.out.extend_from_slice(&[VERSION, code.byte(), 0x00]);
        bound.encode(&mut self.out)
    }

    fn step(&mut self) -> Result<Option<Event>, RemoteProtocolError> {
        if self.held.len() > MAX_MESSAGE {
            return Err(RemoteProtocolError::new("a SOCKS message is too long"));
        }
        match self.state {
            State::Greeting => self.greeting(),
            State::Credentials => self.credentials(),
            State::Request => self.request(),
            State::Verdict | State::Reply | State::Over => Ok(None),
        }
    }

    fn greeting(&mut self) -> Result<Option<Event>, RemoteProtocolError> {
        let mut reader = Reader(&self.held);
        match reader.byte() {
            Some(VERSION) => {}
            Some(0x04) => {
                // SOCKS4 has no way to say why; 0x5b is its "rejected or failed", in its own format.
                self.out.extend_from_slice(&[0x00, 0x5b, 0, 0, 0, 0, 0, 0]);
                return Err(RemoteProtocolError::new("SOCKS4 is not offered: set the program to SOCKS5"));
            }
            _ => return Err(RemoteProtocolError::new("not SOCKS5")),
        }
        let Some(count) = reader.byte() else { return Ok(None) };
        let Some(methods) = reader.take(usize::from(count)) else { return Ok(None) };
        let choice = match self.demand {
            Demand::Nothing if methods.contains(&method::NONE) => method::NONE,
            Demand::Nothing | Demand::Password if methods.contains(&method::PASSWORD) => method::PASSWORD,
            Demand::Nothing | Demand::Password => method::NOT_ACCEPTABLE,
        };
        self.out.extend_from_slice(&[VERSION, choice]);
        self.held.clear();
        self.state = match choice {
            method::NONE => State::Request,
            method::PASSWORD => State::Credentials,
            _ => return Err(RemoteProtocolError::new("the client offers no method that is accepted here")),
        };
        Ok(None)
    }

    fn credentials(&mut self) -> Result<Option<Event>, RemoteProtocolError> {
        let mut reader = Reader(&self.held);
        if reader.byte() != Some(AUTH_VERSION) {
            self.out.extend_from_slice(&[AUTH_VERSION, 0x01]);
            return Err(RemoteProtocolError::new("not the user and password exchange of RFC 1929"));
        }
        let mut text = || {
            let len = reader.byte()?;
            reader.take(usize::from(len)).map(<[u8]>::to_vec)
        };
        let (Some(user), Some(password)) = (text(), text()) else { return Ok(None) };
        self.state = State::Verdict;
        Ok(Some(Event::Credentials { user, password }))
    }

    fn request(&mut self) -> Result<Option<Event>, RemoteProtocolError> {
        let mut reader = Reader(&self.held);
        if reader.byte() != Some(VERSION) {
            return self.refuse(Code::GeneralFailure, "a SOCKS5 request of another version");
        }
        let (Some(command), Some(reserved)) = (reader.byte(), reader.byte()) else { return Ok(None) };
        if reserved != 0 {
            return self.refuse(Code::GeneralFailure, "a SOCKS5 request whose reserved byte is not zero");
        }
        let address = match Address::decode(reader.0) {
            Decoded::More => return Ok(None),
            Decoded::UnknownType => {
                return self.refuse(Code::AddressTypeNotSupported, "an unknown SOCKS5 address type");
            }
            Decoded::Empty => return self.refuse(Code::GeneralFailure, "an empty SOCKS5 name"),
            Decoded::Whole(address, _) => address,
        };
        let command = match command {
            0x01 => Command::Connect,
            0x03 => Command::UdpAssociate,
            // BIND (RFC 1928 section 4) would open a port on the far side for strangers.
            _ => return self.refuse(Code::CommandNotSupported, "a SOCKS5 command that is not offered"),
        };
        self.state = State::Reply;
        Ok(Some(Event::Request { command, address }))
    }

    fn refuse(&mut self, code: Code, why: &'static str) -> Result<Option<Event>, RemoteProtocolError> {
        self.out.extend_from_slice(&[VERSION, code.byte(), 0x00, address_type::V4, 0, 0, 0, 0, 0, 0]);
        Err(RemoteProtocolError::new(why))
    }
}

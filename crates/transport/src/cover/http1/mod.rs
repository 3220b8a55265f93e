//! The whole HTTP/1.x conversation of a stranger, held as nginx holds it: what it takes, what it refuses and with which
//! page, when it goes on, how long it waits and how it hangs up.

pub(super) mod chunked;
mod input;
pub(super) mod line;
mod output;
mod upload;

use std::io;
use std::time::Duration;

use bytes::Bytes;
use rozaneh_net::pool::Slice;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use self::input::Input;
use self::line::{HeaderLine, Stop, header_line, leading, request_line};
use self::output::Output;
use self::upload::{Drained, Upload};
use super::Cover;
use super::agent::Agent;
use super::head::{self, Head, Persistence};
use super::message::{Http, Request, Response, Visit};
use super::page::Problem;
use super::proxy::MAX_BODY;
use super::uri::Path;

/// How long nginx waits, and how often it lets a connection be used. The default is Debian's configuration.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// For the whole head, from the accepted connection on (`client_header_timeout`).
    pub header: Duration,
    /// For the next request on a used connection (`keepalive_timeout`).
    pub keep_alive: Duration,
    /// Between two reads of a body that is passed on (`client_body_timeout`).
    pub body: Duration,
    /// Between two writes (`send_timeout`).
    pub send: Duration,
    /// Between two reads of bytes that are thrown away (`lingering_timeout`), …
    pub lingering: Duration,
    /// … and for all of them (`lingering_time`).
    pub lingering_total: Duration,
    /// A connection older than this is not kept (`keepalive_time`).
    pub connection: Duration,
    /// Requests a connection is good for (`keepalive_requests`).
    pub requests: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(60),
            keep_alive: Duration::from_secs(75),
            body: Duration::from_secs(60),
            send: Duration::from_secs(60),
            lingering: Duration::from_secs(5),
            lingering_total: Duration::from_secs(30),
            connection: Duration::from_secs(3600),
            requests: 1000,
        }
    }
}

/// What the caller knows about the connection.
pub struct Connection {
    pub visit: Visit,
    /// The visitor spoke plain text to a TLS port: whatever it asks, it is told so.
    pub plain_to_tls: bool,
    /// When the connection was accepted: the first head's deadline counts from here, a TLS handshake included.
    pub accepted: Instant,
}

/// How the conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Our end was shut down in order (inside TLS that includes `close_notify`).
    Closed,
    /// The visitor left or broke the connection. Ours is dropped, without a `close_notify`, even where the visitor sent
    /// one.
    Gone,
    /// The visitor was too slow in the middle of something: nginx closes the socket and says nothing, not even
    /// `close_notify`. The connection was dropped like that.
    TimedOut,
}

/// Why a conversation stops here.
enum Stopped {
    Ending(Ending),
    /// Hang up in order; with `true` what still comes is read and thrown away for a while, so that the answer is not
    /// lost to a reset.
    HangUp(bool),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Ending(if error.kind() == io::ErrorKind::TimedOut { Ending::TimedOut } else { Ending::Gone })
    }
}

/// A request that could not be understood, and what is known of it.
struct Refused {
    problem: Problem,
    http: Http,
    head_only: bool,
    agent: Agent,
}

/// Whether the visitor can tell where the answer ends without the connection ending.
fn framed(response: &Response, http: Http, head_only: bool) -> bool {
    http >= Http::V1_1 || head_only || response.has_length() || response.bodiless()
}

/// Holds one visitor's conversation until it is over. `early` are bytes already read from `io`.
pub async fn serve<S>(io: S, cover: &Cover, connection: &Connection, timeouts: &Timeouts, early: Slice) -> Ending
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut talk = Talk {
        io,
        cover,
        connection,
        timeouts,
        input: Input::new(early),
        output: Output::new(timeouts.send),
        requests: 0,
    };
    loop {
        match talk.one().await {
            Ok(()) => {}
            Err(Stopped::Ending(ending)) => return ending,
            Err(Stopped::HangUp(linger)) => return talk.hang_up(linger).await,
        }
    }
}

struct Talk<'a, S> {
    io: S,
    cover: &'a Cover,
    connection: &'a Connection,
    timeouts: &'a Timeouts,
    input: Input,
    output: Output,
    requests: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<'_, S> {
    /// One request and its answer; `Ok` = the connection goes on.
    async fn one(&mut self) -> Result<(), Stopped> {
        let deadline = self.begin().await?;
        self.requests += 1;
        let head = match timeout_at(deadline, self.head()).await {
            Ok(head) => head?,
            Err(_) => return Err(Stopped::Ending(Ending::TimedOut)),
        };
        match head {
            Ok(head) => self.reply(head).await,
            Err(refused) => {
                let Refused { problem, http, head_only, agent } = refused;
                let response = Response::page(problem, agent);
                self.output.answer(&mut self.io, response, http, head_only, false).await?;
                let linger =
                    !self.input.is_drained() || matches!(problem, Problem::HeaderTooLarge | Problem::UriTooLarge);
                Err(Stopped::HangUp(linger))
            }
        }
    }

    /// Waits for a request's first byte; returns until when its head must be whole.
    async fn begin(&mut self) -> Result<Instant, Stopped> {
        let first = self.requests == 0;
        if !self.input.rest().is_empty() {
            return Ok(Instant::now() + self.timeouts.header);
        }
        let (deadline, whole) = if first {
            let deadline = self.connection.accepted + self.timeouts.header;
            (deadline, deadline)
        } else {
            let now = Instant::now();
            (now + self.timeouts.keep_alive, now)
        };
        match timeout_at(deadline, self.input.fill(&mut self.io)).await {
            // A visitor that never says anything, or nothing more, is bid farewell in order; one that left is not.
            Err(_) => Err(Stopped::HangUp(false)),
            Ok(Err(_) | Ok(0)) => Err(Stopped::Ending(Ending::Gone)),
            Ok(Ok(_)) if first => Ok(whole),
            Ok(Ok(_)) => Ok(Instant::now() + self.timeouts.header),
        }
    }

    async fn more(&mut self) -> Result<(), Stopped> {
        // A visitor that leaves in the middle of a head gets no answer.
        match self.input.fill(&mut self.io).await? {
            0 => Err(Stopped::Ending(Ending::Gone)),
            _ => Ok(()),
        }
    }

    /// Reads a head. The outer error ends the connection without an answer, the inner one with one.
    async fn head(&mut self) -> Result<Result<Head, Refused>, Stopped> {
        let mut head = match self.first_line().await? {
            Ok(head) => head,
            Err(refused) => return Ok(Err(refused)),
        };
        if head.http == Http::V0_9 {
            return Ok(Ok(head));
        }
        let refused = |head: &Head, problem| Refused {
            problem,
            http: head.http,
            head_only: head.has_no_answer_body(),
            agent: head.agent,
        };
        loop {
            match header_line(self.input.rest()) {
                Ok(HeaderLine::End(consumed)) => {
                    self.input.advance(consumed);
                    return Ok(Ok(head));
                }
                Ok(HeaderLine::Field { name, value, ignored, consumed }) => {
                    if !ignored {
                        let bytes = self.input.rest();
                        let copy = |range| Bytes::copy_from_slice(bytes.get(range).unwrap_or_default());
                        let (name, value) = (copy(name), copy(value));
                        if let Err(problem) = head.header(name, value) {
                            self.input.advance(consumed);
                            return Ok(Err(refused(&head, problem)));
                        }
                    }
                    self.input.advance(consumed);
                }
                Err(Stop::Bad(problem)) => return Ok(Err(refused(&head, problem))),
                Err(Stop::Again) => {
                    let fresh = self.input.rest().is_empty();
                    if self.input.is_full() && !self.input.enlarge(0, fresh) {
                        return Ok(Err(refused(&head, Problem::HeaderTooLarge)));
                    }
                    self.more().await?;
                }
            }
        }
    }

    async fn first_line(&mut self) -> Result<Result<Head, Refused>, Stopped> {
        // Until a line says otherwise a request counts as one of HTTP/1.0.
        let refused = |problem, http, method: &[u8]| {
            Ok(Err(Refused {
                problem,
                http,
                head_only: http > Http::V0_9 && method == b"HEAD",
                agent: Agent::default(),
            }))
        };
        loop {
            let skipped = leading(self.input.rest());
            let bytes = self.input.rest().get(skipped..).unwrap_or_default();
            let mut method = 0..0;
            match request_line(bytes, &mut method) {
                Ok(line) => {
                    let copy = |range| Bytes::copy_from_slice(bytes.get(range).unwrap_or_default());
                    let (method, target) = (copy(line.method), copy(line.target));
                    let host = line.host.map(copy);
                    self.input.advance(skipped + line.consumed);
                    if line.http == Http::V0_9 && method != "GET" {
                        return refused(Problem::BadRequest, line.http, &method);
                    }
                    let Some(path) = Path::parse(&target) else {
                        return refused(Problem::BadRequest, line.http, &method);
                    };
                    let mut head = Head::new(method, target, path, line.http);
                    if let Some(text) = host {
                        let Some(host) = head::host(&text) else {
                            return refused(Problem::BadRequest, head.http, &head.method);
                        };
                        head.host = Some(host);
                        head.authority = Some(text);
                    }
                    return Ok(Ok(head));
                }
                Err(Stop::Bad(problem)) => {
                    let method = bytes.get(method).unwrap_or_default().to_vec();
                    return refused(problem, Http::V1_0, &method);
                }
                Err(Stop::Again) => {
                    let empty = bytes.is_empty();
                    let method = bytes.get(method).unwrap_or_default().to_vec();
                    if self.input.is_full() {
                        if empty {
                            self.input.rewind();
                        } else if !self.input.enlarge(skipped, false) {
                            return refused(Problem::UriTooLarge, Http::V1_0, &method);
                        }
                    }
                    self.more().await?;
                }
            }
        }
    }

    /// Whether this request lets the connection be used again, before its answer has a say.
    fn keeps(&self, head: &Head) -> bool {
        let wished = match head.persistence {
            Persistence::Unsaid => head.http > Http::V1_0,
            Persistence::Close => false,
            Persistence::KeepAlive => true,
        };
        wished
            && self.requests < self.timeouts.requests
            && self.connection.accepted.elapsed() <= self.timeouts.connection
            && !(head.agent.broken_post && head.method == "POST")
    }

    async fn reply(&mut self, mut head: Head) -> Result<(), Stopped> {
        let (http, agent, head_only) = (head.http, head.agent, head.has_no_answer_body());
        let judged = if http == Http::V0_9 { Ok(None) } else { head.finish() };
        let judged = match judged {
            Ok(_) if self.connection.plain_to_tls => Err(Problem::PlainToTls),
            other => other,
        };
        let length = match judged {
            Ok(length) => length,
            Err(problem) => {
                // Refused before it was looked at: the connection is over, but what was announced is still read.
                let mut upload = Upload::new(head.known_length(), head.chunked);
                let drained = upload.drain_now(&mut self.input, &mut self.io).await;
                let response = Response::page(problem, agent);
                self.output.answer(&mut self.io, response, http, head_only, false).await?;
                return self.settle(upload, drained, false).await;
            }
        };
        let mut keep = self.keeps(&head);
        let expects = http >= Http::V1_1 && head.expects_continue();
        let mut upload = Upload::new(length, head.chunked);
        if self.cover.reads_bodies() {
            return self.pass_on(head, upload, keep, expects).await;
        }
        let request = head.request(upload.announce(), self.connection.visit);
        let mut response = self.cover.respond(request).await;
        keep &= !response.close && framed(&response, http, head_only);
        // nginx throws a body away before it answers, as far as it is there, and the rest afterwards.
        if response.opened && expects {
            self.output.now(&mut self.io, b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let drained = upload.drain_now(&mut self.input, &mut self.io).await;
        if drained == Drained::Malformed {
            keep = false;
            if response.opened {
                response = Response::page(Problem::BadRequest, agent);
            }
        }
        let abrupt = response.abrupt;
        self.output.answer(&mut self.io, response, http, head_only, keep).await?;
        if abrupt {
            return Err(Stopped::HangUp(false));
        }
        self.settle(upload, drained, keep).await
    }

    /// After an answer: throws away what is left of the body, then goes on or hangs up.
    async fn settle(&mut self, mut upload: Upload, mut drained: Drained, keep: bool) -> Result<(), Stopped> {
        if drained == Drained::Waiting {
            let (pause, total) = (self.timeouts.lingering, self.timeouts.lingering_total);
            drained = upload.drain(&mut self.input, &mut self.io, pause, total).await;
        }
        match drained {
            Drained::Done if keep => {
                self.input.next_request();
                Ok(())
            }
            Drained::Done => Err(Stopped::HangUp(!self.input.is_drained())),
            Drained::Malformed => Err(Stopped::HangUp(false)),
            Drained::Gone => Err(Stopped::Ending(Ending::Gone)),
            Drained::Waiting => Err(Stopped::Ending(Ending::TimedOut)),
        }
    }

    /// A proxying cover: the body goes to the site while the answer comes from it.
    async fn pass_on(&mut self, head: Head, mut upload: Upload, keep: bool, expects: bool) -> Result<(), Stopped> {
        let (http, head_only) = (head.http, head.has_no_answer_body());
        // A body that is refused by its length alone is not asked for.
        if expects && upload.is_pending() && head.known_length().is_none_or(|length| length <= MAX_BODY) {
            self.output.now(&mut self.io, b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let (feeder, stream) = upload::channel();
        let mut body = upload.announce();
        if upload.is_pending() {
            body.stream = Some(Box::new(stream));
        }
        let request: Request = head.request(body, self.connection.visit);
        let (response, fed) = {
            let answer = self.cover.respond(request);
            let feed = upload.feed(&mut self.input, &mut self.io, feeder, self.timeouts.body);
            upload::both(answer, feed).await
        };
        let drained = match fed {
            Some(Drained::Malformed) => Drained::Malformed,
            Some(Drained::Gone) => Drained::Gone,
            _ => upload.drain_now(&mut self.input, &mut self.io).await,
        };
        let sound = matches!(drained, Drained::Done | Drained::Waiting);
        let keep = keep && !response.close && framed(&response, http, head_only) && sound;
        self.output.answer(&mut self.io, response, http, head_only, keep).await?;
        self.settle(upload, drained, keep).await
    }

    /// Says goodbye and, where more may still come, listens for a while without answering.
    async fn hang_up(mut self, linger: bool) -> Ending {
        if timeout(self.timeouts.send, self.io.shutdown()).await.is_err() {
            return Ending::TimedOut;
        }
        if linger {
            let mut rest = Upload::endless();
            let (pause, total) = (self.timeouts.lingering, self.timeouts.lingering_total);
            rest.drain(&mut self.input, &mut self.io, pause, total).await;
        }
        Ending::Closed
    }
}

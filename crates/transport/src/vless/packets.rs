//! Datagrams of one target on one stream (cmd 2), the same at both ends.

use std::io;
use std::task::{Context, Poll, ready};

use rozaneh_net::pool::Slice;
use rozaneh_net::stream::{Io, Stream};
use rozaneh_wire::vless::datagrams::{Decoder, encode};

use crate::next::PacketIo;
use crate::target::Target;

/// Largest UDP payload (RFC 768: 16 bits of length, eight bytes of header). What claims more is lost here rather than
/// at a socket.
const MAX_PAYLOAD: usize = 65_527;

/// Datagrams to and from one target.
pub(crate) struct StreamPackets {
    stream: Io,
    target: Target,
    decoder: Decoder,
    /// Decoded and not asked for yet; at most what one chunk holds.
    ready: Vec<Slice>,
    ended: bool,
    /// Written to the stream and not flushed yet.
    unflushed: bool,
}

impl StreamPackets {
    pub fn new(stream: Io, target: Target) -> Self {
        Self { stream, target, decoder: Decoder::new(), ready: Vec::new(), ended: false, unflushed: false }
    }
}

impl PacketIo for StreamPackets {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Vec<(Target, Slice)>) -> Poll<io::Result<usize>> {
        if self.unflushed {
            // Nobody else comes back to what the socket did not take.
            if let Poll::Ready(flushed) = self.stream.poll_flush(cx) {
                flushed?;
                self.unflushed = false;
            }
        }
        loop {
            if !self.ready.is_empty() {
                let room = into.capacity().saturating_sub(into.len()).max(1);
                let n = self.ready.len().min(room);
                into.extend(self.ready.drain(..n).map(|payload| (self.target.clone(), payload)));
                return Poll::Ready(Ok(n));
            }
            if self.ended {
                return Poll::Ready(Ok(0));
            }
            match ready!(self.stream.poll_recv(cx, usize::MAX))? {
                Some(chunk) => {
                    let ready = &mut self.ready;
                    self.decoder.feed(&chunk, &mut |payload| {
                        if payload.len() <= MAX_PAYLOAD {
                            ready.push(Slice::copy_from(payload));
                        }
                    });
                }
                None => self.ended = true,
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, batch: &mut Vec<(Target, Slice)>) -> Poll<io::Result<()>> {
        // A connection that is full is a full queue: what does not fit is lost, as on any path.
        match self.stream.poll_ready(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {
                batch.clear();
                return Poll::Ready(Ok(()));
            }
        }
        let mut framed = Vec::new();
        for (_, payload) in batch.drain(..) {
            encode(&payload, &mut framed)?;
        }
        self.stream.send(Slice::from_vec(framed));
        self.unflushed = match self.stream.poll_flush(cx) {
            Poll::Ready(flushed) => {
                flushed?;
                false
            }
            Poll::Pending => true,
        };
        Poll::Ready(Ok(()))
    }
}

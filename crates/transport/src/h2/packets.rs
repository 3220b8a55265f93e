//! Datagrams over a stream: RFC 9298's UDP payloads in RFC 9297's capsules.

use std::io;
use std::task::{Context, Poll, ready};

use rozaneh_net::pool::Slice;
use rozaneh_net::stream::Stream;
use rozaneh_wire::capsule::{Decoder, MAX_UDP_PAYLOAD, encode_datagram};

use super::stream::H2Stream;
use crate::next::PacketIo;
use crate::target::Target;

/// Datagrams to and from one target, in the capsules of one stream.
pub(crate) struct CapsulePackets {
    stream: H2Stream,
    target: Target,
    decoder: Decoder,
    /// Decoded and not asked for yet; at most what one chunk holds.
    ready: Vec<Slice>,
    ended: bool,
}

impl CapsulePackets {
    pub fn new(stream: H2Stream, target: Target) -> Self {
        Self { stream, target, decoder: Decoder::new(), ready: Vec::new(), ended: false }
    }

    /// The stream inside.
    pub fn stream(&self) -> &H2Stream {
        &self.stream
    }
}

impl PacketIo for CapsulePackets {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Vec<(Target, Slice)>) -> Poll<io::Result<usize>> {
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
                    self.decoder.feed(&chunk, &mut |datagram| ready.push(Slice::copy_from(datagram.bytes(&chunk))))?;
                }
                None => {
                    self.decoder.finish()?;
                    self.ended = true;
                }
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, batch: &mut Vec<(Target, Slice)>) -> Poll<io::Result<()>> {
        // A carrier that is full is a full queue: what does not fit is lost, as on any path.
        match self.stream.poll_ready(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {
                batch.clear();
                return Poll::Ready(Ok(()));
            }
        }
        let mut capsules = Vec::new();
        for (_, payload) in batch.drain(..) {
            if payload.len() <= MAX_UDP_PAYLOAD {
                encode_datagram(&payload, &mut capsules)?;
            }
        }
        self.stream.send(Slice::from_vec(capsules));
        Poll::Ready(Ok(()))
    }
}

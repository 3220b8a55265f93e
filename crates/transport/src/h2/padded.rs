//! Padding of type 1 around a stream: the first eight chunks of each direction are framed, then nothing is touched.

use std::io;
use std::task::{Context, Poll, ready};

use rozaneh_net::pool::Slice;
use rozaneh_net::stream::Stream;
use rozaneh_wire::padding::{Decoder, Encoder, Kind};

/// A stream whose first frames are padded, if the two ends agreed so.
pub(crate) struct Padded<S> {
    inner: S,
    encoder: Option<Encoder>,
    decoder: Option<Decoder>,
    /// Data of one chunk that held several frames.
    ready: Vec<Slice>,
}

impl<S: Stream> Padded<S> {
    pub fn new(inner: S, kind: Kind) -> Self {
        let pads = kind == Kind::FIRST_EIGHT;
        Self { inner, encoder: pads.then(Encoder::new), decoder: pads.then(Decoder::new), ready: Vec::new() }
    }

    /// The stream inside.
    pub fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }
}

/// A padding length, uniform in 0 to 255 as the scheme says.
fn zeros() -> u8 {
    let mut byte = [0];
    let _ = aws_lc_rs::rand::fill(&mut byte);
    byte[0]
}

impl<S: Stream> Stream for Padded<S> {
    fn poll_recv(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Option<Slice>>> {
        loop {
            if let Some(front) = self.ready.first_mut() {
                let chunk = front.split_to(max.max(1));
                if front.is_empty() {
                    self.ready.remove(0);
                }
                return Poll::Ready(Ok(Some(chunk)));
            }
            let Some(decoder) = &mut self.decoder else {
                return self.inner.poll_recv(cx, max);
            };
            match ready!(self.inner.poll_recv(cx, max))? {
                Some(chunk) => {
                    let ready = &mut self.ready;
                    decoder.feed(&chunk, &mut |range| ready.push(chunk.sub(range)));
                    if decoder.is_raw() {
                        self.decoder = None;
                    }
                }
                None => {
                    decoder.finish()?;
                    return Poll::Ready(Ok(None));
                }
            }
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn send(&mut self, chunk: Slice) {
        let Some(encoder) = &mut self.encoder else { return self.inner.send(chunk) };
        let mut framed = Vec::with_capacity(chunk.len() + 512);
        encoder.encode(&chunk, &mut zeros, &mut framed);
        if encoder.is_raw() {
            self.encoder = None;
        }
        self.inner.send(Slice::from_vec(framed));
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_finish(cx)
    }

    fn abort(&mut self) {
        self.inner.abort();
    }
}

//! A stranger's request over HTTP/2, judged and answered by the cover.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use rozaneh_net::pool::Slice;
use rozaneh_net::stream::Stream;
use rozaneh_wire::h2::{Code, Field};

use super::stream::H2Stream;
use crate::cover::http2::{Judged, judge};
use crate::cover::{Body, BodyIn, Chunks, Cover, Response, Visit, h2look};

/// Answers one request and ends its stream as the cover's model would.
///
/// The wire's own verdict on the fields (malformed, too large) is not asked for: the cover reads them as its model
/// does, which is more lenient in places and stricter in others.
pub(crate) async fn answer(cover: &Cover, stream: H2Stream, fields: Vec<Field>, end: bool, visit: Visit) {
    let fields: Vec<(Bytes, Bytes)> = fields
        .into_iter()
        .map(|field| (Bytes::copy_from_slice(field.name.as_bytes()), Bytes::from(field.value.into_owned())))
        .collect();
    let stream = Arc::new(Mutex::new(stream));
    let wanted = !end && cover.reads_bodies();
    let upload = wanted.then(|| Box::new(Upload(Arc::clone(&stream))) as Box<dyn Chunks>);
    let body = BodyIn { length: None, open: !end, stream: upload };
    let response = match judge(&fields, end, body, visit) {
        Judged::Request(request) => cover.respond(*request).await,
        Judged::Refused(response) => response,
        Judged::Reset(code) => return stream.lock().reset(Code(code)),
        Judged::GoAway(code) => return stream.lock().carrier().fail(Code(code)),
    };
    // A visitor who left, or a body that broke: the stream is reset.
    if send(&stream, response, !end && !wanted).await.is_err() {
        stream.lock().reset(Code::INTERNAL_ERROR);
    }
}

/// A request's body and its answer are two hands on one stream.
type Shared = Arc<Mutex<H2Stream>>;

struct Upload(Shared);

impl Chunks for Upload {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Slice>>> {
        self.0.lock().poll_recv(cx, usize::MAX)
    }
}

async fn send(stream: &Shared, response: Response, unwanted: bool) -> io::Result<()> {
    let fields: Vec<Field> =
        response.fields().into_iter().map(|(name, value)| Field::new(name.to_vec(), value.to_vec())).collect();
    let mut body: Body = response.body;
    let empty = body.is_empty();
    stream.lock().respond(&fields, empty).map_err(|_| io::Error::from(io::ErrorKind::ConnectionReset))?;
    if unwanted {
        stream.lock().unwanted();
    }
    if empty {
        return Ok(());
    }
    stream.lock().limit_frames(h2look::DATA_FRAME);
    // One chunk is held back, so that the last is known as such when it goes.
    let mut held = body.next().await?;
    while let Some(chunk) = held.take() {
        held = body.next().await?;
        std::future::poll_fn(|cx| stream.lock().poll_ready(cx)).await?;
        match held {
            Some(_) => stream.lock().send(chunk),
            None => stream.lock().send_last(chunk),
        }
    }
    Ok(())
}

//! Bodies, produced a chunk at a time so that no answer is ever held whole.

use std::collections::VecDeque;
use std::fs::File;
use std::future::{Future, poll_fn};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use rozaneh_net::pool::{Buf, Slice};
use tokio::task::JoinHandle;

/// Something that yields chunks until it is over. A chunk is never empty.
pub trait Chunks: Send + Unpin + 'static {
    /// The next chunk; `Ok(None)` at the end.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Slice>>>;
    /// Whether the chunk that came last is known to be the last.
    fn is_over(&self) -> bool {
        false
    }
}

/// The body of an answer.
pub enum Body {
    Empty,
    Bytes(Slice),
    Stream(Box<dyn Chunks>),
}

impl Body {
    pub(super) fn from_vec(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Bytes(Slice::from_vec(bytes)) }
    }

    /// The next chunk; `Ok(None)` at the end and ever after.
    ///
    /// # Errors
    /// What reading the file or the proxied server met. The answer cannot be completed: the connection (or the
    /// HTTP/2 stream) has to be broken off, as nginx does.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Slice>>> {
        match std::mem::replace(self, Self::Empty) {
            Self::Empty => Poll::Ready(Ok(None)),
            Self::Bytes(bytes) => Poll::Ready(Ok(Some(bytes))),
            Self::Stream(mut chunks) => {
                let polled = chunks.poll_chunk(cx);
                if matches!(polled, Poll::Pending | Poll::Ready(Ok(Some(_)))) && !chunks.is_over() {
                    *self = Self::Stream(chunks);
                }
                polled
            }
        }
    }

    /// [`Body::poll_next`] to be awaited.
    ///
    /// # Errors
    /// As [`Body::poll_next`].
    pub async fn next(&mut self) -> io::Result<Option<Slice>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Whether nothing will come any more: true behind the last chunk where that is known in time, so that END_STREAM
    /// can go with it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}

/// Where a file's bytes are.
pub(super) enum Source {
    Memory(Slice),
    Disk(File),
}

impl Source {
    /// Bytes from `at`, at most 64 KiB and at most `most`; an early end is an error, since the length is announced.
    pub(super) fn read(&mut self, at: u64, most: u64) -> io::Result<Slice> {
        let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
        match self {
            Self::Memory(bytes) => {
                let start = usize::try_from(at).map_err(|_| cut())?;
                let most = usize::try_from(most).map_err(|_| cut())?;
                let end = start.checked_add(most).filter(|&end| end <= bytes.len()).ok_or_else(cut)?;
                Ok(bytes.sub(start..end))
            }
            Self::Disk(file) => {
                let mut buffer = Buf::large();
                let size = usize::try_from(most).map_or(buffer.len(), |most| most.min(buffer.len()));
                file.seek(SeekFrom::Start(at))?;
                let mut filled = 0;
                while filled < size {
                    let Some(room) = buffer.get_mut(filled..size) else { return Err(cut()) };
                    match file.read(room) {
                        Ok(0) => return Err(cut()),
                        Ok(n) => filled += n,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(buffer.freeze(0..filled))
            }
        }
    }

    fn on_disk(&self) -> bool {
        matches!(self, Self::Disk(_))
    }
}

/// A piece of a file's answer.
pub(super) enum Part {
    /// Text between ranges.
    Text(Vec<u8>),
    /// A range of the file.
    Bytes(Range<u64>),
}

/// Makes chunks by work that may block.
pub(super) trait Produce: Send + Unpin + 'static {
    fn produce(&mut self) -> io::Result<Option<Slice>>;
    /// Whether `produce` touches a disk.
    fn blocks(&self) -> bool;
    /// Whether the last chunk was made.
    fn is_over(&self) -> bool;
}

/// Parts of a file, in order.
pub(super) struct Parts {
    pub source: Source,
    pub parts: VecDeque<Part>,
}

impl Produce for Parts {
    fn produce(&mut self) -> io::Result<Option<Slice>> {
        loop {
            match self.parts.pop_front() {
                None => return Ok(None),
                Some(Part::Text(text)) => return Ok(Some(Slice::from_vec(text))),
                Some(Part::Bytes(range)) if range.is_empty() => {}
                Some(Part::Bytes(range)) => {
                    let chunk = self.source.read(range.start, range.end - range.start)?;
                    let next = range.start + chunk.len() as u64;
                    self.parts.push_front(Part::Bytes(next..range.end));
                    return Ok(Some(chunk));
                }
            }
        }
    }

    fn blocks(&self) -> bool {
        self.source.on_disk()
    }

    fn is_over(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Bytes(range) if range.is_empty()))
    }
}

/// Runs a producer where it may block: on the runtime's blocking threads, or in place where it touches no disk.
enum Worker<P> {
    Idle(Box<P>),
    Busy(JoinHandle<(Box<P>, io::Result<Option<Slice>>)>),
    Over,
}

impl<P: Produce> Chunks for Worker<P> {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Slice>>> {
        loop {
            match std::mem::replace(self, Self::Over) {
                Self::Over => return Poll::Ready(Ok(None)),
                Self::Idle(mut producer) if producer.blocks() => {
                    *self = Self::Busy(tokio::task::spawn_blocking(move || {
                        let made = producer.produce();
                        (producer, made)
                    }));
                }
                Self::Idle(mut producer) => {
                    let made = producer.produce();
                    if matches!(made, Ok(Some(_))) && !producer.is_over() {
                        *self = Self::Idle(producer);
                    }
                    return Poll::Ready(made);
                }
                Self::Busy(mut task) => match Pin::new(&mut task).poll(cx) {
                    Poll::Pending => {
                        *self = Self::Busy(task);
                        return Poll::Pending;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                    Poll::Ready(Ok((producer, made))) => {
                        if matches!(made, Ok(Some(_))) && !producer.is_over() {
                            *self = Self::Idle(producer);
                        }
                        return Poll::Ready(made);
                    }
                },
            }
        }
    }

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }
}

/// A body made by a producer.
pub(super) fn produced(producer: impl Produce) -> Body {
    Body::Stream(Box::new(Worker::Idle(Box::new(producer))))
}

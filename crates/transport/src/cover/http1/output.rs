//! The sending side: blocks of exactly 16 KiB, because that is how nginx fills TLS records (`ssl_buffer_size 16k`).

use std::io;
use std::time::Duration;

use rozaneh_net::pool::Slice;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::super::body::Body;
use super::super::message::{Http, Response};

const BLOCK: usize = 16 * 1024;

/// Collects bytes into blocks; holds no memory between answers.
pub(super) struct Output {
    block: Vec<u8>,
    patience: Duration,
}

impl Output {
    /// `patience` is how long the visitor may take to accept one block (`send_timeout`).
    pub(super) fn new(patience: Duration) -> Self {
        Self { block: Vec::new(), patience }
    }

    async fn emit<S: AsyncWrite + Unpin>(&self, io: &mut S, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let sent = timeout(self.patience, io.write(rest)).await.map_err(|_| io::ErrorKind::TimedOut)??;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    async fn push<S: AsyncWrite + Unpin>(&mut self, io: &mut S, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // Whole blocks need not be copied.
            if self.block.is_empty() && bytes.len() >= BLOCK {
                let (block, rest) = bytes.split_at(BLOCK);
                self.emit(io, block).await?;
                bytes = rest;
                continue;
            }
            let (part, rest) = bytes.split_at(bytes.len().min(BLOCK - self.block.len()));
            self.block.extend_from_slice(part);
            bytes = rest;
            if self.block.len() == BLOCK {
                self.emit(io, &self.block).await?;
                self.block.clear();
            }
        }
        Ok(())
    }

    /// Sends what is collected and gives the memory back.
    pub(super) async fn flush<S: AsyncWrite + Unpin>(&mut self, io: &mut S) -> io::Result<()> {
        let block = std::mem::take(&mut self.block);
        self.emit(io, &block).await?;
        timeout(self.patience, io.flush()).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// Sends a few bytes at once.
    pub(super) async fn now<S: AsyncWrite + Unpin>(&mut self, io: &mut S, bytes: &[u8]) -> io::Result<()> {
        self.push(io, bytes).await?;
        self.flush(io).await
    }

    /// Sends an answer. The connection is told to go on or not by `keep`.
    pub(super) async fn answer<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        mut response: Response,
        http: Http,
        head_only: bool,
        keep: bool,
    ) -> io::Result<()> {
        let bare = head_only || response.bodiless();
        let chunked = !bare && !response.has_length() && http >= Http::V1_1;
        if http > Http::V0_9 {
            let head = head(&response, chunked, keep);
            self.push(io, &head).await?;
        }
        if !bare {
            self.body(io, &mut response.body, chunked).await?;
        }
        self.flush(io).await
    }

    async fn body<S: AsyncWrite + Unpin>(&mut self, io: &mut S, body: &mut Body, chunked: bool) -> io::Result<()> {
        while let Some(chunk) = body.next().await? {
            self.chunk(io, &chunk, chunked).await?;
        }
        if chunked {
            self.push(io, b"0\r\n\r\n").await?;
        }
        Ok(())
    }

    async fn chunk<S: AsyncWrite + Unpin>(&mut self, io: &mut S, chunk: &Slice, chunked: bool) -> io::Result<()> {
        if !chunked {
            return self.push(io, chunk).await;
        }
        self.push(io, format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
        self.push(io, chunk).await?;
        self.push(io, b"\r\n").await
    }
}

/// Status line and headers.
fn head(response: &Response, chunked: bool, keep: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(format!("HTTP/1.1 {} {}\r\n", response.status, response.reason).as_bytes());
    let connection = |out: &mut Vec<u8>| {
        if chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        out.extend_from_slice(if keep { b"Connection: keep-alive\r\n" } else { b"Connection: close\r\n" });
    };
    for (at, (name, value)) in response.headers.iter().enumerate() {
        if at == response.connection_at {
            connection(&mut out);
        }
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    if response.connection_at >= response.headers.len() {
        connection(&mut out);
    }
    out.extend_from_slice(b"\r\n");
    out
}

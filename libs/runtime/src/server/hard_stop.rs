//! Connections that can be cut off: a drain can hang on streams and on silent clients, and these take others' place.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// What a client of HTTP/2 begins with; from there on keep-alive finds out who is gone.
const PREFACE_BYTES: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

/// A connection that fails once it is cut off, which ends its calls too.
pub(super) struct Stoppable {
    stream: TcpStream,
    cut_off: Pin<Box<WaitForCancellationFutureOwned>>,
    preface: Option<Preface>,
    /// Its place among the server's connections.
    _place: OwnedSemaphorePermit,
}

/// What is still to come of the preface, and by when.
struct Preface {
    missing: usize,
    deadline: Pin<Box<Sleep>>,
}

impl Stoppable {
    pub(super) fn new(
        stream: TcpStream,
        place: OwnedSemaphorePermit,
        preface: Duration,
        cut_off: &CancellationToken,
    ) -> Self {
        let deadline = Box::pin(tokio::time::sleep(preface));
        Self {
            stream,
            cut_off: Box::pin(cut_off.clone().cancelled_owned()),
            preface: Some(Preface { missing: PREFACE_BYTES, deadline }),
            _place: place,
        }
    }
}

impl AsyncRead for Stoppable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A connection is read from at all times, so this alone wakes it.
        if self.cut_off.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Some(preface) = &mut this.preface {
            preface.missing = preface.missing.saturating_sub(buffer.filled().len() - before);
            if preface.missing == 0 {
                this.preface = None;
            } else if preface.deadline.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl AsyncWrite for Stoppable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connected for Stoppable {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

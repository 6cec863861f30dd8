//! Connections that can be cut off: a drain can hang on streams and on silent clients, and these take others' place.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::stream::Stream;

/// What a client of HTTP/2 begins with; from there on keep-alive finds out who is gone.
const PREFACE_BYTES: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

/// A connection that fails once it is cut off, which ends its calls too.
pub(super) struct Stoppable {
    stream: Stream,
    info: TcpConnectInfo,
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
        tls: Option<&TlsAcceptor>,
        place: OwnedSemaphorePermit,
        preface: Duration,
        cut_off: &CancellationToken,
    ) -> Self {
        let deadline = Box::pin(tokio::time::sleep(preface));
        Self {
            info: stream.connect_info(),
            stream: Stream::new(stream, tls),
            cut_off: Box::pin(cut_off.clone().cancelled_owned()),
            preface: Some(Preface { missing: PREFACE_BYTES, deadline }),
            _place: place,
        }
    }
}

impl Stoppable {
    /// Fails once the connection is cut off, or the client's first words come too late.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.cut_off.as_mut().poll(context).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if let Some(preface) = &mut self.preface
            && preface.deadline.as_mut().poll(context).is_ready()
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    /// Before the client's first words have come, a write may wait for the handshake as well as a read.
    fn check_greeting(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.preface.is_some() { self.check(context) } else { Ok(()) }
    }
}

impl AsyncRead for Stoppable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        // After a handshake these are the bytes that came out of it.
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Some(preface) = &mut this.preface {
            preface.missing = preface.missing.saturating_sub(buffer.filled().len() - before);
            if preface.missing == 0 {
                this.preface = None;
            }
        }
        // A connection is read from at all times, so this alone wakes it.
        this.check(context)?;
        read
    }
}

impl AsyncWrite for Stoppable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_greeting(context)?;
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_greeting(context)?;
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
        self.check_greeting(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connected for Stoppable {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.info.clone()
    }
}

//! Calls by path and bytes, for guards that go through every rpc of the descriptor set.

use http::uri::PathAndQuery;
use runtime::peer::Peer;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Response, Status};

use bytes::{Buf as _, BufMut as _};

/// Passes messages through as bytes.
#[derive(Debug, Clone, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;
    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;
    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}

/// Calls one method; of a stream, the first message is the answer.
pub(crate) async fn call(
    peer: Peer,
    path: &str,
    request: Request<Vec<u8>>,
) -> Result<Response<Vec<u8>>, Status> {
    let mut client = tonic::client::Grpc::new(peer.streaming());
    client.ready().await.map_err(|_| Status::unknown("the peer is not ready"))?;
    let path: PathAndQuery = path.parse().expect("a method's path is a path");
    let (metadata, mut messages, extensions) =
        client.server_streaming(request, path, Bytes).await?.into_parts();
    let message = messages.message().await?.ok_or_else(|| Status::unknown("no message and no error"))?;
    Ok(Response::from_parts(metadata, message, extensions))
}

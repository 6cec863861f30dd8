"""Calls through Python's grpcio, with messages made from what reflection tells; there are no generated stubs.

The types of error details come from the server's reflection too.
"""

from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

from answer import Answer

Metadata = list[tuple[str, str]]


class GrpcioClient:
    """A client on one channel."""

    def __init__(self, channel: grpc.Channel):
        self.channel = channel
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self.pool = DescriptorPool(self.database)

    def call(self, method: str, request: dict[str, Any], token: str | None = None, timeout: float = 20) -> Answer:
        """Calls `package.Service/Method`."""
        service, name = method.split("/")
        types = self.pool.FindServiceByName(service).FindMethodByName(name)
        message = json_format.ParseDict(request, GetMessageClass(types.input_type)(), descriptor_pool=self.pool)
        reply_class = GetMessageClass(types.output_type)
        return self.call_bytes(f"/{method}", message.SerializeToString(), token, timeout, reply_class)

    def call_bytes(
        self,
        path: str,
        body: bytes,
        token: str | None = None,
        timeout: float = 20,
        reply_class: Any = None,
        metadata: Metadata | None = None,
    ) -> Answer:
        """Calls any path with any body."""
        headers = [*(metadata or []), *([("authorization", f"Bearer {token}")] if token else [])]
        try:
            body = self.channel.unary_unary(path)(body, metadata=headers, timeout=timeout)
        except grpc.RpcError as error:
            return self._refused(error)
        return Answer("OK", self._dictionary(reply_class.FromString(body)) if reply_class else {})

    def _refused(self, error: Any) -> Answer:
        # Fails by itself where code or text of the details differ from those of the trailers.
        status = rpc_status.from_call(error)
        details = [self._detail(packed) for packed in status.details] if status else []
        return Answer(error.code().name, message=error.details() or "", details=tuple(details))

    def _detail(self, packed: Any) -> dict[str, Any]:
        name = packed.type_url.rsplit("/", 1)[-1]
        message = GetMessageClass(self.pool.FindMessageTypeByName(name)).FromString(packed.value)
        return {"@type": packed.type_url, **self._dictionary(message)}

    def _dictionary(self, message: Any) -> dict[str, Any]:
        return json_format.MessageToDict(message, descriptor_pool=self.pool)

"""What any gRPC client expects of any gRPC server, asked by a stack that is not the server's own.

Business rules are judged in the journey.
"""

import threading
import uuid
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from grpcio_client import GrpcioClient
from journey import IDENTITY, PASSWORD, Person
from rendering import SERVICES
from verdict import Verdict

SIGN_UP = f"{IDENTITY}.SignUpService/SignUp"
GET_ME = f"{IDENTITY}.UserService/GetMe"
KEY_SET = f"{IDENTITY}.SessionService/GetJsonWebKeySet"
DETAILS = ("ErrorInfo", "BadRequest", "PreconditionFailure", "QuotaFailure", "ResourceInfo", "RetryInfo", "RequestInfo")
# Field 1 of SignUpRequest is a text; this body claims more of it than follows.
CUT_OFF = b"\x0a\x7fContoso"


def judge(client: GrpcioClient, verdict: Verdict, kim: Person) -> None:
    """All of it."""
    health(client.channel, verdict)
    reflection(client, verdict)
    deadlines(client, verdict)
    malformed_calls(client, verdict, kim)
    many_at_once(client, verdict, kim)


def health(channel: grpc.Channel, verdict: Verdict) -> None:
    """grpc.health.v1, for the server as a whole and for each service."""
    stub = health_pb2_grpc.HealthStub(channel)
    serving = health_pb2.HealthCheckResponse.SERVING
    for service in ["", *SERVICES]:
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        verdict.equal(answer.status, serving, f"health: {service or 'the server'} serves")
    try:
        stub.Check(health_pb2.HealthCheckRequest(service="tenure.identity.v1.Nobody"), timeout=5)
        verdict.wrong("health: an unknown service is NOT_FOUND", "an answer")
    except grpc.RpcError as error:
        verdict.equal(error.code().name, "NOT_FOUND", "health: an unknown service is NOT_FOUND")
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICES[0]), timeout=5)
    verdict.equal(next(watch).status, serving, "health: Watch tells the state at once")
    watch.cancel()


def reflection(client: GrpcioClient, verdict: Verdict) -> None:
    """v1 and v1alpha, whose messages are alike."""

    def ask(version: str, **question: str) -> reflection_pb2.ServerReflectionResponse:
        call = client.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        return next(call(iter([reflection_pb2.ServerReflectionRequest(**question)]), timeout=5))

    for version in ("v1alpha", "v1"):
        listed = {service.name for service in ask(version, list_services="").list_services_response.service}
        verdict.equal(set(SERVICES) - listed, set(), f"reflection {version} lists every service")
        for detail in DETAILS:
            files = ask(version, file_containing_symbol=f"google.rpc.{detail}").file_descriptor_response
            verdict.that(len(files.file_descriptor_proto) > 0, f"reflection {version} knows google.rpc.{detail}", files)


def deadlines(client: GrpcioClient, verdict: Verdict) -> None:
    """A deadline that passes is told as such, and costs the connection nothing."""
    # A sign-up hashes a password, which takes several milliseconds on any machine.
    request = sign_up("Tardy")
    late = client.call(SIGN_UP, request, timeout=0.001)
    verdict.equal(late.code, "DEADLINE_EXCEEDED", "a deadline of 1 ms is DEADLINE_EXCEEDED")
    alive = client.call(KEY_SET, {}, timeout=5)
    verdict.that(alive.ok, "and the connection lives on", alive)
    retried = client.call(SIGN_UP, request)
    verdict.that(retried.ok, "a retry with the same request_id and more time settles it", retried)


def malformed_calls(client: GrpcioClient, verdict: Verdict, kim: Person) -> None:
    """What a library would answer by itself, with codes that mislead."""
    unknown = client.call_bytes(f"/{IDENTITY}.UserService/Nothing", b"", kim.token)
    verdict.equal((unknown.code, unknown.reason), ("UNIMPLEMENTED", "METHOD_UNKNOWN"), "an unknown method")
    unknown = client.call_bytes("/nowhere.v1.Nobody/Nothing", b"", kim.token)
    verdict.equal((unknown.code, unknown.reason), ("UNIMPLEMENTED", "METHOD_UNKNOWN"), "an unknown service")
    large = client.call(SIGN_UP, sign_up("x" * (5 * 1024 * 1024)))
    verdict.equal((large.code, large.reason), ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE"), "5 MiB are too large")
    verdict.that(int(large.metadata.get("limit_bytes", 0)) > 0, "and the limit is told", large)
    broken = client.call_bytes(f"/{SIGN_UP}", CUT_OFF)
    verdict.equal((broken.code, broken.reason), ("INVALID_ARGUMENT", "BODY_UNDECODABLE"), "a body that is no message")
    for scheme in ("Basic a2ltOmtpbQ==", "Bearer", "Bearer not.a.token"):
        refused = client.call_bytes(f"/{GET_ME}", b"", metadata=[("authorization", scheme)])
        verdict.equal(refused.code, "UNAUTHENTICATED", f"`{scheme}` is no token")
        verdict.that(refused.reason in ("TOKEN_MISSING", "TOKEN_INVALID"), "and the reason says which", refused)


def many_at_once(client: GrpcioClient, verdict: Verdict, kim: Person) -> None:
    """One connection carries many calls at once."""
    codes: list[str] = []

    def ask() -> None:
        codes.append(client.call(GET_ME, {}, kim.token).code)

    threads = [threading.Thread(target=ask) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict.equal(codes, ["OK"] * 64, "64 calls at once on one connection")


def sign_up(organization: str) -> dict[str, Any]:
    """A request that is good unless the organization's name is not."""
    return {
        "organizationDisplayName": organization,
        "domainLabel": f"late-{uuid.uuid4().hex[:8]}",
        "adminUser": {"userPrincipalName": "kim", "displayName": "Kim Wallace"},
        "password": PASSWORD,
        "requestId": str(uuid.uuid4()),
    }

"""Access tokens as an outsider verifies them: PyJWT, with the keys that the server publishes."""

import time

import jwt

from grpcio_client import GrpcioClient
from journey import IDENTITY, Person
from verdict import Verdict


def judge(client: GrpcioClient, verdict: Verdict, kim: Person) -> None:
    """The token is good by the published keys, short-lived, and of no use once altered."""
    published = client.call(f"{IDENTITY}.SessionService/GetJsonWebKeySet", {})
    verdict.that(published.ok and "maxAge" in published.reply, "the keys are published, with an age", published)
    keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict({"keys": published.reply["keys"]}).keys}
    header = jwt.get_unverified_header(kim.token)
    verdict.equal(header["alg"], "EdDSA", "tokens are signed with Ed25519")
    verdict.that(header["kid"] in keys, "by a key that is published", header)

    claims = jwt.decode(
        kim.token,
        keys[header["kid"]],
        algorithms=["EdDSA"],
        audience="tenure",
        issuer="tenure",
        options={"require": ["exp", "iat", "iss", "aud", "sub", "jti"]},
    )
    verdict.equal(claims["sub"], kim.name, "the signature is good, and the token tells who")
    verdict.that(0 < claims["exp"] - claims["iat"] <= 600, "for at most ten minutes", claims)
    verdict.that(claims["iat"] <= time.time() + 1, "from now on", claims)
    verdict.that("@" not in str(claims), "and no address", claims)

    head, body, signature = kim.token.split(".")
    # The middle of the signature, where every bit counts.
    middle = len(signature) // 2
    altered = signature[:middle] + ("A" if signature[middle] != "A" else "B") + signature[middle + 1 :]
    refused = client.call(f"{IDENTITY}.UserService/GetMe", {}, ".".join([head, body, altered]))
    verdict.equal((refused.code, refused.reason), ("UNAUTHENTICATED", "TOKEN_INVALID"), "an altered token is refused")
    unsigned = jwt.encode(claims, key=None, algorithm="none")
    refused = client.call(f"{IDENTITY}.UserService/GetMe", {}, unsigned)
    verdict.equal((refused.code, refused.reason), ("UNAUTHENTICATED", "TOKEN_INVALID"), "so is one without a signature")

"""Outside judges of a running server: `judge.py --address HOST:PORT --grpcurl PROGRAM`.

Starts and stops nothing; see `run` beside it.
"""

import argparse

import grpc

import conformance
import rendering
import tokens
from grpcio_client import GrpcioClient
from grpcurl_client import GrpcurlClient
from journey import Journey
from verdict import Verdict


def main() -> None:
    """Judges with one stack after the other."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--address", required=True)
    arguments.add_argument("--grpcurl", required=True)
    given = arguments.parse_args()

    grpcurl = GrpcurlClient(given.grpcurl, given.address)
    kim = Journey(grpcurl, Verdict("grpcurl"), "contoso-grpcurl").play()
    rendering.judge(grpcurl, Verdict("grpcurl"), kim)

    with grpc.insecure_channel(given.address) as channel:
        grpcio = GrpcioClient(channel)
        kim = Journey(grpcio, Verdict("grpcio"), "contoso-grpcio").play()
        conformance.judge(grpcio, Verdict("grpcio"), kim)
        tokens.judge(grpcio, Verdict("pyjwt"), kim)


if __name__ == "__main__":
    main()

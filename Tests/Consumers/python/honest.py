"""A well-behaved consumer in a process of its own: one turn without end, every token checked, until its input closes.

Prints how many tokens it has, after each; and `whole` at the end, when all of them were right.
"""

import pathlib
import sys
import threading

import echo
import grpc
from consumer import Turn
from hearth.v1 import inference_pb2 as pb
from hearth.v1 import inference_pb2_grpc as rpc

RATE = 100


def main(address, certificate=None):
    closing = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), closing.set()), daemon=True).start()
    request = echo.request("honest", max_tokens=1_000_000, tokens_per_second=RATE, ids=True)

    def requests():
        yield pb.ChatRequest(generate=request)
        closing.wait()
        yield pb.ChatRequest(cancel=pb.Cancel())

    turn = Turn()
    trusted = certificate and grpc.ssl_channel_credentials(pathlib.Path(certificate).read_bytes())
    with grpc.secure_channel(address, trusted) if trusted else grpc.insecure_channel(address) as channel:
        for event in rpc.InferenceStub(channel).Chat(requests()):
            turn.receive(event)
            print(turn.tokens, flush=True)
            if turn.is_over:
                break
    echo.check(turn, request)
    print("whole", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

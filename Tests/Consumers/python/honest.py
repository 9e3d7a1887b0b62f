"""A well-behaved consumer in a process of its own: one turn without end, every token checked, until its input closes.

    honest.py ADDRESS [--certificate FILE] [--key KEY] [--owner SOCKET] [--agent PID]

Prints "tokens COUNT MOMENT WORK" after each delta, where work is the processor time that the agent has used, in seconds;
and "whole" at the end, when all of them were right. With the owner's socket it also asks for the agent's status again and again, and prints "owner MOMENT MOMENT CONNECTIONS CALLS", asked and
answered. Moments are seconds of the monotonic clock, which all processes share.
"""

import argparse
import pathlib
import sys
import threading
import time

import echo
import grpc
import wire
from agent import processor_seconds
from consumer import Turn
from hearth.v1 import inference_pb2 as pb
from hearth.v1 import inference_pb2_grpc as rpc

RATE = 100


OWNER_EVERY_SECONDS = 0.05
OWNER_TIMEOUT_SECONDS = 60
# hearth.admin.v1.Status
OPEN_CALLS, OPEN_CONNECTIONS = 6, 7


def tell(*words):
    # One write, because two threads tell.
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def ask_as_owner(socket, closing):
    """What `hearth status` asks, without a process for each question."""
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        ask = channel.unary_unary("/hearth.admin.v1.Admin/GetStatus")
        while not closing.wait(OWNER_EVERY_SECONDS):
            asked = time.monotonic()
            answer = dict(wire.numbers(ask(b"", timeout=OWNER_TIMEOUT_SECONDS, wait_for_ready=True)))
            tell("owner", asked, time.monotonic(), answer.get(OPEN_CONNECTIONS, 0), answer.get(OPEN_CALLS, 0))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    for option in ("--certificate", "--key", "--owner", "--agent"):
        parser.add_argument(option)
    options = parser.parse_args()
    closing = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), closing.set()), daemon=True).start()
    if options.owner:
        threading.Thread(target=ask_as_owner, args=(options.owner, closing), daemon=True).start()
    request = echo.request("honest", max_tokens=1_000_000, tokens_per_second=RATE, ids=True)

    def requests():
        yield pb.ChatRequest(generate=request)
        closing.wait()
        yield pb.ChatRequest(cancel=pb.Cancel())

    turn = Turn()
    trusted = options.certificate and grpc.ssl_channel_credentials(pathlib.Path(options.certificate).read_bytes())
    metadata = [("authorization", f"Bearer {options.key}")] if options.key else []
    with (
        grpc.secure_channel(options.address, trusted) if trusted else grpc.insecure_channel(options.address)
    ) as channel:
        for event in rpc.InferenceStub(channel).Chat(requests(), metadata=metadata):
            turn.receive(event)
            tell("tokens", turn.tokens, time.monotonic(), processor_seconds(options.agent)[0] if options.agent else 0)
            if turn.is_over:
                break
    echo.check(turn, request)
    tell("whole")


if __name__ == "__main__":
    main()

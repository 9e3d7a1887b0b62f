"""A consumer's reading of a turn, strict about everything that the contract promises."""

import asyncio
import dataclasses
import inspect
import time

import grpc
import grpc.aio
from grpc_status import rpc_status

from hearth.v1 import inference_pb2 as pb
from hearth.v1 import inference_pb2_grpc as rpc

# Each channel of a test is a connection of its own.
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)
# A library that takes in 64 KiB ahead of what is read, and does not widen this when the connection is fast. gRPC's C core
# tells what was read once it is half of that.
NARROW = {"grpc.http2.bdp_probe": 0, "grpc.http2.lookahead_bytes": 65536}
STOP, LENGTH, CANCELLED = 1, 2, 3


@dataclasses.dataclass
class Turn:
    """What was received of one turn so far."""

    accepted: pb.Accepted | None = None
    queued: int = 0
    paused: list = dataclasses.field(default_factory=list)
    resumed: int = 0
    text: str = ""
    token_ids: list = dataclasses.field(default_factory=list)
    logprobs: list = dataclasses.field(default_factory=list)
    pieces: list = dataclasses.field(default_factory=list)
    tokens: int = 0
    deltas: int = 0
    finished: pb.Finished | None = None
    usage: pb.Usage | None = None
    seq: int = 0

    def receive(self, event):
        """Takes the next event; asserts its place in the turn."""
        assert self.usage is None, "an event after Usage"
        self.seq += 1
        assert event.seq == self.seq, f"event {event.seq} after {self.seq - 1}"
        kind = event.WhichOneof("event")
        if kind == "queued":
            assert self.accepted is None, "Queued after Accepted"
            self.queued += 1
        elif kind == "accepted":
            assert self.accepted is None, "Accepted twice"
            self.accepted = event.accepted
        elif kind == "delta":
            assert self.accepted is not None and self.finished is None, "Delta out of place"
            self.deltas += 1
            self.text += event.delta.text
            self.tokens += event.delta.token_count
            self.token_ids += event.delta.token_ids
            self.logprobs += event.delta.logprobs.tokens
            self.pieces += event.delta.tool_calls.pieces
        elif kind == "paused":
            assert len(self.paused) == self.resumed, "Paused twice"
            self.paused.append(event.paused)
        elif kind == "resumed":
            self.resumed += 1
            assert len(self.paused) == self.resumed, "Resumed without Paused"
        elif kind == "finished":
            assert self.finished is None, "Finished twice"
            self.finished = event.finished
        elif kind == "usage":
            assert self.finished is not None, "Usage before Finished"
            self.usage = event.usage
            assert event.usage.completion_tokens == self.tokens, "Usage is not what was received"
        else:
            raise AssertionError(f"an event of no kind: {event}")

    @property
    def is_over(self):
        return self.usage is not None


async def read_turn(call, turn=None, until=None):
    """Reads events of one turn until it is over, or until `until(turn)` holds."""
    turn = turn or Turn()
    while not turn.is_over and not (until and until(turn)):
        event = await call.read()
        if event is grpc.aio.EOF:
            raise AssertionError(f"the stream ended ({await call.code()}: {await call.details()}) in a turn: {turn}")
        turn.receive(event)
    return turn


def connect(agent, **options):
    return grpc.aio.insecure_channel(agent.address, options=[*OWN_CONNECTION, *options.items()])


async def failure(awaitable):
    """The error that a call ends with."""
    try:
        result = await awaitable
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError(f"the call succeeded: {result}")


async def first_failure(call):
    """Reads a server stream to its end, which must be an error; gives it and the events before it."""
    events = []
    try:
        async for event in call:
            events.append(event)
    except grpc.aio.AioRpcError as error:
        return error, events
    raise AssertionError(f"the call succeeded with {len(events)} events")


def detail(error, kind):
    """The one detail of this kind of an error."""
    status = rpc_status.from_call(Call(error))
    (found,) = [message for message in status.details if message.Is(kind.DESCRIPTOR)]
    message = kind()
    found.Unpack(message)
    return message


class Call:
    """What grpcio-status reads, from an error of grpc.aio."""

    def __init__(self, error):
        self.code, self.details, self.trailing_metadata = error.code, error.details, error.trailing_metadata


async def eventually(condition, what, seconds=120.0, interval=0.02):
    """Polls until `condition`, which may have to be awaited, gives something true, which is returned; fails with `what`
    after `seconds`. What `agent.wait_until` is to a test that has no tasks."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
        await asyncio.sleep(interval)


def run(coroutine, seconds=120):
    """Runs a test's coroutine, with an end to it whatever happens."""
    return asyncio.run(asyncio.wait_for(coroutine, seconds))

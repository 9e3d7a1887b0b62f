"""What a table of attacks is made of; `test_attacks.py` runs them."""

import concurrent.futures
import dataclasses
import typing

import grpc

import raw_http2 as h2
from attack import FLOOD_KIBIBYTES_MAX, connect, new_channel
from blast import Blast

OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAUTHENTICATED = 0, 3, 8, 12, 13, 16

# Streams and connections may be sent what they like.
WIDE = (
    h2.PREFACE
    + h2.settings((h2.INITIAL_WINDOW_SIZE, 0x7FFFFFFF))
    + h2.frame(h2.SETTINGS, b"", h2.ACK)
    + h2.window_update(0, 0x7FFFFFFF - 65_535)
)
GZIP = ("grpc-encoding", "gzip")


@dataclasses.dataclass
class Attack:
    name: str
    # run(agent, clock): attacks for as long as clock() is true, checks what the attacker is told, and may give a note.
    run: typing.Callable
    # What must have been counted once more at its end.
    limit: str | None = None
    # What the agent may grow by, at its worst.
    kibibytes: int = FLOOD_KIBIBYTES_MAX
    # Which agent is attacked: "open", in plaintext, or "closed", with TLS, where tokens are asked for.
    arena: str = "open"


def in_bursts(make, count=16, first=WIDE):
    """A program: so many calls at once, and as many again when something has come back. `make(stream)` gives each."""

    def program():
        yield first
        stream = 1
        while True:
            yield b"".join(make(stream + 2 * index) for index in range(count))
            yield None
            stream += 2 * count

    return program


def call_of(path, body, *fields, flags=h2.END_STREAM):
    """`make` for a call that is always the same."""
    block = h2.request(path, *fields)
    return lambda stream: h2.call(stream, block, body, flags)


def answer_to(agent, make, first=WIDE, seconds=20):
    """The grpc-status of one call, and what came with it."""
    with connect(agent) as peer:
        peer.send(first + make(1), lambda: peer.has_ended(1), seconds)
        assert peer.has_ended(1), f"no answer; GOAWAY {peer.goaways}"
        return peer.grpc_status(1), peer.fields.get(1, {})


def storm(name, make, count=16, connections=4, expect=None, reads=True, first=WIDE, **rest):
    """An attack of equal calls in bursts, of which one alone is first looked at: its status is one of `expect`."""

    def run(agent, clock):
        if expect is not None:
            # However long that takes, the attack comes after it.
            status, fields = answer_to(agent, make, first)
            assert status in expect, f"grpc-status {status}: {fields.get('grpc-message')}"
            clock.restart()
        return Blast(agent, in_bursts(make, count, first), connections, reads).run(clock)

    return Attack(name, run, **rest)


def flood(name, program, connections=4, reads=True, **rest):
    """An attack with a program of its own."""
    return Attack(name, lambda agent, clock: Blast(agent, program, connections, reads).run(clock), **rest)


def stock(name, path, payload, channels=2, expect=(OK,), **rest):
    """An attack by stock clients, who send one message after the other and keep to the windows."""

    def send(agent, clock):
        count = 0
        with new_channel(agent) as channel:
            ask = channel.unary_stream(path)
            while clock(at_least=count < 1):
                try:
                    for _ in ask(payload, timeout=30):
                        pass
                    code = OK
                except grpc.RpcError as error:
                    code = error.code().value[0]
                assert code in expect, f"grpc-status {code}"
                count += 1
        return count

    def run(agent, clock):
        with concurrent.futures.ThreadPoolExecutor(channels) as pool:
            sent = [pool.submit(send, agent, clock) for _ in range(channels)]
            return f"{sum(future.result() for future in sent)} calls"

    return Attack(name, run, **rest)

"""Peers that will not let a server go: each must be gone in time, whatever it has not read, sent or ended."""

import contextlib
import signal
import socket
import time

import echo
import pytest
import raw_http2 as h2
from agent import Agent, wait_until
from attack import CHAT, connect, generate, streams, usage
from attack_table import WIDE
from attacks_of_frames import CHECK, WATCH
from attacks_of_strangers import client_hello
from closed_agent import ClosedAgent

# Each connection takes no new calls after a second.
AGED = ["--max-connection-age", "1"]


def aged(peer, seconds=10):
    """Reads until the server has said which stream was its last."""
    peer.send(b"", lambda: peer.goaways and last_stream(peer) < 0x7FFFFFFF, seconds)
    assert peer.goaways, "no GOAWAY"


def last_stream(peer):
    (payload,) = [payload for kind, _, _, payload in peer.received if kind == h2.GOAWAY][-1:]
    return int.from_bytes(payload[:4], "big")


def test_a_client_that_said_goodbye_is_told_to_go_all_the_same():
    with Agent(options=AGED) as agent, connect(agent) as peer:
        watch = h2.call(1, h2.request(WATCH), h2.message(b""), h2.END_STREAM)
        peer.send(h2.BEGIN + watch + h2.frame(h2.GOAWAY, bytes(8)))
        aged(peer)
        assert [code for code, _ in peer.goaways] == [h2.NO_ERROR] * len(peer.goaways)


def test_calls_after_the_last_word_are_not_begun_and_end_nothing_else():
    with Agent(options=AGED) as agent, connect(agent) as peer:
        turn = echo.request("goes on", max_tokens=40, tokens_per_second=10)
        peer.send(WIDE + generate(1, turn))
        aged(peer)
        late = [index * 2 + 3 for index in range(20_000)]
        peer.send(b"".join(h2.call(stream, h2.request(CHECK), h2.message(b""), h2.END_STREAM) for stream in late))
        peer.send(b"", lambda: peer.has_ended(1), 30)
        assert peer.grpc_status(1) == 0
        assert not [stream for stream in late if peer.grpc_status(stream) is not None]
        peer.read_to_end()


@pytest.mark.waits
def test_an_answer_that_is_not_read_does_not_hold_a_connection_that_is_to_end():
    with Agent(options=AGED) as agent, connect(agent) as peer:
        turn = echo.request("unread", max_tokens=5)
        peer.send(h2.PREFACE + h2.settings((h2.INITIAL_WINDOW_SIZE, 0)) + streams(20, lambda s: generate(s, turn)))
        aged(peer)
        peer.read_to_end(150)
        wait_until(lambda: usage(agent) == (0, 0), "nothing is left")


def unwilling(agent, stack, keyless):
    """One of each kind that does not end by itself."""

    def held(bytes_):
        peer = stack.enter_context(connect(agent))
        peer.send(bytes_)
        return peer

    held(h2.BEGIN)
    held(h2.BEGIN + h2.headers(1, h2.request(CHAT)))
    held(h2.BEGIN + h2.headers(1, h2.request(CHAT), 0))
    held(h2.BEGIN + h2.headers(1, h2.request(CHAT)) + h2.frame(h2.GOAWAY, bytes(8)))
    held(h2.BEGIN + streams(20, lambda s: h2.call(s, h2.request(WATCH), h2.message(b""), h2.END_STREAM)))
    if not keyless:
        endless = echo.request("endless", max_tokens=1_000_000)
        held(h2.PREFACE + h2.settings((h2.INITIAL_WINDOW_SIZE, 0)) + streams(20, lambda s: generate(s, endless)))
        held(WIDE + streams(4, lambda s: generate(s, endless)))
        # More than there are sequences: these wait.
        held(h2.BEGIN + streams(100, lambda s: generate(s, endless)))
    host, port = agent.address.rsplit(":", 1)
    for bytes_ in (b"", h2.PREFACE[:5], h2.PREFACE, client_hello()[:100], client_hello()):
        one = stack.enter_context(socket.create_connection((host, int(port))))
        with contextlib.suppress(OSError):
            one.send(bytes_)


def test_an_agent_ends_within_its_grace_whoever_is_connected():
    for make in (lambda: Agent(options=["--grace", "2"]), lambda: ClosedAgent(options=["--grace", "2"])):
        with contextlib.ExitStack() as stack:
            agent = stack.enter_context(make())
            unwilling(agent, stack, keyless=isinstance(agent, ClosedAgent))
            began = time.monotonic()
            agent.process.send_signal(signal.SIGTERM)
            assert agent.process.wait(timeout=30) == 0
            print(f"ended after {time.monotonic() - began:.1f} s")

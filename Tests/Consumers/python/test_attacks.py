"""Attacks on `hearth serve`: each attacker is cut off with the right code, memory stays bounded, and a stream beside
the attack, on a connection of its own, goes on. Docs/limits.md lists the limits."""

import contextlib
import dataclasses
import gzip
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import typing

import grpc
import pytest
import raw_http2 as h2
from agent import Agent, resident_kibibytes, wait_until
from hearth.v1 import inference_pb2 as pb
from hearth.v1 import inference_pb2_grpc as rpc
from honest import RATE

CHAT = "/hearth.v1.Inference/Chat"
GENERATE = "/hearth.v1.Inference/Generate"

# An attack is repeated, connection after connection, until the honest stream has received so many tokens.
TOKENS_BESIDE = 20
# What the agent may grow by in a flood: buffers of a few connections and what malloc keeps. Frames are counted before
# anything is kept of them.
FLOOD_KIBIBYTES_MAX = 24 * 1024
# Docs/limits.md: heldBytesMax, and as much again as may come between two looks at it.
HELD_KIBIBYTES_MAX = 256 * 1024 + 64 * 1024


class Honest:
    """`honest.py` against an agent: a stream that must notice nothing."""

    def __init__(self, agent):
        self.count, self.lines = 0, []
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(os.path.dirname(__file__), "honest.py"), agent.address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.wait_for(3)

    def read(self):
        for line in self.process.stdout:
            self.lines = [line.strip()]
            if line.strip().isdigit():
                self.count = int(line)

    def wait_for(self, more, seconds=20):
        count = self.count
        wait_until(lambda: self.count >= count + more, f"{more} more tokens of the honest stream", seconds, 0.005)

    def finish(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0, "the honest stream was broken"
        self.reader.join()
        assert self.lines == ["whole"]


@contextlib.contextmanager
def attacked(growth_kibibytes_max=FLOOD_KIBIBYTES_MAX, agent=None):
    """An agent with an honest stream, which must be whole at the end, when nothing is left of the attack."""
    with agent or Agent() as agent:
        honest = Honest(agent)
        agent.honest = honest
        before = resident_kibibytes(agent.pid)
        yield agent
        grown = resident_kibibytes(agent.pid) - before
        print(f"resident memory {before} KiB, grown by {grown}; the honest stream has {honest.count} tokens")
        assert grown < growth_kibibytes_max
        # Whoever comes now is served at once.
        with grpc.insecure_channel(agent.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            assert rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest(), timeout=10).models
        wait_until(lambda: usage(agent) == (1, 1), "the honest stream alone is left")
        honest.finish()


def usage(agent):
    status = json.loads(agent.command_line("status", "--state", agent.state, "--json"))
    return status.get("openConnections", 0), status.get("openCalls", 0)


def times_met(agent, limit):
    """How often `hearth limits` says that a limit was met."""
    limits = json.loads(agent.command_line("limits", "--state", agent.state, "--json"))["limits"]
    (found,) = [entry for entry in limits if entry["name"] == limit]
    return int(found["timesMet"])


# --- Floods: GOAWAY ENHANCE_YOUR_CALM, with the limit's name.


@dataclasses.dataclass
class Flood:
    name: str
    limit: str
    make: typing.Callable
    words: str = ""


def streams(count, make):
    return b"".join(make(index * 2 + 1) for index in range(count))


def generate(stream):
    payload = pb.GenerateRequest(model="echo", text="flood").SerializeToString()
    block = h2.request(GENERATE)
    return h2.headers(stream, block) + h2.data(stream, h2.message(payload), h2.END_STREAM)


OPEN = h2.BEGIN + h2.headers(1, h2.request(CHAT))
UNENDED = h2.BEGIN + h2.headers(1, h2.request(CHAT), 0)
BOMB = h2.field("x", "y" * 4000, indexed=True), h2.FROM_DYNAMIC_TABLE * 15_000

FLOODS = [
    Flood("rapid reset", "resetsPerSecondMax", lambda: h2.BEGIN + streams(4000, lambda s: generate(s) + h2.reset(s))),
    Flood(
        "made-you-reset",
        "brokenStreamsPerSecondMax",
        lambda: h2.BEGIN + streams(1000, lambda s: generate(s) + h2.window_update(s, 0x7FFFFFFF)),
    ),
    Flood("resets of a stream that has ended", "lateResetsPerSecondMax", lambda: OPEN + h2.reset(1) * 20_000),
    Flood(
        "continuation", "continuationsMax", lambda: UNENDED + h2.frame(h2.CONTINUATION, h2.field("x", "y"), 0, 1) * 1000
    ),
    Flood("empty continuation", "continuationsMax", lambda: UNENDED + h2.frame(h2.CONTINUATION, b"", 0, 1) * 20_000),
    Flood(
        "hpack bomb",
        "headerListBytesMax",
        lambda: UNENDED + b"".join(h2.frame(h2.CONTINUATION, piece, 0, 1) for piece in BOMB),
    ),
    Flood(
        "hpack bomb in trailers",
        "headerListBytesMax",
        lambda: OPEN + h2.headers(1, BOMB[0], h2.END_STREAM) + h2.frame(h2.CONTINUATION, BOMB[1], 0, 1),
    ),
    Flood("settings", "settingsPerSecondMax", lambda: h2.BEGIN + h2.settings() * 20_000),
    Flood(
        "settings with many values",
        "settingsEntriesMax",
        lambda: h2.BEGIN + h2.settings(*[(0x2A00 + index, 1) for index in range(1000)]),
    ),
    Flood(
        "acknowledgements",
        "acknowledgementsPerSecondMax",
        lambda: h2.BEGIN + h2.frame(h2.PING, bytes(8), h2.ACK) * 20_000,
    ),
    Flood("ping", "pingStrikesMax", lambda: h2.BEGIN + h2.frame(h2.PING, bytes(8)) * 20_000, "too_many_pings"),
    Flood(
        "priority",
        "prioritiesPerSecondMax",
        lambda: h2.BEGIN + streams(20_000, lambda s: h2.frame(h2.PRIORITY, bytes(5), stream=s + 2)),
    ),
    Flood(
        "window updates of the connection", "windowUpdatesPerSecondMax", lambda: OPEN + h2.window_update(0, 1) * 20_000
    ),
    Flood("window updates of a stream", "windowUpdatesPerSecondMax", lambda: OPEN + h2.window_update(1, 1) * 20_000),
    Flood("empty data", "emptyDataPerSecondMax", lambda: OPEN + h2.data(1) * 20_000),
    Flood(
        "data of padding only",
        "emptyDataPerSecondMax",
        lambda: OPEN + h2.data(1, b"\xff" + bytes(255), h2.PADDED) * 5000,
    ),
    Flood(
        "data of one byte each",
        "smallDataPerSecondMax",
        lambda: OPEN + h2.data(1, h2.message(b"", length=1 << 20)) + h2.data(1, b"x") * 100_000,
    ),
    Flood("unknown frames", "otherFramesPerSecondMax", lambda: h2.BEGIN + h2.frame(0xEE, b"grease") * 20_000),
    Flood("goaway", "otherFramesPerSecondMax", lambda: OPEN + h2.frame(h2.GOAWAY, bytes(8)) * 20_000),
    Flood(
        "streams above the limit",
        "refusedStreamsPerSecondMax",
        lambda: h2.BEGIN + streams(6000, lambda s: h2.headers(s, h2.request(CHAT))),
    ),
]


@pytest.fixture(scope="module")
def flooded():
    with attacked() as agent:
        count, began = agent.honest.count, time.monotonic()
        agent.honest.wait_for(RATE)
        print(f"without an attack {(agent.honest.count - count) / (time.monotonic() - began):.0f} tokens/s")
        yield agent


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.name)
def test_a_flood_is_cut_off_by_name_and_a_stream_beside_it_goes_on(flooded, flood):
    bytes_, met = flood.make(), times_met(flooded, flood.limit)
    count, began, times = flooded.honest.count, time.monotonic(), 0
    while times < 2 or flooded.honest.count < count + TOKENS_BESIDE:
        with h2.Peer(flooded.address) as peer:
            peer.send(bytes_)
            peer.read_to_end()
            assert [code for code, _ in peer.goaways] == [h2.ENHANCE_YOUR_CALM]
            assert peer.goaways[0][1].startswith(flood.words or flood.limit + ":")
        times += 1
        assert time.monotonic() < began + 30, "the honest stream stands still"
    rate = (flooded.honest.count - count) / (time.monotonic() - began)
    print(f"{flood.name}: cut off {times} times; beside it {rate:.0f} tokens/s; {resident_kibibytes(flooded.pid)} KiB")
    assert times_met(flooded, flood.limit) == met + times


def test_streams_above_a_limit_that_the_client_has_acknowledged_end_the_connection(flooded):
    many = streams(2100, lambda s: h2.headers(s, h2.request(CHAT)))
    with h2.Peer(flooded.address) as peer:
        peer.send(h2.BEGIN + h2.frame(h2.SETTINGS, b"", h2.ACK) + many)
        peer.read_to_end()
        assert [code for code, _ in peer.goaways] == [h2.PROTOCOL_ERROR]
    assert times_met(flooded, "concurrentStreamsMax") > 0


# --- Calls that lie: a status, or the end of the connection.

CALLS = {
    "a message above the limit": (lambda s: h2.data(s, h2.message(b"x" * 1000, length=5 << 20)), 8),
    "a length that lies": (lambda s: h2.data(s, h2.message(b"x" * 10, length=0xFFFFFFFF)), 8),
    "a message that ends before its length": (
        lambda s: h2.data(s, h2.message(b"x" * 10, length=20), h2.END_STREAM),
        13,
    ),
    "half a prefix": (lambda s: h2.data(s, b"\0\0\0", h2.END_STREAM), 13),
    "garbage after a valid prefix": (lambda s: h2.data(s, h2.message(b"\xff" * 100), h2.END_STREAM), None),
    "a flag that is none": (lambda s: h2.data(s, b"\x07" + h2.message(b"x")[1:]), 13),
    "a message that is no gzip": (lambda s: h2.data(s, h2.message(b"x" * 100, compressed=True)), 13),
    "no message at all": (lambda s: h2.data(s, b"", h2.END_STREAM), None),
    "a second message": (lambda s: h2.data(s, h2.message(b"") * 2, h2.END_STREAM), None),
    "metadata above the limit": (lambda s: b"", 8),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_lies_ends_with_a_status_and_its_connection_goes_on(flooded, name):
    body, status = CALLS[name]
    more = [("grpc-encoding", "gzip")]
    if name == "metadata above the limit":
        more += [("x", "y" * 4000)] * 10
    with h2.Peer(flooded.address) as peer:
        for index, path in enumerate([GENERATE, "/hearth.v1.Inference/ListModels"] * 20):
            stream = index * 2 + 1
            block = h2.request(path, *more)
            pieces = [block[position : position + 16_000] for position in range(0, len(block), 16_000)]
            frames = h2.headers(stream, pieces[0], h2.END_HEADERS if len(pieces) == 1 else 0)
            for position, piece in enumerate(pieces[1:], 2):
                frames += h2.frame(h2.CONTINUATION, piece, h2.END_HEADERS if position == len(pieces) else 0, stream)
            peer.send((h2.BEGIN if index == 0 else b"") + frames + body(stream), lambda: peer.has_ended(stream))
            assert peer.has_ended(stream) and not peer.is_closed
            found = peer.grpc_status(stream)
            assert found == status if status is not None else found not in (None, 0), f"grpc-status {found}"
        assert not peer.goaways
    flooded.honest.wait_for(3)


def test_data_after_the_end_of_a_stream_ends_the_connection(flooded):
    for more in (h2.data(1, b"x"), h2.headers(1, h2.request(CHAT))):
        with h2.Peer(flooded.address) as peer:
            peer.send(h2.BEGIN + h2.headers(1, h2.request(CHAT)) + h2.data(1, b"", h2.END_STREAM) + more)
            peer.read_to_end()
            assert [code for code, _ in peer.goaways] == [h2.STREAM_CLOSED]


def test_a_client_that_half_closes_and_goes_leaves_nothing(flooded):
    calls = streams(200, lambda s: h2.headers(s, h2.request(CHAT), h2.END_HEADERS) + h2.data(s, b"\0\0\0\0"))
    for how in (socket.SHUT_WR, socket.SHUT_RDWR):
        with h2.Peer(flooded.address) as peer:
            peer.send(h2.BEGIN + calls)
            peer.socket.shutdown(how)
            peer.read_to_end()
    wait_until(lambda: usage(flooded) == (1, 1), "only the honest stream is left")


def test_many_gzip_bombs_meet_the_budget_of_their_connection_only(flooded):
    bomb = h2.message(gzip.compress(bytes(4 << 20)), compressed=True)
    block = h2.request("/hearth.v1.Inference/ListModels", ("grpc-encoding", "gzip"))
    met, count = times_met(flooded, "decompressedBytesPerSecondMax"), flooded.honest.count
    with h2.Peer(flooded.address) as peer:
        peer.send(h2.BEGIN)
        for index in range(60):
            stream = index * 2 + 1
            frames = h2.headers(stream, block) + h2.data(stream, bomb, h2.END_STREAM)
            peer.send(frames, lambda: peer.has_ended(stream))
        found = [peer.grpc_status(index * 2 + 1) for index in range(60)]
    assert grpc.StatusCode.RESOURCE_EXHAUSTED.value[0] in found and 0 not in found
    assert times_met(flooded, "decompressedBytesPerSecondMax") > met
    flooded.honest.wait_for(3)
    print(f"60 bombs of 4 MiB, {found.count(8)} refused unread; meanwhile {flooded.honest.count - count} tokens")


# --- Slow peers.


def half_a_handshake(address):
    """A TLS client that stops after its first message."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    peer = h2.Peer(address)
    peer.send(outgoing.read())
    return peer


def test_slow_and_silent_peers_are_closed_in_time(flooded):
    """All at once, because each takes as long as its limit: ten seconds."""
    with Agent(plaintext=False, options=["--tls"]) as secure, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(h2.Peer(flooded.address)) for _ in range(20)]
        preface = [stack.enter_context(h2.Peer(flooded.address)) for _ in range(20)]
        for peer in preface:
            peer.send(h2.PREFACE[:10])
        handshakes = [stack.enter_context(half_a_handshake(secure.address)) for _ in range(20)]
        handshakes += [stack.enter_context(h2.Peer(secure.address)) for _ in range(20)]
        slow = [stack.enter_context(h2.Peer(flooded.address)) for _ in range(20)]
        for peer in slow:
            # A header block that comes byte by byte: what comes does not prolong the time.
            block = h2.field("x", "y" * 10_000)
            peer.send(UNENDED + h2.frame(h2.CONTINUATION, block, h2.END_HEADERS, 1)[: -len(block)])
            peer.left = block
        began, count = time.monotonic(), flooded.honest.count
        open_ = [*silent, *preface, *handshakes, *slow]
        while open_:
            assert time.monotonic() < began + 20, f"{len(open_)} slow peers are still connected"
            for peer in slow:
                peer.send(peer.left[:1])
                peer.left = peer.left[1:]
            for peer in open_:
                peer.step(0)
            open_ = [peer for peer in open_ if not peer.is_closed]
            time.sleep(0.2)
        for peer in slow:
            assert [code for code, _ in peer.goaways] == [h2.ENHANCE_YOUR_CALM]
            assert peer.goaways[0][1].startswith("headersMilliseconds")
        assert times_met(flooded, "handshakeMilliseconds") >= 40 and times_met(secure, "handshakeMilliseconds") == 40
        assert times_met(flooded, "headersMilliseconds") == 20
        rate = (flooded.honest.count - count) / (time.monotonic() - began)
        print(f"100 slow peers: all gone after {time.monotonic() - began:.1f} s; beside them {rate:.0f} tokens/s")
        assert flooded.honest.count > count + TOKENS_BESIDE


# --- Memory.

READERS, STREAMS_OF_A_READER = int(os.environ.get("HEARTH_SLOW_READERS", "8")), 32
# A stream that is not read holds what its window and its high mark allow, in a buffer of 96 KiB, and what a call costs.
READER_KIBIBYTES = 128


def test_readers_whose_windows_stay_closed_hold_a_fixed_amount_each():
    """The backend stops computing for them; a stream that reads goes on."""
    many = {"models": [{"id": "echo", "maxSequences": READERS * STREAMS_OF_A_READER + 8}]}
    limit = FLOOD_KIBIBYTES_MAX + READERS * STREAMS_OF_A_READER * READER_KIBIBYTES

    def turn(stream):
        payload = pb.GenerateRequest(model="echo", text=f"unread {stream}")
        payload.stopping.max_tokens = 1_000_000
        body = h2.message(payload.SerializeToString())
        return h2.headers(stream, h2.request(GENERATE)) + h2.data(stream, body, h2.END_STREAM)

    with attacked(limit, Agent({"echo": many})) as agent, contextlib.ExitStack() as stack:
        before = resident_kibibytes(agent.pid)
        for _ in range(READERS):
            peer = stack.enter_context(h2.Peer(agent.address))
            peer.send(h2.PREFACE + h2.settings((h2.INITIAL_WINDOW_SIZE, 0)) + streams(STREAMS_OF_A_READER, turn))
        calls = READERS * STREAMS_OF_A_READER + 1
        wait_until(lambda: usage(agent) == (READERS + 1, calls), f"{calls} calls")
        held, deadline = 0, time.monotonic() + 20
        while (now := resident_kibibytes(agent.pid)) > held + 512:
            held = now
            assert time.monotonic() < deadline, "memory goes on growing"
            agent.honest.wait_for(RATE // 2)
        grown = resident_kibibytes(agent.pid) - before
        print(f"{calls - 1} streams that are not read hold {grown} KiB together")
        assert grown < limit


def test_what_all_peers_make_the_agent_hold_is_bounded():
    """Metadata costs its sender a few bytes (HPACK) and the agent 28 KiB for each of 2,000 streams of a connection."""
    block = h2.request(CHAT) + h2.field("x", "y" * 4000, indexed=True) + h2.FROM_DYNAMIC_TABLE * 6
    again = h2.request(CHAT) + h2.FROM_DYNAMIC_TABLE * 7
    hoard = h2.headers(1, block) + b"".join(h2.headers(index * 2 + 3, again) for index in range(1999))
    with attacked(HELD_KIBIBYTES_MAX) as agent, contextlib.ExitStack() as stack:
        peers = []
        while not times_met(agent, "heldBytesMax"):
            assert len(peers) < 10, "the agent holds more than it may"
            peers.append(stack.enter_context(h2.Peer(agent.address)))
            peers[-1].send(h2.BEGIN + hoard)
            assert resident_kibibytes(agent.pid) < HELD_KIBIBYTES_MAX
            agent.honest.wait_for(5)
        for peer in peers:
            peer.step()
        ended = [peer for peer in peers if peer.goaways]
        for peer in ended:
            assert [code for code, _ in peer.goaways] == [h2.ENHANCE_YOUR_CALM]
            assert peer.goaways[0][1].startswith("heldBytesMax")
        assert ended
        print(f"{len(ended)} of {len(peers)} peers ended at {resident_kibibytes(agent.pid)} KiB")


# --- Descriptors.

DESCRIPTORS = 256


@pytest.mark.parametrize("idle", [False, True], ids=["silent", "idle"])
def test_connections_cannot_use_up_the_descriptors(idle):
    """Three times as many as descriptors: who is connected goes on, who comes is served, and the owner is heard."""
    agent = Agent()
    agent.command = ["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}", *agent.command]
    with attacked(agent=agent), contextlib.ExitStack() as stack:
        peers = []
        for index in range(3 * DESCRIPTORS):
            peers.append(stack.enter_context(h2.Peer(agent.address)))
            if idle:
                peers[-1].send(h2.BEGIN)
            if index % 64 == 0:
                agent.honest.wait_for(2)
        with grpc.insecure_channel(agent.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            assert rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest(), timeout=15).models
        connections, calls = usage(agent)
        assert calls == 1 and 32 < connections < DESCRIPTORS
        descriptors = len(os.listdir(f"/proc/{agent.pid}/fd"))
        assert descriptors < DESCRIPTORS
        assert times_met(agent, "connectionsMax") > 0
        print(f"{len(peers)} connections: {connections} are kept with {descriptors} of {DESCRIPTORS} descriptors")
        agent.honest.wait_for(5)

"""Attacks by calls that are begun, left, cancelled or not read, and by connections that are."""

import contextlib
import gzip
import json
import socket
import struct
import time

import echo
import raw_http2 as h2
import wire
from agent import resident_kibibytes
from attack import CHAT, FLOOD_KIBIBYTES_MAX, GENERATE, HELD_KIBIBYTES_MAX, connect, generate, streams
from attack_table import GZIP, INVALID_ARGUMENT, OK, RESOURCE_EXHAUSTED, WIDE, Attack, call_of, flood, stock, storm
from attacks_of_frames import CHECK, WATCH
from attacks_of_messages import COUNT_TOKENS, EMBED, LIST_MODELS, REFLECTION, RERANK, TOKENIZE
from blast import Blast
from hearth.v1 import inference_pb2 as pb

FAILED_PRECONDITION, DEADLINE_EXCEEDED = 9, 4
LIST = "/grpc.health.v1.Health/List"

# The text of each token of these is as long as one may be, so that little computing fills much.
LONG_WORDS = " ".join(["w" * 1000] * 256)
# What each of these streams holds: its high mark is 64 KiB, and its buffer grows to 96 KiB at once.
FULL_STREAMS, FULL_STREAM_KIBIBYTES = 240, 96

CANCEL = h2.message(wire.field(2, b""))


def chat(request):
    return h2.message(pb.ChatRequest(generate=request).SerializeToString())


def schema_request():
    """One with a schema of almost 64 KiB."""
    numbers = {f"name{number}": {"type": "integer", "minimum": number, "maximum": 7 * number + 3} for number in range(950)}
    request = echo.request("form", max_tokens=1)
    request.format.json_schema = json.dumps({"type": "object", "properties": numbers, "additionalProperties": True})
    return request


def long_answer():
    return echo.request(LONG_WORDS, echo=1)


def turn_seconds(agent):
    """How long such a turn takes when it is read."""
    with connect(agent) as peer:
        began = time.monotonic()
        peer.send(WIDE + generate(1, long_answer()), lambda: peer.has_ended(1))
        assert peer.grpc_status(1) == OK
        return time.monotonic() - began


def never_reading_chat(agent, clock):
    """One stream that is not read, and one turn after the other on it, each once the one before must be over."""
    pause, calls, most = turn_seconds(agent) * 1.5 + 0.01, 0, 0
    body = h2.message(gzip.compress(wire.field(1, long_answer().SerializeToString())), compressed=True)
    clock.restart()
    with connect(agent) as peer:
        peer.send(h2.BEGIN)
        while clock(at_least=calls < 1) and not peer.is_closed:
            stream, turns = calls * 2 + 1, 0
            calls += 1
            peer.send(h2.headers(stream, h2.request(CHAT, GZIP)))
            # As many as fill a stream's buffer, of 12 MiB.
            while turns < 60 and not peer.is_closed and not peer.has_ended(stream):
                peer.send(h2.data(stream, body))
                turns += 1
                until = time.monotonic() + pause
                while time.monotonic() < until:
                    peer.step(0.01)
            most = max(most, turns)
        peer.send(h2.reset(1))
    return f"{calls} streams, at most {most} turns on one"


def endless(stream):
    """A call that goes on until it is given up."""
    return generate(stream, echo.request("endless", max_tokens=1_000_000))


def windows_opened_at_once(agent, clock):
    """Streams that hold as much as they may, all of whose windows open in one frame; nothing is read."""
    rounds, settings = 0, h2.settings((h2.INITIAL_WINDOW_SIZE, 0))
    while clock(at_least=rounds < 1):
        with connect(agent) as peer:
            peer.send(h2.PREFACE + settings + streams(FULL_STREAMS, endless))
            # Until no more is computed for any of them.
            held, looks = 0, 0
            while looks < 3:
                now, until = resident_kibibytes(agent.pid), time.monotonic() + 0.4
                held, looks = (now, 0) if now > held + 256 else (held, looks + 1)
                while time.monotonic() < until:
                    peer.step(0.02)
            peer.send(h2.window_update(0, 0x7FFFFFFF - 65_535) + h2.settings((h2.INITIAL_WINDOW_SIZE, 0x7FFFFFFF)))
            time.sleep(0.3)  # The agent sends, and the peer reads nothing.
        rounds += 1
    return f"{rounds} times {FULL_STREAMS} streams"


def waiting(stream):
    return generate(stream, echo.request("waits", max_tokens=1_000_000, tokens_per_second=1))


def filled_queue():
    """A program: more calls than the model has sequences and places in its queue."""
    yield h2.BEGIN + h2.frame(h2.SETTINGS, b"", h2.ACK)
    yield streams(1_900, waiting)
    while True:
        yield None


def unread():
    """A program: answers without end into a socket that is not read."""
    yield WIDE + streams(32, endless)
    while True:
        yield None


def after_goaway():
    """A program: says that it goes, and goes on."""
    yield WIDE + h2.headers(1, h2.request(CHAT))
    yield h2.frame(h2.GOAWAY, bytes(8))
    yield streams(1_900, lambda s: h2.call(s + 2, h2.request(CHECK), h2.message(b""), h2.END_STREAM))
    yield None


def opened_and_reset(agent, clock):
    """Connections that are gone before they are accepted."""
    host, port = agent.address.rsplit(":", 1)
    count = 0
    while clock():
        batch = []
        for _ in range(32):
            with contextlib.suppress(OSError):
                batch.append(socket.create_connection((host, int(port)), timeout=5))
        for one in batch:
            if count % 2:
                with contextlib.suppress(OSError):
                    one.send(h2.BEGIN + h2.headers(1, h2.request(CHAT)))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()
            count += 1
    return f"{count} connections"


def half_closed(agent, clock):
    """Clients that have said all, and read nothing."""
    count = 0
    with contextlib.ExitStack() as stack:
        while clock():
            peer = stack.enter_context(connect(agent))
            with contextlib.suppress(OSError):
                peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                peer.socket.send(WIDE + streams(8, lambda s: generate(s, echo.request("half", max_tokens=50))))
                peer.socket.shutdown(socket.SHUT_WR)
            count += 1
            if count % 50 == 0:
                stack.close()
    return f"{count} connections"


def cancelled(stream):
    """A turn, its cancel, and another behind it, which comes too soon or not."""
    request = chat(echo.request("cancelled", max_tokens=100_000))
    return h2.call(stream, h2.request(CHAT), request + CANCEL * 3, h2.END_STREAM)


def given_up(stream):
    return generate(stream, echo.request("given up", max_tokens=100_000)) + h2.reset(stream)


def watched(stream):
    return h2.call(stream, h2.request(WATCH), h2.message(wire.field(1, f"s{stream}")), h2.END_STREAM) + h2.reset(stream)


SYMBOL = h2.message(wire.field(4, "hearth.v1.Inference"))

# As many as there are numbers in an answer.
MANY_INPUTS = pb.EmbedRequest(
    model="echo", inputs=[pb.EmbedInput(text="word " * 100) for _ in range(1_000)]
).SerializeToString()
RANKING = pb.RerankRequest(model="echo", query="who?", documents=["one", "two"]).SerializeToString()


def embed_given_up(stream):
    return h2.call(stream, h2.request(EMBED), h2.message(MANY_INPUTS), h2.END_STREAM) + h2.reset(stream)


CALLS = [
    Attack("a Chat that is not read, turn after turn", never_reading_chat),
    Attack(
        "windows of full streams opened at once",
        windows_opened_at_once,
        kibibytes=12 * 1024 + FULL_STREAMS * FULL_STREAM_KIBIBYTES,
    ),
    flood("answers into a socket that is not read", unread, reads=False),
    flood("a full queue", filled_queue, connections=1, limit="queuedRequestsMax", kibibytes=HELD_KIBIBYTES_MAX),
    flood("calls after the client's own GOAWAY", after_goaway),
    Attack("connections that are reset at once", opened_and_reset),
    Attack("half-closed connections that read nothing", half_closed),
    storm("turns that are cancelled", cancelled, expect=(OK,)),
    storm(
        "turns that come too soon",
        call_of(CHAT, chat(echo.request("a", max_tokens=1000)) + chat(echo.request("b", max_tokens=1000))),
        expect=(FAILED_PRECONDITION,),
    ),
    storm("turns that are given up", given_up, count=64, limit=None),
    storm(
        "turns whose deadline is over at once",
        lambda s: generate(s, echo.request("late", max_tokens=100_000), ("grpc-timeout", "1n")),
        expect=(DEADLINE_EXCEEDED,),
    ),
    storm("short turns", lambda s: generate(s, echo.request("short", max_tokens=1)), expect=(OK,)),
    stock(
        "CountTokens of long texts",
        COUNT_TOKENS,
        echo.request("word " * 200_000).SerializeToString(),
        expect=(OK, RESOURCE_EXHAUSTED),
        kibibytes=HELD_KIBIBYTES_MAX,
    ),
    stock(
        "schemas of 64 KiB",
        GENERATE,
        schema_request().SerializeToString(),
        expect=(OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED),
        kibibytes=HELD_KIBIBYTES_MAX,
    ),
    stock(
        "Tokenize of texts",
        TOKENIZE,
        echo.request("word " * 3_000).SerializeToString(),
        expect=(OK, RESOURCE_EXHAUSTED),
        kibibytes=HELD_KIBIBYTES_MAX,
    ),
    stock("Embed of many texts", EMBED, MANY_INPUTS, expect=(OK, RESOURCE_EXHAUSTED), kibibytes=HELD_KIBIBYTES_MAX),
    storm("Embed that is given up", embed_given_up, count=32),
    storm("Rerank of a word", call_of(RERANK, h2.message(RANKING)), count=100, expect=(OK,)),
    storm(
        "CountTokens of a word",
        call_of(COUNT_TOKENS, h2.message(echo.request("word").SerializeToString())),
        count=500,
        expect=(OK,),
    ),
    storm("ListModels", call_of(LIST_MODELS, h2.message(b"")), count=64, expect=(OK,)),
    storm("health: Check", call_of(CHECK, h2.message(b"")), count=64, expect=(OK,)),
    storm("health: List", call_of(LIST, h2.message(b"")), count=64, expect=(OK,)),
    storm("health: Watch, given up", watched, count=64),
    storm("reflection of a file", call_of(REFLECTION, SYMBOL * 50), count=2, expect=(OK,)),
    storm("reflection that is not read", call_of(REFLECTION, SYMBOL * 3000), count=16, first=h2.BEGIN),
]

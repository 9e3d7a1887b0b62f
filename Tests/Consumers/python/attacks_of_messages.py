"""Attacks by what messages hold: few bytes on the wire, much work or memory behind them."""

import gzip

import raw_http2 as h2
import wire
from attack import CHAT, GENERATE, HELD_KIBIBYTES_MAX
from attack_table import GZIP, INTERNAL, INVALID_ARGUMENT, OK, RESOURCE_EXHAUSTED, call_of, stock, storm

COUNT_TOKENS = "/hearth.v1.Inference/CountTokens"
TOKENIZE = "/hearth.v1.Inference/Tokenize"
EMBED = "/hearth.v1.Inference/Embed"
RERANK = "/hearth.v1.Inference/Rerank"
LIST_MODELS = "/hearth.v1.Inference/ListModels"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"

# A message may have 4 MiB.
FULL = (4 << 20) - 64
BEFORE = wire.field(2, "echo") + wire.field(4, "a prompt")
STOPPING, SAMPLING, OUTPUT, QUEUE_TIME, OPTIONS = 7, 6, 8, 9, 100

UNKNOWN_GROUP = wire.tag(3000, wire.GROUP) + wire.tag(3000, wire.GROUP_END)
DEEP_GROUPS = wire.tag(3000, wire.GROUP) * (FULL // 6) + wire.tag(3000, wire.GROUP_END) * (FULL // 6)



def json_object(size):
    return b'{"a":[' + b"[]," * ((size - 12) // 3) + b"0]}"


# What a request is filled with, 4 MiB of it each.
FILLS = {
    "a tool's schema, 1 MiB": BEFORE
    + wire.field(12, wire.field(1, wire.field(1, "t") + wire.field(3, json_object((1 << 20) - 64)))),
    "a call's arguments": wire.field(2, "echo")
    + wire.field(
        3,
        wire.field(
            1,
            wire.field(1, 3)
            + wire.field(6, wire.field(1, "a") + wire.field(2, "t") + wire.field(3, json_object(FULL - 128))),
        ),
    ),
    "empty entries of backend_options": wire.filled(wire.field(OPTIONS, b""), FULL, BEFORE),
    "empty messages": wire.field(2, "echo") + wire.field(3, wire.filled(wire.field(1, b""), FULL - 32)),
    "messages with an empty content": wire.field(2, "echo")
    + wire.field(3, wire.filled(wire.field(1, wire.field(2, b"")), FULL - 32)),
    "empty stops": BEFORE + wire.field(STOPPING, wire.filled(wire.field(2, b""), FULL - 64)),
    "stoppings with an empty stop each": wire.filled(wire.field(STOPPING, wire.field(2, b"")), FULL, BEFORE),
    "stop_token_ids, packed": BEFORE + wire.field(STOPPING, wire.field(3, bytes(FULL - 64))),
    "stop_token_ids, unpacked": BEFORE + wire.field(STOPPING, wire.filled(wire.field(3, 1), FULL - 64)),
    "empty samplings": wire.filled(wire.field(SAMPLING, b""), FULL, BEFORE),
    "empty queue times": wire.filled(wire.field(QUEUE_TIME, b""), FULL, BEFORE),
    "unknown fields": wire.filled(wire.field(3000, 0), FULL, BEFORE),
    "unknown empty fields of bytes": wire.filled(wire.field(15, b""), FULL, BEFORE),
    "unknown groups": wire.filled(UNKNOWN_GROUP, FULL, BEFORE),
    "the same prompt again and again": wire.filled(wire.field(4, "x"), FULL, BEFORE),
    "one kind of prompt and another, in turn": wire.filled(
        wire.field(4, "x") + wire.field(5, wire.field(1, 1)), FULL, BEFORE
    ),
    "the same request_id again and again": wire.filled(wire.field(1, b""), FULL, BEFORE),
}
TOKEN_IDS = {
    "token_ids, packed": wire.field(2, "echo") + wire.field(5, wire.field(1, bytes(FULL - 64))),
    "token_ids, unpacked": wire.field(2, "echo") + wire.field(5, wire.filled(wire.field(1, 1), FULL - 64)),
    "token_ids in empty messages": wire.filled(wire.field(5, b""), FULL, wire.field(2, "echo") + wire.field(5, b"\x0a\1\1")),
}

# The model is field 1 of both.
EMBEDS = {
    "empty inputs": wire.filled(wire.field(2, b""), FULL, wire.field(1, "echo")),
    "inputs of a letter": wire.filled(wire.field(2, wire.field(4, "x")), FULL, wire.field(1, "echo")),
    "one input, again and again": wire.field(1, "echo") + wire.field(2, wire.filled(wire.field(4, "x"), FULL - 32)),
    "an input of one word": wire.field(1, "echo") + wire.field(2, wire.field(4, "x" * (FULL - 64))),
    "unknown fields of an input": wire.field(1, "echo")
    + wire.field(2, wire.filled(wire.field(100, b""), FULL - 64, wire.field(4, "x"))),
}
RERANKS = {
    "empty documents": wire.filled(wire.field(3, b""), FULL, wire.field(1, "echo") + wire.field(2, "q")),
    "documents of a letter": wire.filled(wire.field(3, "x"), FULL, wire.field(1, "echo") + wire.field(2, "q")),
}

# What no number may do, whatever it is: each a request of its own.
EXTREMES = [
    wire.field(QUEUE_TIME, wire.field(1, (1 << 63) - 1)),
    wire.field(QUEUE_TIME, wire.field(1, 1 << 63)),
    wire.field(QUEUE_TIME, wire.field(1, (1 << 63) - 1) + wire.field(2, (1 << 31) - 1)),
    wire.field(QUEUE_TIME, wire.field(2, (1 << 31) - 1)),
    wire.field(QUEUE_TIME, wire.field(2, (1 << 64) - (1 << 31))),
    wire.field(STOPPING, wire.field(1, 0xFFFFFFFF) + wire.field(4, 1)),
    wire.field(STOPPING, wire.field(1, (1 << 64) - 1)),
    wire.field(STOPPING, wire.field(1, 0)),
    wire.field(STOPPING, wire.field(3, 0xFFFFFFFF)),
    wire.field(SAMPLING, wire.field(3, 0xFFFFFFFF)),
    wire.field(SAMPLING, wire.field(8, (1 << 64) - 1)),
    *[
        wire.field(SAMPLING, wire.tag(number, wire.FIXED32) + bits)
        for number in (1, 2, 4, 5, 6, 7)
        for bits in (b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\0\0\x80\xff", b"\xff\xff\x7f\x7f", b"\1\0\0\0", b"\0\0\0\x80")
    ],
    wire.field(OPTIONS, wire.field(1, "tokens_per_second") + wire.field(2, "nan")),
    wire.field(OPTIONS, wire.field(1, "\0") + wire.field(2, "\0")),
    wire.field(5, wire.field(1, 0xFFFFFFFF)),
    wire.field(5, wire.field(1, (1 << 64) - 1)),
    wire.field(3, wire.field(1, wire.field(1, (1 << 64) - 1))),
    wire.field(3, wire.field(1, wire.field(1, 0xFFFFFFFF) + wire.field(2, "x"))),
    wire.field(1, "\0" * 128),
    wire.field(1, "\U0010ffff" * 32),
    wire.field(2, "\n" * 1000),
    wire.field(2, "echo\0"),
]

# Bytes that are no message.
BROKEN = [
    wire.tag(4, wire.BYTES) + wire.varint((1 << 64) - 1) + b"x",
    wire.tag(4, wire.BYTES) + wire.varint(1 << 31) + b"x",
    wire.tag(4, wire.BYTES) + b"\xff" * 11,
    wire.tag(4, 6) + b"x",
    wire.tag(4, 7) + b"x",
    wire.tag(0, wire.BYTES) + b"\1x",
    wire.varint((1 << 35) - 1) + b"x",
    wire.tag(4, wire.GROUP_END),
    wire.tag(3000, wire.GROUP) + wire.tag(3001, wire.GROUP_END),
    wire.tag(3000, wire.GROUP),
    wire.field(4, b"\xed\xa0\x80"),
    wire.field(4, b"\xf4\x90\x80\x80"),
    wire.field(4, b"\xc0\x80"),
    wire.field(3, wire.field(1, wire.field(2, b"\xff"))),
    wire.field(OPTIONS, wire.field(1, b"\xff")),
    wire.field(STOPPING, wire.field(3, b"\x80" * 64)),
    wire.field(5, wire.field(1, b"\xff" * 100)),
]


def zipped(payload):
    return h2.message(gzip.compress(payload), compressed=True)


def as_chat(payload):
    return wire.field(1, payload)


def each_of(payloads, path=GENERATE):
    """`make` for calls that take their turns."""
    block, bodies = h2.request(path), [h2.message(payload) for payload in payloads]
    return lambda stream: h2.call(stream, block, bodies[stream // 2 % len(bodies)], h2.END_STREAM)


# Which of them are no requests, and which are requests after all, is for the decoder to say: all are answered.
ANY = (OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, INTERNAL)


def filled(name, payload, path=GENERATE):
    make = call_of(path, zipped(payload), GZIP)
    return storm(f"gzip: {name}", make, count=2, expect=ANY, kibibytes=HELD_KIBIBYTES_MAX)


MESSAGES = [
    *[filled(name, payload) for name, payload in FILLS.items()],
    filled("groups in groups", DEEP_GROUPS),
    *[filled(name, payload, COUNT_TOKENS) for name, payload in TOKEN_IDS.items()],
    *[filled(name, payload, EMBED) for name, payload in EMBEDS.items()],
    *[filled(name, payload, RERANK) for name, payload in RERANKS.items()],
    filled("generates in one message of Chat", wire.filled(as_chat(b""), FULL), CHAT),
    filled("cancels in one message of Chat", wire.filled(wire.field(2, b""), FULL), CHAT),
    *[
        stock(f"plain: {name}", GENERATE, FILLS[name], expect=ANY, kibibytes=HELD_KIBIBYTES_MAX)
        for name in ("empty entries of backend_options", "empty messages", "unknown fields")
    ],
    filled("names of files to reflect, 4 MiB each", wire.field(3, "x" * (FULL - 8)), REFLECTION),
    filled("unknown fields of ListModels", wire.filled(wire.field(3000, 0), FULL), LIST_MODELS),
    storm("numbers at their ends", each_of([BEFORE + extreme for extreme in EXTREMES]), count=len(EXTREMES)),
    storm("bytes that are no message", each_of(BROKEN), expect=(INVALID_ARGUMENT,)),
    storm(
        "Chat of nothing but cancels",
        call_of(CHAT, h2.message(wire.field(2, b"")) * 2000),
        count=4,
        expect=(OK, RESOURCE_EXHAUSTED),
    ),
    storm("Chat of empty messages", call_of(CHAT, h2.message(b"") * 3000), count=4, expect=(INVALID_ARGUMENT,)),
    storm(
        "reflection of empty messages",
        call_of(REFLECTION, h2.message(b"") * 3000),
        count=2,
        expect=(OK, RESOURCE_EXHAUSTED),
        # What waits in the windows of the connections.
        kibibytes=HELD_KIBIBYTES_MAX,
    ),
    storm(
        "gzip of nothing, again and again",
        call_of(REFLECTION, zipped(b"") * 200, GZIP),
        count=2,
        expect=(OK, RESOURCE_EXHAUSTED),
    ),
]

"""Attacks by frames and header blocks, below the limits whose floods `test_floods.py` tries, on several connections at once."""

import raw_http2 as h2
from attack import CHAT, GENERATE, connect, streams
from attack_table import (
    INTERNAL,
    RESOURCE_EXHAUSTED,
    UNIMPLEMENTED,
    WIDE,
    Attack,
    answer_to,
    call_of,
    flood,
    in_bursts,
    storm,
)
from blast import Blast

MISSING = "/hearth.v1.Missing/Call"
CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 1, 2, 3, 5, 6


def in_frames(stream, block, flags=h2.END_STREAM):
    pieces = [block[position : position + 16_384] for position in range(0, len(block), 16_384)]
    frames = [
        h2.frame(
            h2.CONTINUATION if index else h2.HEADERS,
            piece,
            (0 if index else flags) | (h2.END_HEADERS if index == len(pieces) - 1 else 0),
            stream,
        )
        for index, piece in enumerate(pieces)
    ]
    return b"".join(frames)


def blocks(block):
    """A program: header blocks without end."""
    return in_bursts(lambda stream: in_frames(stream, block))


# 33 bytes each as HPACK counts them, so that 3,700 of them stay below four times `headerListBytesMax`.
SMALL_ENTRY = h2.field("a", "", indexed=True)
REFERENCES = h2.request(MISSING) + SMALL_ENTRY + h2.FROM_DYNAMIC_TABLE * 3_700
# Each goes into the table, which holds 4 KiB, and takes the place of others.
EVICTIONS = h2.request(MISSING) + b"".join(h2.field(f"k{index}", "v" * 200, indexed=True) for index in range(110))
JUST_TOO_LARGE = h2.request(MISSING) + h2.field("x", "y" * 4000, indexed=True) + h2.FROM_DYNAMIC_TABLE * 20


def one_large_field(name):
    """gRPC's own clients send this when a user's metadata is that long: it costs the call, not the connection."""

    first = "/" if name == ":path" else "y"

    def run(agent, clock):
        for size in (60 << 10, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 96 << 10, 127 << 10):
            with connect(agent) as peer:
                peer.send(WIDE + in_frames(1, head({name: first + "y" * (size - 1)})), lambda: peer.has_ended(1))
                assert not peer.goaways and peer.grpc_status(1) == RESOURCE_EXHAUSTED, f"{size} bytes: {peer.goaways}"
                assert "headerListBytesMax" in peer.fields[1]["grpc-message"]
                peer.send(h2.call(3, h2.request(CHECK), h2.message(b""), h2.END_STREAM), lambda: peer.has_ended(3))
                assert peer.grpc_status(3) == 0, "the connection goes on"
        for size in (128 << 10, 200 << 10):
            with connect(agent) as peer:
                peer.send(WIDE + in_frames(1, head({name: first + "y" * size})), lambda: peer.goaways)
                ((code, reason),) = peer.goaways
                assert code == h2.ENHANCE_YOUR_CALM and reason.startswith("headerBlockBytesMax"), reason
        return Blast(agent, blocks(head({name: first + "y" * (100 << 10)})), 4).run(clock)

    return run


def blank_ends(agent, clock):
    """gRPC: blanks at the ends of values are no part of them."""
    for value in (" x", "x ", "\tx\t", " ", "  x y  "):
        make = call_of(CHECK, h2.message(b""), ("x", value))
        status, _ = answer_to(agent, make)
        assert status == 0, f"{value!r}: grpc-status {status}"
    return Blast(agent, in_bursts(call_of(CHECK, h2.message(b""), ("x", " x "))), 2).run(clock)


def below_limits():
    """A program: for each kind of frame, about as many each second as a connection may send."""
    yield h2.BEGIN + h2.headers(1, h2.request(CHAT))
    yield h2.settings(*[(0x2A00 + index, 1) for index in range(32)]) * 90
    yield streams(900, lambda s: h2.frame(h2.PRIORITY, bytes(5), stream=s + 2))
    yield h2.window_update(0, 1) * 2000 + h2.window_update(1, 1) * 2000
    yield h2.data(1) * 900
    yield h2.data(1, h2.message(b"", length=1 << 20))
    yield h2.data(1, b"x") * 19_000
    yield h2.frame(0xEE, b"grease" * 2000) * 90


def tables():
    """A program: the size of the table for our header blocks, up and down."""
    yield h2.PREFACE + h2.settings()
    for _ in range(90):
        yield h2.settings(*[(HEADER_TABLE_SIZE, 0 if index % 2 else 0xFFFFFFFF) for index in range(32)])


def windows_of_many_streams():
    """A program: 2,000 streams whose windows all change with each SETTINGS."""
    yield h2.PREFACE + h2.settings((h2.INITIAL_WINDOW_SIZE, 0)) + streams(2000, lambda s: h2.headers(s, h2.request(CHAT)))
    for _ in range(90):
        yield h2.settings(*[(h2.INITIAL_WINDOW_SIZE, index) for index in range(32)])


def violations():
    """A connection's last words, each of which it must be the only one to suffer from."""
    begin = h2.BEGIN
    open_ = begin + h2.headers(1, h2.request(CHAT))
    return [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(512),
        b"\0" * 4096,
        h2.PREFACE[:20] + b"x" * 100,
        h2.PREFACE + h2.frame(h2.PING, bytes(8)),
        h2.PREFACE + h2.headers(1, h2.request(CHAT)),
        begin + h2.frame(h2.PUSH, bytes(4) + h2.request(CHAT), h2.END_HEADERS, 1),
        begin + h2.headers(2, h2.request(CHAT)),
        begin + h2.headers(0, h2.request(CHAT)),
        begin + h2.data(0, b"x"),
        begin + h2.data(1, b"x"),
        begin + h2.window_update(0, 0),
        begin + h2.window_update(0, 0x7FFFFFFF) * 2,
        open_ + h2.window_update(1, 0),
        open_ + h2.window_update(1, 0x7FFFFFFF),
        begin + h2.frame(h2.SETTINGS, b"x"),
        begin + h2.frame(h2.SETTINGS, bytes(6), h2.ACK),
        begin + h2.frame(h2.SETTINGS, b"", 0, 1),
        begin + h2.settings((h2.INITIAL_WINDOW_SIZE, 0x80000000)),
        begin + h2.settings((MAX_FRAME_SIZE, 0)),
        begin + h2.settings((ENABLE_PUSH, 2)),
        begin + h2.frame(h2.PING, b"x"),
        begin + h2.frame(h2.GOAWAY, b"x"),
        begin + h2.frame(h2.RESET, bytes(4), 0, 1),
        begin + h2.frame(h2.PRIORITY, b"x", 0, 1),
        begin + h2.frame(h2.CONTINUATION, b"", h2.END_HEADERS, 1),
        begin + h2.headers(1, b"", 0) + h2.data(1),
        begin + h2.headers(1, b"", 0) + h2.frame(h2.CONTINUATION, b"", h2.END_HEADERS, 3),
        begin + h2.headers(1, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
        begin + h2.headers(1, b"\x3f\xff\xff\xff\x7f"),
        begin + h2.headers(1, h2.request(CHAT) + b"\xfe"),
        begin + h2.headers(1, b"\0\x7f\xff\xff\xff\x0f"),
        begin + h2.headers(1, b"\0\x81\xff\x00"),
        begin + h2.headers(1, bytes([0xFF]) + h2.request(CHAT), h2.END_HEADERS | h2.PADDED),
        open_ + h2.data(1, b"\xff", h2.PADDED),
        open_ + h2.headers(1, h2.request(CHAT)),
        begin + h2.headers(5, h2.request(CHAT)) + h2.headers(3, h2.request(CHAT)),
        begin + h2.frame(h2.DATA, b"", 0, 1)[:3] + b"\0\1\0\0\0\1" + b"x" * 100,
        b"\xff\xff\xff" + h2.PREFACE,
        begin + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + bytes(5000),
        begin + b"\xff\xff\xff\xee\x00\x00\x00\x00\x01" + bytes(5000),
    ]


def all_violations(agent, clock):
    count = 0
    while clock() or count < len(violations()):
        for bytes_ in violations():
            with connect(agent) as peer:
                peer.send(bytes_)
                peer.step(0)
            count += 1
        if not clock():
            break
    return f"{count} connections"


ODD_HEADS = [
    {"grpc-timeout": value}
    for value in ("", "n", "0n", "1n", "-1S", "+1S", "99999999H", "999999999H", "1", "1x", "1S1S", "٣S", " 1S", "1e3S")
] + [
    {":path": "/"},
    {":path": "//"},
    {":path": "/hearth.v1.Inference/"},
    {":path": "/hearth.v1.Inference/Chat/"},
    {":path": "/" + "a" * 20_000 + "/b"},
    {":path": "/%00/%00"},
    {":path": "*"},
    {":method": "GET"},
    {":method": "CONNECT"},
    {":method": ""},
    {":scheme": "\0"},
    {"content-type": "application/grpc-web"},
    {"content-type": ""},
    {"te": "gzip"},
    {"te": None},
    {"grpc-encoding": "snappy"},
    {"grpc-encoding": "x" * 8000},
    {"grpc-accept-encoding": "," * 8000},
    {"grpc-accept-encoding": "gzip;q=0"},
    {"x-bin": "!"},
    {"x-bin": "A"},
    {"x-bin": "," * 127},
    {"x-bin": "," * 8000},
    {"x-bin": "A" * 8000},
    {"x": "\x7f"},
    {"x": "é"},
    {"X": "upper"},
    {"": "empty"},
    {"x": ""},
    {"connection": "close"},
    {"transfer-encoding": "chunked"},
    {"content-length": "-1"},
    {"content-length": "18446744073709551616"},
    {"content-length": "3"},
    {"host": "a,b"},
    {"cookie": "a=b; " * 500},
    {"authorization": "Bearer " + "x" * 8000},
    {"authorization": "Bearer hearth_" + "é" * 43},
]


def head(changes):
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": CHECK,
        ":authority": "test",
        "content-type": "application/grpc",
        "te": "trailers",
    } | changes
    return b"".join(literal(name, value) for name, value in fields.items() if value is not None)


def literal(name, value):
    name, value = name.encode(), value.encode()
    return b"\0" + h2.integer(len(name)) + name + h2.integer(len(value)) + value


def odd_head(stream):
    block = head(ODD_HEADS[stream // 2 % len(ODD_HEADS)])
    return in_frames(stream, block, 0) + h2.data(stream, h2.message(b""), h2.END_STREAM)


def trailers(stream):
    """A call whose end is a header list, as large as may be."""
    block = h2.request(CHECK)
    return (
        h2.headers(stream, block)
        + h2.data(stream, h2.message(b""))
        + in_frames(stream, h2.field("x", "y" * 4000) * 7, h2.END_STREAM)
    )


def padded(stream):
    """As much padding as there may be, around as little as there may be."""
    block, body = h2.request(CHECK), h2.message(b"")
    return (
        h2.frame(h2.HEADERS, b"\xff" + block + bytes(255), h2.END_HEADERS | h2.PADDED, stream)
        + b"".join(h2.data(stream, b"\xff" + body[index : index + 1] + bytes(255), h2.PADDED) for index in range(5))
        + h2.data(stream, b"", h2.END_STREAM)
    )


def piecemeal(stream):
    """A header block and a message in as many pieces as may be, some of them empty."""
    block, body = h2.request(CHECK), h2.message(b"")
    pieces = [block[:1], b"", block[1:2], b"", block[2:3], b"", block[3:4], block[4:]]
    return (
        h2.headers(stream, b"", 0)
        + b"".join(
            h2.frame(h2.CONTINUATION, piece, h2.END_HEADERS if index == 7 else 0, stream)
            for index, piece in enumerate(pieces)
        )
        + b"".join(h2.data(stream, body[index : index + 1]) for index in range(5))
        + h2.data(stream, b"", h2.END_STREAM)
    )


def abandoned(stream):
    """Refused before it has said all, so that the server resets it: the client never ends it."""
    return h2.headers(stream, h2.request(MISSING))


def raced(stream):
    """Given up at once, when what it asked for has begun."""
    return h2.headers(stream, h2.request(CHECK)) + h2.data(stream, h2.message(b""), h2.END_STREAM) + h2.reset(stream)


FRAMES = [
    flood(
        "header blocks of 3,700 references, from one connection",
        blocks(REFERENCES),
        connections=1,
        limit="refusedHeaderListsPerSecondMax",
    ),
    flood("header blocks of 3,700 references", blocks(REFERENCES), connections=16),
    flood("header blocks of 3,700 references, from 256 connections", blocks(REFERENCES), connections=256),
    flood("header blocks of 110 entries that evict", blocks(EVICTIONS), connections=32),
    flood("header blocks of 110 entries that evict, from 256 connections", blocks(EVICTIONS), connections=256),
    flood("header lists just above the limit", blocks(JUST_TOO_LARGE), connections=16),
    Attack("one metadata field of 60 to 200 KiB", one_large_field("x")),
    Attack("a path of 60 to 200 KiB", one_large_field(":path")),
    Attack("an authority of 60 to 200 KiB", one_large_field(":authority")),
    Attack("values with blanks at their ends", blank_ends),
    storm("calls of what there is not", call_of(MISSING, h2.message(b"")), count=64, expect=(UNIMPLEMENTED,)),
    storm("calls of nothing that are not ended", abandoned, count=64),
    storm("heads that are odd", odd_head, count=len(ODD_HEADS)),
    storm("trailers as large as headers", trailers, expect=(0, INTERNAL)),
    storm("padding", padded, expect=(0,)),
    storm("headers and messages in pieces", piecemeal, expect=(0,)),
    storm("resets that race with answers", raced, count=64),
    flood("each kind of frame as often as may be", below_limits, connections=8),
    flood("tables of headers, up and down", tables, connections=8),
    flood("windows of 2,000 streams, again and again", windows_of_many_streams, connections=4),
    Attack("what HTTP/2 forbids", all_violations),
]

"""Floods of frames against `hearth serve`: GOAWAY ENHANCE_YOUR_CALM with the limit's name, in plaintext and over TLS."""

import dataclasses
import time
import typing

import pytest
import raw_http2 as h2
from agent import Agent
from attack import CHAT, TOKENS_MEASURED, attacked, connect, flooded, generate, streams, times_met

__all__ = ["flooded"]


@dataclasses.dataclass
class Flood:
    name: str
    limit: str
    make: typing.Callable
    words: str = ""
    # What is sent after that, again and again until the other end closes: a budget per second is not used up by an
    # attacker that is slow.
    again: bytes = b""


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
        lambda: OPEN + h2.data(1, h2.message(b"", length=4 << 20)),
        again=h2.data(1, b"x") * 50_000,
    ),
    Flood("unknown frames", "otherFramesPerSecondMax", lambda: h2.BEGIN + h2.frame(0xEE, b"grease") * 20_000),
    Flood("goaway", "otherFramesPerSecondMax", lambda: OPEN + h2.frame(h2.GOAWAY, bytes(8)) * 20_000),
    Flood(
        "streams above the limit",
        "refusedStreamsPerSecondMax",
        lambda: h2.BEGIN + streams(6000, lambda s: h2.headers(s, h2.request(CHAT))),
    ),
]

OVER_TLS = ["rapid reset", "empty continuation", "hpack bomb", "settings", "window updates of the connection"]


@pytest.fixture(scope="module")
def flooded_over_tls():
    with attacked(agent=Agent(plaintext=False, options=["--tls"])) as agent:
        yield agent


def cut_off(agent, flood):
    """Attacks, connection after connection, until the honest stream has had time to suffer."""
    bytes_, met, times = flood.make(), times_met(agent, flood.limit), 0
    with agent.honest.keeps_its_rate():
        count, deadline = agent.honest.count, time.monotonic() + 30
        while times < 2 or agent.honest.count < count + TOKENS_MEASURED:
            with connect(agent) as peer:
                peer.send(bytes_)
                while flood.again and not peer.is_closed:
                    peer.send(flood.again)
                peer.read_to_end()
                assert [code for code, _ in peer.goaways] == [h2.ENHANCE_YOUR_CALM]
                assert peer.goaways[0][1].startswith(flood.words or flood.limit + ":")
            times += 1
            assert time.monotonic() < deadline, "the honest stream stands still"
    print(f"{flood.name}: cut off {times} times")
    assert times_met(agent, flood.limit) == met + times


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.name)
def test_a_flood_is_cut_off_by_name_and_a_stream_beside_it_keeps_its_rate(flooded, flood):
    cut_off(flooded, flood)


@pytest.mark.parametrize("flood", [flood for flood in FLOODS if flood.name in OVER_TLS], ids=lambda flood: flood.name)
def test_tls_makes_no_difference(flooded_over_tls, flood):
    cut_off(flooded_over_tls, flood)


def test_streams_above_a_limit_that_the_client_has_acknowledged_end_the_connection(flooded):
    many = streams(2100, lambda s: h2.headers(s, h2.request(CHAT)))
    with connect(flooded) as peer:
        peer.send(h2.BEGIN + h2.frame(h2.SETTINGS, b"", h2.ACK) + many)
        peer.read_to_end()
        assert [code for code, _ in peer.goaways] == [h2.PROTOCOL_ERROR]
    assert times_met(flooded, "concurrentStreamsMax") > 0

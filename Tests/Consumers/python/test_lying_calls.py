"""Calls that lie to `hearth serve`: each ends with a status or with its connection, and what is honest goes on."""

import socket

import pytest
import raw_http2 as h2
from agent import wait_until
from attack import CHAT, GENERATE, connect, flooded, streams, usage

__all__ = ["flooded"]

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
    "metadata of too many fields": (lambda s: b"", 8),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_lies_ends_with_a_status_and_its_connection_goes_on(flooded, name):
    body, status = CALLS[name]
    more = [("grpc-encoding", "gzip")]
    if name == "metadata above the limit":
        more += [("x", "y" * 4000)] * 10
    if name == "metadata of too many fields":
        more += [("x", "y")] * 129
    with connect(flooded) as peer:
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
        with connect(flooded) as peer:
            peer.send(h2.BEGIN + h2.headers(1, h2.request(CHAT)) + h2.data(1, b"", h2.END_STREAM) + more)
            peer.read_to_end()
            assert [code for code, _ in peer.goaways] == [h2.STREAM_CLOSED]


def test_a_client_that_half_closes_and_goes_leaves_nothing(flooded):
    calls = streams(200, lambda s: h2.headers(s, h2.request(CHAT), h2.END_HEADERS) + h2.data(s, b"\0\0\0\0"))
    for how in (socket.SHUT_WR, socket.SHUT_RDWR):
        with connect(flooded) as peer:
            peer.send(h2.BEGIN + calls)
            peer.socket.shutdown(how)
            peer.read_to_end()
    wait_until(lambda: usage(flooded) == (1, 1), "only the honest stream is left")

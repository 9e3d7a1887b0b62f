"""Both ends of the agent in one process: the backend on the socket that a launcher gets, and the consumer of its tokens.

So each token can be made to wait until the one before has come, and no clock has a part in it.
"""

import socket
import struct

import wire

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, WINDOW_UPDATE = 0, 1, 4, 8
INITIAL_WINDOW_SIZE, WINDOW_MAX, WINDOW_DEFAULT = 4, (1 << 31) - 1, 65_535
END_STREAM, END_HEADERS = 0x1, 0x4
LOAD, START, CREDIT = 3, 4, 5
CONTEXT_TOKENS = 1 << 20


def fields(message):
    """The fields of a message, by number; of several the last. Numbers and bytes only."""
    at, found = 0, {}
    while at < len(message):
        key, at = wire.varint_at(message, at)
        value, at = wire.varint_at(message, at)
        if key & 7 == wire.BYTES:
            value, at = message[at : at + value], at + value
        found[key >> 3] = value
    return found


class Backend:
    """The backend contract, length first (Protos/hearth/backend/v1/backend.proto)."""

    def __init__(self, descriptor):
        self.socket = socket.socket(fileno=descriptor)
        self.socket.setblocking(True)
        self.rest = b""
        self.credit = 0

    def frame(self, body, content):
        envelope = wire.field(body, content)
        return struct.pack(">I", len(envelope)) + envelope

    def say(self, body, content):
        self.socket.sendall(self.frame(body, content))

    def hear(self):
        """The next message: its number in the envelope, and its fields."""
        while len(self.rest) < 4 or len(self.rest) < 4 + int.from_bytes(self.rest[:4], "big"):
            piece = self.socket.recv(1 << 16)
            assert piece, "the agent has closed the backend's socket"
            self.rest += piece
        end = 4 + int.from_bytes(self.rest[:4], "big")
        ((body, content),) = fields(self.rest[4:end]).items()
        self.rest = self.rest[end:]
        return body, fields(content)

    def await_message(self, wanted):
        while True:
            body, content = self.hear()
            if body == wanted:
                return content

    def begin(self):
        # Its completions could go on in another process, as those of most backends.
        names = wire.field(3, "peer") + wire.field(4, "1") + wire.field(5, "continue")
        self.say(1, wire.field(1, 1) + wire.field(2, 2) + names)
        load = self.await_message(LOAD)
        self.say(3, wire.field(1, load.get(4) or CONTEXT_TOKENS) + wire.field(2, 1))

    def await_start(self):
        self.credit = self.await_message(START).get(2, 0)

    def await_credit(self, tokens):
        while self.credit < tokens:
            self.credit += self.await_message(CREDIT).get(2, 0)

    def tokens(self, count):
        """So many tokens, an envelope each, in one piece."""
        run = wire.field(2, wire.varint(1_000)) + wire.field(3, " word")
        self.credit -= count
        self.socket.sendall(self.frame(4, wire.field(1, run)) * count)


class Consumer:
    """A client whose windows are as large as they can be (RFC 9113): it says nothing once it has asked."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.rest = b""
        self.messages = b""

    @staticmethod
    def frame(kind, payload=b"", flags=0, stream=0):
        return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload

    def ask(self, request):
        names = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/hearth.v1.Inference/Generate"),
            (":authority", "peer"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ]
        block = b"".join(
            b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode() for name, value in names
        )
        message = struct.pack(">BI", 0, len(request)) + request
        self.socket.sendall(
            PREFACE
            + self.frame(SETTINGS, struct.pack(">HI", INITIAL_WINDOW_SIZE, WINDOW_MAX))
            + self.frame(WINDOW_UPDATE, struct.pack(">I", WINDOW_MAX - WINDOW_DEFAULT))
            + self.frame(HEADERS, block, END_HEADERS, 1)
            + self.frame(DATA, message, END_STREAM, 1)
        )

    def await_deltas(self, count):
        """Reads until so many events that are deltas have come."""
        while count > 0:
            piece = self.socket.recv(1 << 20)
            assert piece, "the agent has closed the consumer's connection"
            self.rest += piece
            self.take_frames()
            count -= self.take_deltas()
        assert count == 0, f"{-count} deltas more than tokens"

    def take_frames(self):
        while len(self.rest) >= 9:
            end = 9 + int.from_bytes(self.rest[:3], "big")
            if len(self.rest) < end:
                return
            if self.rest[3] == DATA:
                self.messages += self.rest[9:end]
            self.rest = self.rest[end:]

    def take_deltas(self):
        found = at = 0
        while len(self.messages) - at >= 5:
            end = at + 5 + int.from_bytes(self.messages[at + 1 : at + 5], "big")
            if len(self.messages) < end:
                break
            # ChatEvent.delta is field 4.
            found += 4 in fields(self.messages[at + 5 : end])
            at = end
        self.messages = self.messages[at:]
        return found


def run(path, tokens, at_once, done):
    """Sends so many tokens, `at_once` together, and goes on when they have come; then ends."""
    backend = Backend(3)
    backend.begin()
    consumer = Consumer(path)
    consumer.ask(wire.field(4, "hello"))
    backend.await_start()
    for _ in range(tokens // at_once):
        backend.await_credit(at_once)
        backend.tokens(at_once)
        consumer.await_deltas(at_once)
    with open(done, "w") as file:
        file.write(str(tokens // at_once * at_once))

"""HTTP/2 frame by frame (RFC 9113), for peers that misbehave: what no library would send, and all that came back."""

import select
import socket
import ssl
import struct
import time

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
INITIAL_WINDOW_SIZE = 4
NO_ERROR, PROTOCOL_ERROR, STREAM_CLOSED, REFUSED_STREAM, ENHANCE_YOUR_CALM = 0, 1, 5, 7, 11
FROM_DYNAMIC_TABLE = bytes([0x80 | 62])


def frame(kind, payload=b"", flags=0, stream=0):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*values):
    return frame(SETTINGS, b"".join(struct.pack(">HI", *value) for value in values))


def window_update(stream, count):
    return frame(WINDOW_UPDATE, struct.pack(">I", count), stream=stream)


def reset(stream):
    return frame(RESET, struct.pack(">I", 8), stream=stream)


def integer(value, first=0, prefix=7):
    """RFC 7541, section 5.1."""
    most = (1 << prefix) - 1
    if value < most:
        return bytes([first | value])
    out, value = [first | most], value - most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(name, value, indexed=False):
    """A literal (RFC 7541, sections 6.2.1 and 6.2.2)."""
    name, value = name.encode(), value.encode()
    return bytes([0x40 if indexed else 0]) + integer(len(name)) + name + integer(len(value)) + value


def request(path, *more):
    """The header block of a call."""
    fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "test"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *more,
    ]
    return b"".join(field(*pair) for pair in fields)


def headers(stream, block, flags=END_HEADERS):
    return frame(HEADERS, block, flags, stream)


def data(stream, payload=b"", flags=0):
    return frame(DATA, payload, flags, stream)


def call(stream, block, body, flags=0):
    """A call with its body, in DATA frames of the size that every peer accepts."""
    pieces = [body[position : position + 16_384] for position in range(0, len(body), 16_384)]
    last = len(pieces) - 1
    return headers(stream, block) + b"".join(
        data(stream, piece, flags if index == last else 0) for index, piece in enumerate(pieces)
    )


def message(payload, compressed=False, length=None):
    """gRPC's prefix and a message; `length` is what the prefix says."""
    return struct.pack(">BI", compressed, len(payload) if length is None else length) + payload


BEGIN = PREFACE + settings()


class Peer:
    """A connection that sends what it is told, and keeps what came back: whole frames, (type, flags, stream, payload)."""

    def __init__(self, address, tls=False):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        if tls:
            context = ssl._create_unverified_context()
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.socket.setblocking(False)
        self.unsent, self.received, self.rest, self.is_closed = b"", [], b"", False
        self.decoder, self.fields = hpack.Decoder(), {}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()

    def step(self, seconds=0.05):
        """Sends what can be sent and reads what is there."""
        readable, writable, _ = select.select([self.socket], [self.socket] if self.unsent else [], [], seconds)
        if writable:
            try:
                self.unsent = self.unsent[self.socket.send(self.unsent[:65536]) :]
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                # The other end has closed; what it said before is still there to be read.
                self.unsent = b""
        # What TLS has already taken from the socket is not seen by select.
        while readable and not self.is_closed:
            try:
                piece = self.socket.recv(1 << 18)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except (ConnectionResetError, ssl.SSLError):
                piece = b""
            self.is_closed = not piece
            self.rest += piece
            self.take_frames()
            readable = isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()

    def take_frames(self):
        position = 0
        while len(self.rest) - position >= 9:
            length = int.from_bytes(self.rest[position : position + 3], "big")
            if len(self.rest) - position < 9 + length:
                break
            kind, flags, stream = struct.unpack(">BBI", self.rest[position + 3 : position + 9])
            payload = self.rest[position + 9 : position + 9 + length]
            self.received.append((kind, flags, stream, payload))
            if kind == HEADERS:
                self.fields.setdefault(stream, {}).update(self.decoder.decode(payload))
            position += 9 + length
        self.rest = self.rest[position:]

    def send(self, bytes_, until=None, seconds=20):
        """Sends and reads until all is sent and `until()` holds, or until the other end closes."""
        self.unsent += bytes_
        deadline = time.monotonic() + seconds
        while not self.is_closed and (self.unsent or (until and not until())):
            assert time.monotonic() < deadline, f"after {seconds} s the other end has neither answered nor closed"
            self.step()

    def read_to_end(self, seconds=20):
        self.send(b"", lambda: False, seconds)

    @property
    def goaways(self):
        """Code and debug data of each GOAWAY."""
        return [
            (struct.unpack(">I", payload[4:8])[0], payload[8:].decode())
            for kind, _, _, payload in self.received
            if kind == GOAWAY
        ]

    @property
    def resets(self):
        """Stream and code of each RST_STREAM."""
        return [
            (stream, struct.unpack(">I", payload)[0]) for kind, _, stream, payload in self.received if kind == RESET
        ]

    def has_ended(self, stream):
        """Whether the other end has said all on a stream, or reset it."""
        return any(
            number == stream and (kind == RESET or (kind in (DATA, HEADERS) and flags & END_STREAM))
            for kind, flags, number, _ in self.received
        )

    def grpc_status(self, stream):
        """The grpc-status that a call ended with; None when it has none."""
        status = self.fields.get(stream, {}).get("grpc-status")
        return None if status is None else int(status)

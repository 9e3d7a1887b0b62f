"""Connections that send what they are told as fast as it is taken, and read or do not: an attacker with little effort.

Nothing of what comes back is looked at. A connection whose program has come to its end is closed once the other end has
been silent for a moment, and a new one takes its place.
"""

import contextlib
import errno
import select
import socket
import ssl
import time

import raw_http2 as h2

# What a connection has ready to be sent, before its program is asked for more.
AHEAD_BYTES = 256 << 10
SILENCE_SECONDS = 0.1
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Line:
    """One connection. `program` gives bytes, or None to wait for something to come back."""

    def __init__(self, address, program, tls, reads):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl._create_unverified_context()
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.socket.setblocking(False)
        self.program, self.reads = iter(program), reads
        self.unsent, self.waits, self.is_over = memoryview(b""), False, False
        self.last_heard = time.monotonic()

    @property
    def wants_to_send(self):
        if not self.unsent and not self.waits and not self.is_over:
            pieces = []
            while sum(map(len, pieces)) < AHEAD_BYTES and not self.waits and not self.is_over:
                piece = next(self.program, b"")
                self.waits, self.is_over = piece is None, piece == b""
                pieces.append(piece or b"")
            self.unsent = memoryview(b"".join(pieces))
        return bool(self.unsent)

    def step(self, readable, writable):
        """What was sent; None when the other end has closed."""
        count = 0
        try:
            if writable and self.unsent:
                with contextlib.suppress(*WOULD_BLOCK):
                    count = self.socket.send(self.unsent[: 64 << 10])
                    self.unsent = self.unsent[count:]
            if readable and self.reads:
                with contextlib.suppress(*WOULD_BLOCK):
                    while True:
                        if not self.socket.recv(256 << 10):
                            return None
                        self.waits, self.last_heard = False, time.monotonic()
        except (ConnectionError, ssl.SSLError):
            return None
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
            return None
        return count


class Blast:
    """Some connections with the same program until `clock` says that it is over; counts what was done."""

    def __init__(self, agent, program, connections=1, reads=True):
        self.address, self.tls = agent.address, "--tls" in agent.command
        self.program, self.reads, self.wanted = program, reads, connections
        self.lines, self.sent, self.opened, self.closed = {}, 0, 0, 0

    def run(self, clock):
        try:
            while clock():
                self.step()
        finally:
            for line in self.lines.values():
                line.socket.close()
        return f"{self.opened} connections, {self.closed} of them cut off, {self.sent >> 10} KiB"

    def open(self):
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            line = Line(self.address, self.program(), self.tls, self.reads)
            self.lines[line.socket.fileno()] = line
            self.opened += 1

    def step(self):
        while len(self.lines) < self.wanted:
            before = len(self.lines)
            self.open()
            if len(self.lines) == before:
                break
        poll = select.poll()
        for descriptor, line in self.lines.items():
            poll.register(descriptor, (select.POLLIN if line.reads else 0) | (select.POLLOUT if line.wants_to_send else 0))
        now = time.monotonic()
        for descriptor, events in poll.poll(20):
            line = self.lines[descriptor]
            count = line.step(events & (select.POLLIN | select.POLLHUP | select.POLLERR), events & select.POLLOUT)
            if count is None:
                self.closed += 1
                self.drop(descriptor)
            else:
                self.sent += count
        for descriptor, line in list(self.lines.items()):
            if line.is_over and not line.unsent and line.reads and now - line.last_heard > SILENCE_SECONDS:
                self.drop(descriptor)

    def drop(self, descriptor):
        self.lines.pop(descriptor).socket.close()


def calls(path, body, *fields, flags=h2.END_STREAM, first=h2.BEGIN, limit=None, block=None):
    """A program: one call after the other on a connection, each whole, all at once."""
    block, count = block or h2.request(path, *fields), 0

    def program():
        yield first
        stream = 1
        while limit is None or stream < limit * 2:
            yield h2.call(stream, block, body, flags)
            stream += 2

    return program

"""A backend in plain Python, without any library: counts 1, 2, 3, ... as tokens. Run by CPython inside the sandbox, as the
policy `python` allows it. Its varints stay below 128 where it writes them by hand."""

import socket
import struct
import sys


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(data):
    """What a message holds: (number, value) pairs, value a number or bytes."""
    at = 0

    def take():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    while at < len(data):
        key = take()
        value = take()
        if key & 7 == 2:
            value, at = data[at : at + value], at + value
        yield key >> 3, value


agent = socket.socket(fileno=3)


def send(number, body):
    envelope = field(number, body)
    agent.sendall(struct.pack(">I", len(envelope)) + envelope)


def receive():
    def exactly(count):
        data = b""
        while len(data) < count:
            more = agent.recv(count - len(data))
            if not more:
                sys.exit(0)
            data += more
        return data

    (length,) = struct.unpack(">I", exactly(4))
    return next(fields(exactly(length)))


tokens_sent = 0
send(1, field(1, 1) + field(2, 1) + field(3, b"counting") + field(4, sys.argv[1].encode()))
while True:
    number, body = receive()
    values = dict(fields(body)) if isinstance(body, bytes) else {}
    if number == 3:  # Load
        send(3, field(1, 1000) + field(2, 1))
    elif number == 4:  # Start
        sequence, count = values.get(1, 0), min(values[2], 20)
        for token in range(1, count + 1):
            run = field(1, sequence) + field(2, varint(token)) + field(3, f"{token} ".encode())
            if token == count:
                run += field(4, field(1, 2) + field(4, 1))
            send(4, field(1, run))
            tokens_sent += 1
    elif number == 8:  # Ping
        send(6, field(1, values.get(1, 0)) + field(2, tokens_sent) + field(3, tokens_sent))
    elif number == 9:  # Shutdown
        sys.exit(0)

"""What passes from one process of an agent to another, as Sources/Agent/HandOver/ParcelSocket.swift has it."""

import array
import os
import socket
import struct

import grpc
import raw_http2
from wire import field

HELLO, LISTENER, BACKEND, TURN, END, TAKEN, GIVEN, FORGET, FAREWELL, RELAY = range(1, 11)
MARK, VERSION, HEADER = 0x43525048, 1, "=IIIIQQI"


def parcel(kind, key=0, message=b"", descriptors=0):
    return struct.pack(HEADER, MARK, VERSION, kind, 0, key, len(message), descriptors) + message


def kind_of(datagram):
    return struct.unpack_from("=III", datagram)[2]


class ScriptedSuccessor:
    """A new agent that a test plays: it asks the one that runs to pass everything on, and goes as far as it is told."""

    # Where it can break off.
    PLACES = ["nothing", "hello", "listeners", "calls", "backends"]

    def __init__(self, agent):
        path = agent.state / "take-over.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(path))
            path.chmod(0o666)
            listener.listen()
            with grpc.insecure_channel(f"unix:{agent.state}/admin.sock") as channel:
                ask = channel.unary_unary("/hearth.admin.v1.Admin/HandOver")
                ask(field(1, os.getpid()) + field(2, str(path)), timeout=60)
            self.line, _ = listener.accept()
        path.unlink()
        self.line.settimeout(60)
        self.came = []

    def receive(self):
        """The kind of the next parcel; None once the agent has closed its end. Its descriptors are closed."""
        datagram, descriptors, _, _ = socket.recv_fds(self.line, 1 << 16, 64)
        for descriptor in descriptors:
            os.close(descriptor)
        if not datagram:
            return None
        self.came.append(kind_of(datagram))
        return self.came[-1]

    def receive_to(self, kind):
        while self.receive() != kind:
            assert self.came[-1] in (LISTENER, BACKEND), self.came

    def say(self, kind, message=b"", descriptors=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        self.line.sendmsg([parcel(kind, 0, message, len(descriptors))], rights)

    def come_to(self, place):
        """Says and hears all that leads there."""
        place = self.PLACES.index(place)
        if place >= 1:
            assert self.receive() == HELLO
        if place >= 2:
            self.receive_to(END)
            assert self.came.count(LISTENER) >= 3
        if place >= 3:
            self.calls, given = socket.socketpair()
            self.say(RELAY, descriptors=[given.fileno()])
            given.close()
        if place >= 4:
            self.calls.sendall(raw_http2.settings())
            self.receive_to(END)
            assert BACKEND in self.came

    def close(self):
        self.line.close()
        if hasattr(self, "calls"):
            self.calls.close()

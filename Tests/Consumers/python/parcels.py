"""What passes from one process of an agent to another, as Sources/Agent/HandOver/ParcelSocket.swift has it."""

import array
import concurrent.futures
import os
import socket
import struct
import threading

import grpc
import raw_http2
from wire import field, varint_at

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
    place = 0

    def __init__(self, agent, keeps=False):
        # What came, with its descriptors, where it keeps these.
        self.keeps, self.kept, self.came = keeps, [], []
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

    def receive(self):
        """The kind of the next parcel."""
        datagram, descriptors, _, _ = socket.recv_fds(self.line, 1 << 16, 64)
        assert datagram, "the agent has closed its end"
        self.came.append(kind_of(datagram))
        self.kept.append((datagram, descriptors))
        if not self.keeps:
            self.close_kept()
        return self.came[-1]

    def pass_on(self, line):
        """Gives what was kept to another one."""
        for datagram, descriptors in self.kept:
            socket.send_fds(line, [datagram], descriptors)
        self.close_kept()

    def close_kept(self):
        for _, descriptors in self.kept:
            for descriptor in descriptors:
                os.close(descriptor)
        self.kept = []

    def receive_to(self, kind):
        while self.receive() != kind:
            assert self.came[-1] in (LISTENER, BACKEND), self.came

    def say(self, kind, message=b"", descriptors=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        self.line.sendmsg([parcel(kind, 0, message, len(descriptors))], rights)

    def come_to(self, place):
        """Says and hears all that leads there from where it is."""
        for step in self.PLACES[self.place + 1 : self.PLACES.index(place) + 1]:
            self.place += 1
            if step == "hello":
                assert self.receive() == HELLO
            elif step == "listeners":
                self.receive_to(END)
                assert self.came.count(LISTENER) >= 2
            elif step == "calls":
                self.calls, given = socket.socketpair()
                self.say(RELAY, descriptors=[given.fileno()])
                given.close()
            else:
                self.calls.sendall(raw_http2.settings())
                self.receive_to(END)
                assert BACKEND in self.came

    def close(self):
        self.close_kept()
        self.line.close()
        if hasattr(self, "calls"):
            self.calls.close()


class ScriptedPredecessor:
    """An agent that makes way, as one that takes its place sees it: a test plays it in front of the one that runs."""

    def __init__(self, agent):
        self.address, self.aside = agent.state / "admin.sock", agent.state / "aside.sock"
        with grpc.insecure_channel(f"unix:{self.address}") as channel:
            status = channel.unary_unary("/hearth.admin.v1.Admin/GetStatus")(b"", timeout=60)
        os.rename(self.address, self.aside)
        self.line, self.is_asked = None, threading.Event()
        answers = {"GetStatus": lambda _request, _context: status, "HandOver": self.hand_over}
        handlers = {name: grpc.unary_unary_rpc_method_handler(answer) for name, answer in answers.items()}
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("hearth.admin.v1.Admin", handlers)])
        assert self.server.add_insecure_port(f"unix:{self.address}")
        self.address.chmod(0o666)
        self.server.start()

    def hand_over(self, request, _):
        # The process, and behind it the path.
        _, at = varint_at(request, 1)
        count, at = varint_at(request, at + 1)
        self.line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.line.settimeout(60)
        self.line.connect(request[at : at + count].decode())
        self.is_asked.set()
        return b""

    def hear(self, kind):
        datagram, descriptors, _, _ = socket.recv_fds(self.line, 1 << 16, 64)
        assert datagram and kind_of(datagram) == kind
        for descriptor in descriptors:
            os.close(descriptor)

    def step_aside(self):
        """The agent that runs has its address again."""
        self.server.stop(0).wait()
        os.rename(self.aside, self.address)

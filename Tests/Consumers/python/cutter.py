"""A proxy of one address whose connections can be cut, and held without a sign, as a network does that goes away."""

import socket
import struct
import threading


class Cutter:
    """Passes bytes on, both ways, while it is up. Entered, it listens on `address`."""

    def __init__(self, to):
        self.to = to
        self.pairs, self.lock = [], threading.Lock()
        self.is_down = False
        # Set: bytes pass.
        self.passing = threading.Event()
        self.passing.set()

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.passing.set()
        self.cut()

    def accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            if self.is_down:
                reset(near)
                continue
            far = socket.create_connection(self.to.rsplit(":", 1))
            with self.lock:
                self.pairs.append((near, far))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(one, other), daemon=True).start()

    def carry(self, one, other):
        try:
            while piece := one.recv(1 << 16):
                self.passing.wait()
                other.sendall(piece)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self, stay_down=False):
        """Cuts all connections; returns their number. `stay_down`: further ones are cut at once, until `up`."""
        self.is_down = stay_down
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for each in pair:
                reset(each)
        return len(pairs)

    def up(self):
        self.is_down = False

    def hold(self):
        """The connections that there are, and all others, carry nothing on until `release`."""
        self.passing.clear()

    def release(self):
        self.passing.set()


def reset(connection):
    """Ends a connection with RST, which no reader takes for an end (socket(7): SO_LINGER)."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()

"""Attacks by those who may not call: handshakes of TLS, and calls without a key or with a wrong one."""

import contextlib
import shutil
import socket
import ssl
import subprocess

import raw_http2 as h2
from attack import CHAT, GENERATE
from attack_table import GZIP, UNAUTHENTICATED, Attack, call_of, storm
from attacks_of_calls import opened_and_reset
from attacks_of_frames import CHECK
from attacks_of_messages import COUNT_TOKENS, FILLS, zipped

UNKNOWN = ("authorization", "Bearer hearth_" + "A" * 43)


def client_hello(name="localhost"):
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def connected(agent):
    host, port = agent.address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def handshakes(agent, clock, most=ssl.TLSVersion.MAXIMUM_SUPPORTED):
    """One whole handshake after the other, from four at a time."""
    count = failed = 0
    context = ssl._create_unverified_context()
    context.maximum_version = most
    context.set_alpn_protocols(["h2"])
    while clock():
        sockets = [connected(agent) for _ in range(4)]
        for one in sockets:
            try:
                context.wrap_socket(one, server_hostname="localhost").close()
            except (OSError, ssl.SSLError):
                failed += 1
                one.close()
            count += 1
    return f"{count} handshakes, {failed} of them failed"


def hellos(agent, clock):
    """The first message only, again and again: the server's half of the work, and none of the client's."""
    hello, count = client_hello(), 0
    with contextlib.ExitStack() as stack:
        while clock():
            one = stack.enter_context(connected(agent))
            one.send(hello)
            count += 1
            if count % 100 == 0:
                stack.close()
    return f"{count} hellos"


def broken_handshakes(agent, clock):
    """Everything that a handshake may break at."""
    hello = client_hello()
    pieces = [
        hello[:1],
        hello[:5],
        hello[:-1],
        hello + b"\x17\x03\x03\x40\x00" + bytes(16_384),
        hello + b"\x15\x03\x03\x00\x02\x02\x28",
        hello + hello,
        hello + b"\x14\x03\x03\x00\x01\x01" * 40,
        hello[:5] + bytes(len(hello) - 5),
        b"\x16\x03\x01\xff\xff" + bytes(65_535),
        b"\x16\x03\x01\x00\x00" * 100,
        b"\x80\x2e\x01\x00\x02" + bytes(64),
        h2.BEGIN,
        client_hello("x" * 60),
    ]
    count = 0
    while clock(at_least=count < len(pieces)):
        with contextlib.suppress(OSError), connected(agent) as one:
            one.send(pieces[count % len(pieces)])
        count += 1
    return f"{count} connections"


def hello_bytewise(agent, clock):
    """A record of the handshake in as many segments as it has bytes, from many at once."""
    hello, count = client_hello(), 0
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connected(agent)) for _ in range(64)]
        for one in sockets:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while clock() and count < len(hello):
            for one in sockets:
                with contextlib.suppress(OSError):
                    one.send(hello[count : count + 1])
            count += 1
    return f"{count} bytes from each of {len(sockets)} connections"


def records_of_a_byte(agent, clock):
    count = 0
    with connected(agent) as one:
        context = ssl._create_unverified_context()
        context.set_alpn_protocols(["h2"])
        with context.wrap_socket(one, server_hostname="localhost") as secure:
            secure.send(h2.BEGIN + h2.headers(1, h2.request(CHECK)))
            body = h2.data(1, h2.message(b"", length=1 << 20)) + h2.data(1, b"x" * 16_000) * 60
            while clock() and count < len(body):
                with contextlib.suppress(ssl.SSLError):
                    secure.send(body[count : count + 1])
                count += 1
    return f"{count} records"


def key_updates(agent, clock):
    """OpenSSL's own client, which asks for new keys at each line that it reads."""
    tool = shutil.which("openssl")
    if not tool:
        return "openssl is not here"
    command = [tool, "s_client", "-connect", agent.address, "-alpn", "h2"]
    count = 0
    while clock():
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as client:
            with contextlib.suppress(BrokenPipeError):
                for _ in range(400):
                    client.stdin.write(b"K\n")
                    client.stdin.flush()
                    count += 1
                    if not clock():
                        break
            client.kill()
    return f"{count} updates"


# As many connections as an agent takes, at what each costs without TLS, which is begun when its turn has come.
WAITING_KIBIBYTES_MAX = 16_384 * 16

STRANGERS = [
    Attack("whole handshakes", handshakes, arena="closed"),
    Attack("first messages of handshakes", hellos, arena="closed", kibibytes=WAITING_KIBIBYTES_MAX),
    Attack("handshakes that break", broken_handshakes, arena="closed", kibibytes=WAITING_KIBIBYTES_MAX),
    Attack("handshakes byte by byte", hello_bytewise, arena="closed"),
    Attack("TLS records of a byte", records_of_a_byte, arena="closed"),
    Attack("updates of keys", key_updates, arena="closed"),
    Attack("connections that are reset at once, with TLS", opened_and_reset, arena="closed"),
    storm("calls without a key", call_of(CHAT, b"x"), count=64, expect=(UNAUTHENTICATED,), arena="closed"),
    storm(
        "calls with a wrong key",
        call_of(GENERATE, h2.message(b""), UNKNOWN),
        count=64,
        expect=(UNAUTHENTICATED,),
        arena="closed",
    ),
    storm(
        "calls with what is no key",
        call_of(COUNT_TOKENS, h2.message(b""), ("authorization", "Basic " + "x" * 4000)),
        count=64,
        expect=(UNAUTHENTICATED,),
        arena="closed",
    ),
    storm(
        "gzip: messages of those without a key",
        call_of(GENERATE, zipped(FILLS["empty messages"]), GZIP),
        expect=(UNAUTHENTICATED,),
        arena="closed",
    ),
    storm("health: Check over TLS", call_of(CHECK, h2.message(b"")), count=64, expect=(0,), arena="closed"),
]

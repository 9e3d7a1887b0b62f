"""One load of `Scripts/bench http`: asks an agent's echo for tokens, by gRPC or as events over HTTP/1.1, with or without TLS,
and prints what that cost as one line of JSON.

Both clients are Python's, with a thread for each stream: grpcio, whose core is C, and http.client with json, which are all
Python but for their sockets. The processes and the network namespace are those of http_bench.py.
"""

import argparse
import base64
import http.client
import json
import pathlib
import resource
import ssl
import statistics
import threading
import time

import grpc

from hearth.v1 import inference_pb2 as pb
from hearth.v1 import inference_pb2_grpc as rpc

PROMPT = "Tell me a story."
# How long the last acknowledgements may take (40 ms, Linux's TCP_DELACK_MIN), and then some.
SETTLED_SECONDS = 0.2


def wire():
    """Bytes and packets that came through the loopback of this namespace: each with its IP and TCP headers, once."""
    for line in pathlib.Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            received = numbers.split()
            return int(received[0]), int(received[1])
    raise RuntimeError("/proc/net/dev has no loopback")


def tree(root):
    """A process and all that descend from it."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(text[text.rindex(")") + 2 :].split()[1]), []).append(int(entry.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def processor_nanoseconds(root):
    """What all threads of the agent's processes have run (proc(5): schedstat)."""
    total = 0
    for process in tree(root):
        for thread in pathlib.Path(f"/proc/{process}/task").glob("*/schedstat"):
            try:
                total += int(thread.read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue
    return total


def own_nanoseconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1e9


class Window:
    """What happens between its making and `figures`."""

    def __init__(self, agent):
        time.sleep(SETTLED_SECONDS)
        self.agent = agent
        self.wire, self.host, self.client = wire(), processor_nanoseconds(agent), own_nanoseconds()
        self.began = time.monotonic()

    def figures(self):
        seconds, client = time.monotonic() - self.began, own_nanoseconds() - self.client
        host = processor_nanoseconds(self.agent) - self.host
        time.sleep(SETTLED_SECONDS)
        bytes_now, packets_now = wire()
        return {
            "seconds": seconds, "bytes": bytes_now - self.wire[0], "packets": packets_now - self.wire[1],
            "hostMicroseconds": host / 1e3, "clientMicroseconds": client / 1e3,
        }


class GRPCSide:
    """Turns on a `Chat` stream, which goes in both directions."""

    def __init__(self, asked):
        self.asked = asked
        options = [("grpc.use_local_subchannel_pool", 1)]
        if asked.certificate:
            trusted = grpc.ssl_channel_credentials(pathlib.Path(asked.certificate).read_bytes())
            self.channel = grpc.secure_channel(asked.to, trusted, options)
        else:
            self.channel = grpc.insecure_channel(asked.to, options)
        self.stub = rpc.InferenceStub(self.channel)

    def connect(self):
        grpc.channel_ready_future(self.channel).result(timeout=60)

    def pieces(self, tokens):
        """The text of each event, and the bytes of its message with the five before it."""
        question = pb.GenerateRequest(model=self.asked.model)
        question.messages.messages.add(role=pb.ROLE_USER, content=PROMPT)
        question.stopping.max_tokens = tokens
        for event in self.stub.Chat(iter([pb.ChatRequest(generate=question)])):
            yield event.delta.text, 5 + event.ByteSize()

    def close(self):
        self.channel.close()


class EventsSide:
    """OpenAI's chat completions as server-sent events."""

    def __init__(self, asked):
        self.asked = asked
        if asked.certificate:
            context = ssl.create_default_context(cafile=asked.certificate)
            self.connection = http.client.HTTPSConnection(asked.to, context=context, timeout=600)
        else:
            self.connection = http.client.HTTPConnection(asked.to, timeout=600)

    def connect(self):
        self.connection.connect()

    def pieces(self, tokens):
        """The text of each event, and its bytes."""
        question = {
            "model": self.asked.model, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": tokens,
            "stream": True,
        }
        fields = {"content-type": "application/json", "accept": "text/event-stream"}
        self.connection.request("POST", "/v1/chat/completions", json.dumps(question), fields)
        answer = self.connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(answer.read().decode())
        whole = False
        for line in answer:
            if not line.startswith(b"data: "):
                continue
            if line == b"data: [DONE]\n":
                whole = True
                continue
            delta = json.loads(line[6:])["choices"][0]["delta"]
            # An event ends with an empty line.
            yield delta.get("content") or "", len(line) + 1
        if not whole:
            raise RuntimeError("the stream was cut")

    def close(self):
        self.connection.close()


def side(asked):
    return GRPCSide(asked) if asked.protocol == "grpc" else EventsSide(asked)


def made_at(text):
    """When echo made each token of a text, in microseconds modulo 2^24."""
    return [int.from_bytes(base64.urlsafe_b64decode(text[place + 1 : place + 5])) for place in range(0, len(text), 5)]


def streams(asked):
    """So many consumers at once, on a connection each or on one; the connections are open before."""
    sides = [side(asked) for _ in range(1 if asked.shared else asked.consumers)]
    for each in sides:
        each.connect()
    heard = [[] for _ in range(asked.consumers)]
    start, problems = threading.Event(), []

    def consume(number):
        start.wait()
        try:
            for text, size in sides[number % len(sides)].pieces(asked.tokens):
                heard[number].append((time.monotonic_ns(), text, size))
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=consume, args=(number,)) for number in range(asked.consumers)]
    for thread in threads:
        thread.start()
    window = Window(asked.pid)
    start.set()
    for thread in threads:
        thread.join()
    figures = window.figures()
    if problems:
        raise problems[0]
    for each in sides:
        each.close()
    with_text = [event for consumer in heard for event in consumer if event[1]]
    text = sum(len(event[1]) for event in with_text)
    if text != asked.consumers * asked.tokens * 5:
        raise RuntimeError(f"{text} bytes of text are not {asked.consumers} times {asked.tokens} tokens of 5")
    late = sorted((at // 1_000 - made) % (1 << 24) for at, text, _ in with_text for made in made_at(text))
    return {
        **figures, "tokens": asked.consumers * asked.tokens, "events": len(with_text),
        "messageBytes": sum(event[2] for event in with_text) / len(with_text),
        "latencyMedian": statistics.median(late), "latency99": late[int(len(late) * 0.99)], "latencyMost": late[-1],
    }


def turns(asked):
    """Turns of one token, one after the other, each on a connection of its own or all on one."""
    one = None

    def turn(at):
        first = None
        for text, _ in at.pieces(1):
            if text and first is None:
                first = time.monotonic_ns()
        return first

    if not asked.fresh:
        one = side(asked)
        one.connect()
        turn(one)
    firsts = []
    window = Window(asked.pid)
    for _ in range(asked.turns):
        began = time.monotonic_ns()
        at = one or side(asked)
        firsts.append((turn(at) - began) / 1e3)
        if one is None:
            at.close()
    figures = window.figures()
    firsts.sort()
    return {
        **figures, "turns": asked.turns, "firstMedian": statistics.median(firsts),
        "first99": firsts[int(len(firsts) * 0.99)],
    }


def stall(asked):
    """A consumer that reads one event and then nothing: says when it has stopped, and goes on waiting until it is killed."""
    at = side(asked)
    at.connect()
    pieces = at.pieces(asked.tokens)
    while not next(pieces)[0]:
        pass
    print("stalled", flush=True)
    threading.Event().wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("load", choices=["streams", "turns", "stall"])
    parser.add_argument("--protocol", choices=["grpc", "events"], required=True)
    parser.add_argument("--to", required=True)
    parser.add_argument("--certificate", help="the certificate to trust; without one there is no TLS")
    parser.add_argument("--pid", type=int, required=True, help="the agent, whose processor time is measured")
    parser.add_argument("--model", required=True)
    parser.add_argument("--consumers", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=1)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--shared", action="store_true", help="all streams on one connection")
    parser.add_argument("--fresh", action="store_true", help="a connection for each turn")
    asked = parser.parse_args()
    print(json.dumps({"streams": streams, "turns": turns, "stall": stall}[asked.load](asked)))


if __name__ == "__main__":
    main()

"""What `Scripts/bench http` measures: the same tokens of echo through gRPC and as events over HTTP/1.1, in turn.

Runs in a network namespace of its own, whose loopback has Ethernet's MTU and carries nothing else, so that its counters are
what a capture would add up to: every packet once, with its IP and TCP headers. Starts one agent without TLS and one with it.
"""

import argparse
import collections
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
RATE, PACED_TOKENS, BURST, BURST_TOKENS = 30, 150, 256, 25_600
# Each token's text is the time at which echo made it; five bytes.
MODELS = {
    "echo": {"stamp": "1"},
    "paced": {"stamp": "1", "tokens_per_second": str(RATE)},
    "burst": {"stamp": "1", "burst": str(BURST)},
}
PACED = {
    1: f"{RATE} tokens/s, 1 consumer", 10: f"{RATE} tokens/s each, 10 consumers", 100: f"{RATE} tokens/s each, 100 consumers",
}
IN_BURSTS = "bursts, 10 consumers"
SIDES = {
    "gRPC": ("grpc", False), "SSE": ("events", False), "gRPC, TLS": ("grpc", True), "SSE, TLS": ("events", True),
}
# One connection for all; HTTP/1.1 has one stream on each.
# Hearth's own client, in Swift, in place of Python's.
NATIVE = "gRPC, in Swift"
SHARED = {"gRPC, one connection": "gRPC", "gRPC, TLS, one connection": "gRPC, TLS"}


class Agent:
    def __init__(self, prefix, folder, secured):
        self.prefix, self.state = prefix, folder / "state"
        backends = folder / "backends"
        backends.mkdir(parents=True)
        for place in (folder, backends):
            place.chmod(0o755)
        for name, options in MODELS.items():
            shutil.copy(prefix / "lib/hearth/backends/echo", backends / name)
            model = {"id": name, "maxSequences": 256, "options": options}
            (backends / f"{name}.json").write_text(json.dumps({"models": [model]}))
        command = [prefix / "bin/hearth", "serve", "--state", self.state, "--backends", backends]
        command += ["--models", folder / "none", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
        command += ["--tls"] if secured else []
        if os.getuid() == 0:
            command += ["--user", "nobody"]
        (folder / "none").mkdir()
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("hearth: accepting on "):
            raise RuntimeError(f"the agent said {line!r} and logged:\n{self.log.read_text()}")
        addresses = line.removeprefix("hearth: accepting on ").rsplit(", pid ", 1)[0].split(", ")
        self.addresses = {"grpc": addresses[0].split(" ")[0], "events": addresses[-1].split(" ")[0]}
        self.certificate = self.state / "certificate.pem" if secured else None
        until(lambda: all(self.backend(model).get("state") == "ready" for model in MODELS), "echo ready")

    def backend(self, model):
        command = [self.prefix / "bin/hearth", "backends", "--state", self.state, "--json"]
        answer = subprocess.run(command, capture_output=True, text=True)
        entries = json.loads(answer.stdout).get("backends", []) if answer.returncode == 0 else []
        return {entry["model"]: entry for entry in entries}.get(model, {})

    def number(self, model, key):
        """A counter of a model's backend; absent means 0."""
        return int(self.backend(model).get(key, 0))

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)


def until(condition, what, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"after {seconds} s still not: {what}")
        time.sleep(0.1)


class Bench:
    def __init__(self, agents, native):
        self.agents, self.native = agents, native
        self.runs = collections.defaultdict(lambda: collections.defaultdict(list))

    def command(self, name, load, *options):
        protocol, secured = SIDES[SHARED.get(name, name)]
        agent = self.agents[secured]
        command = [sys.executable, HERE / "http_load.py", load, "--protocol", protocol]
        command += ["--to", agent.addresses[protocol], "--pid", str(agent.process.pid)]
        command += ["--certificate", agent.certificate] if secured else []
        return agent, [*command, *(["--shared"] if name in SHARED else []), *map(str, options)]

    def measure(self, load, name, *options):
        _, command = self.command(name, *options)
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=600, check=True)
        self.runs[load][name].append(json.loads(answer.stdout))

    def round(self, backwards):
        """One run of everything; what the first of two leaves behind meets both in turn."""
        names = [*SIDES, *SHARED]
        for consumers, load in PACED.items():
            for name in reversed(names) if backwards else names:
                if name in SIDES or consumers > 1:
                    options = ("--model", "paced", "--consumers", consumers, "--tokens", PACED_TOKENS)
                    self.measure(load, name, "streams", *options)
            self.measure_native(load, consumers)
        names = list(reversed(SIDES)) if backwards else list(SIDES)
        for name in names:
            options = ("--model", "burst", "--consumers", 10, "--tokens", BURST_TOKENS)
            self.measure(IN_BURSTS, name, "streams", *options)
            self.measure("turns", name, "turns", "--model", "echo", "--turns", 200)
            self.measure("fresh", name, "turns", "--model", "echo", "--turns", 50, "--fresh")
        for name in names:
            self.stall(name)

    def measure_native(self, load, consumers):
        agent = self.agents[False]
        command = [self.native, "relay", "--to", agent.addresses["grpc"], "--pid", str(agent.process.pid)]
        command += ["--model", "paced", "--connections", str(consumers), "--streams", "1", "--tokens", str(PACED_TOKENS)]
        command += ["--burst", "1", "--rate", str(RATE)]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=600, check=True)
        self.runs[load][NATIVE].append(json.loads(answer.stdout))

    def stall(self, name):
        """How many tokens are computed for a consumer that does not read."""
        agent, command = self.command(name, "stall", "--model", "echo", "--tokens", 1_000_000)
        before = agent.number("echo", "tokens")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as consumer:
            if consumer.stdout.readline() != "stalled\n":
                raise RuntimeError("the consumer that is not to read has failed")
            ahead = -1
            while (now := agent.number("echo", "tokens") - before) != ahead:
                ahead = now
                time.sleep(1)
            consumer.kill()
        until(lambda: agent.number("echo", "running") == 0, "nothing computed for a consumer that is gone")
        self.runs["stall"][name].append({"tokens": ahead})

    # The figures.

    def median(self, load, name, figure):
        return statistics.median(figure(run) for run in self.runs[load][name])

    def pairs(self, load, figure, secured=False):
        """The median of the ratios of the pairs: how many times as much events are as gRPC."""
        one, other = ("gRPC, TLS", "SSE, TLS") if secured else ("gRPC", "SSE")
        both = zip(self.runs[load][one], self.runs[load][other])
        return statistics.median(figure(theirs) / figure(ours) for ours, theirs in both)


def per_token(key):
    return lambda run: run[key] / run["tokens"]


def overhead(run):
    return run["bytes"] / run["tokens"] - 5


def table(bench):
    print(f"{'':44}{'on the wire':>17}{'message':>9}{'CPU µs/token':>16}{'from echo, ms':>17}")
    print(f"{'':44}{'bytes':>9}{'packets':>8}{'bytes':>9}{'host':>8}{'client':>8}{'median':>9}{'99 %':>8}")
    for load in [*PACED.values(), IN_BURSTS]:
        print(load)
        for name in [*SIDES, *SHARED, NATIVE]:
            if name == NATIVE and load != IN_BURSTS:
                client = bench.median(load, name, lambda run: run["clientMicrosecondsPerToken"])
                print(f"  {name:42}{'':34}{client:8.1f}")
            if name == NATIVE or name not in bench.runs[load]:
                continue
            wire, packets, host, client = (
                bench.median(load, name, per_token(key))
                for key in ("bytes", "packets", "hostMicroseconds", "clientMicroseconds")
            )
            message, median, most = (
                bench.median(load, name, lambda run, key=key: run[key])
                for key in ("messageBytes", "latencyMedian", "latency99")
            )
            print(
                f"  {name:42}{wire:9.1f}{packets:8.2f}{message:9.0f}{host:8.1f}{client:8.1f}"
                f"{median / 1e3:9.2f}{most / 1e3:8.2f}")
    print("A turn of one token")
    print(f"{'':44}{'first token, ms':>17}{'bytes':>9}{'packets':>9}{'host µs':>9}{'client µs':>10}")
    for load, where in (("turns", "on an open connection"), ("fresh", "on a new one")):
        for name in SIDES:
            first = bench.median(load, name, lambda run: run["firstMedian"] / 1e3)
            cells = [
                bench.median(load, name, lambda run, key=key: run[key] / run["turns"])
                for key in ("bytes", "packets", "hostMicroseconds", "clientMicroseconds")
            ]
            print(f"  {name + ' ' + where:42}{first:17.2f}{cells[0]:9.0f}{cells[1]:9.1f}{cells[2]:9.0f}{cells[3]:10.0f}")


def claims(bench):
    """What is said of gRPC's streams beside HTTP's, and what was measured."""
    one, hundred = PACED[1], PACED[100]

    def less(load, secured=False):
        return f"{(1 - 1 / bench.pairs(load, overhead, secured)) * 100:.0f} %"

    def each(load, figure):
        """The figure of every side, with its name."""
        return ", ".join(f"{figure(load, name)} ({name})" for name in SIDES)

    def on_the_wire(name):
        packets, size = (bench.median(hundred, name, per_token(key)) for key in ("packets", "bytes"))
        return f"{packets:.2f} packets and {size:.0f} bytes a token"

    def message(run):
        return run["messageBytes"]

    rows = {
        "60-80 % less overhead": "bytes on the wire but for the text: "
        f"{less(one)} less at {RATE} tokens/s, {less(one, True)} with TLS, {less(IN_BURSTS)} in bursts",
        "payloads 2-5 times smaller": f"{bench.pairs(one, message):.1f} times for a token, "
        f"{bench.pairs(IN_BURSTS, message):.2f} times in bursts",
        "below 100 ms": "99 % of the tokens of 100 consumers came within "
        + each(hundred, lambda load, name: f"{bench.median(load, name, lambda run: run['latency99'] / 1e3):.1f} ms"),
        "many streams on one connection": f"100 streams: {on_the_wire('gRPC, one connection')}; "
        f"on 100 connections {on_the_wire('gRPC')}",
        "header compression": "a turn of one token on an open connection: "
        + each("turns", lambda load, name: f"{bench.median(load, name, lambda run: run['bytes'] / run['turns']):.0f} bytes"),
        "backpressure": "computed for a consumer that reads nothing: "
        + each("stall", lambda load, name: f"{bench.median(load, name, lambda run: run['tokens']):,.0f} tokens"),
    }
    print("What is claimed of gRPC, and what was measured")
    for claim, figure in rows.items():
        print(f"  {claim}: {figure}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prefix", type=pathlib.Path, required=True)
    parser.add_argument("--place", type=pathlib.Path, required=True)
    parser.add_argument("--native", type=pathlib.Path, required=True, help="hearth-bench")
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    # Packets as Ethernet has them: loopback's own are up to 64 KiB long.
    subprocess.run(["ip", "link", "set", "lo", "up", "mtu", "1500"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "gso_max_segs", "1"], check=True)
    agents = {}
    try:
        for secured in (False, True):
            agents[secured] = Agent(asked.prefix, asked.place / ("secured" if secured else "plain"), secured)
        bench = Bench(agents, asked.native)
        for run in range(asked.runs):
            print(f"    run {run + 1} of {asked.runs}", file=sys.stderr, flush=True)
            bench.round(run % 2 == 1)
        (asked.place / "http.json").write_text(json.dumps(bench.runs))
        table(bench)
        claims(bench)
    finally:
        for agent in agents.values():
            agent.end()


if __name__ == "__main__":
    main()

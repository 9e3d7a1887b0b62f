"""What the tests of attacks on `hearth serve` share: an agent with an honest stream beside each attack, whose rate is
held against the one without, and the agent's memory at its worst. Docs/limits.md lists the limits."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time

import echo
import grpc
import pytest
import raw_http2 as h2
from agent import SANITIZED, Agent, peak_kibibytes, reset_peak, resident_kibibytes, wait_until
from hearth.v1 import inference_pb2 as pb
from hearth.v1 import inference_pb2_grpc as rpc

CHAT = "/hearth.v1.Inference/Chat"
GENERATE = "/hearth.v1.Inference/Generate"

# The honest stream's rate is measured over so many tokens, a third of a second of them at its own rate.
TOKENS_MEASURED = 30
# An honest stream keeps at least so much of the rate that it had just before the attack. Attacker, agent and honest
# client share the cores of one machine here.
SHARE_KEPT_MIN = 1 / 3
# What the agent may grow by in a flood, at its worst: buffers of a few connections and what malloc keeps. Frames are
# counted before anything is kept of them.
FLOOD_KIBIBYTES_MAX = 24 * 1024
# Docs/limits.md: heldBytesMax, what may come between two looks at it and while messages are decoded, and what malloc keeps
# of that.
HELD_KIBIBYTES_MAX = 256 * 1024 + 160 * 1024


class Honest:
    """`honest.py` against an agent: a stream that must notice nothing."""

    def __init__(self, agent, key=None, asks_as_owner=False):
        self.count, self.is_whole = 0, False
        # (tokens, moment, the agent's work) of each delta, and (asked, answered, (connections, calls)) of each question of the owner's.
        self.arrivals, self.answers = [], []
        options = ["--certificate", agent.state / "certificate.pem"] if uses_tls(agent) else []
        options += ["--key", key] if key else []
        options += ["--owner", agent.state / "admin.sock", "--agent", agent.pid] if asks_as_owner else []
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(os.path.dirname(__file__), "honest.py"), agent.address, *map(str, options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.wait_for(3)

    def read(self):
        for line in self.process.stdout:
            kind, *values = line.split()
            if kind == "tokens":
                self.count = int(values[0])
                self.arrivals.append((self.count, float(values[1]), float(values[2])))
            elif kind == "owner":
                self.answers.append((float(values[0]), float(values[1]), (int(values[2]), int(values[3]))))
            elif kind == "whole":
                self.is_whole = True

    def wait_for(self, more, seconds=20):
        count = self.count
        wait_until(lambda: self.count >= count + more, f"{more} more tokens of the honest stream", seconds, 0.005)

    def rate(self, tokens=TOKENS_MEASURED):
        """Tokens per second, now."""
        count, began = self.count, time.monotonic()
        self.wait_for(tokens)
        return (self.count - count) / (time.monotonic() - began)

    @contextlib.contextmanager
    def keeps_its_rate(self):
        """What is done meanwhile, for as long as it takes to measure it, leaves the stream a share of its rate."""
        without = self.rate()
        count, began = self.count, time.monotonic()
        yield
        if self.count < count + TOKENS_MEASURED:
            self.wait_for(count + TOKENS_MEASURED - self.count)
        beside = (self.count - count) / (time.monotonic() - began)
        print(f"the honest stream: {without:.0f} tokens/s without, {beside:.0f} beside")
        assert SANITIZED or beside >= SHARE_KEPT_MIN * without

    def finish(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0, "the honest stream was broken"
        self.reader.join()
        assert self.is_whole


def uses_tls(agent):
    return "--tls" in agent.command


def connect(agent):
    """An attacker's connection."""
    return h2.Peer(agent.address, tls=uses_tls(agent))


def new_channel(agent):
    options = [("grpc.use_local_subchannel_pool", 1)]
    if not uses_tls(agent):
        return grpc.insecure_channel(agent.address, options)
    trusted = grpc.ssl_channel_credentials((agent.state / "certificate.pem").read_bytes())
    return grpc.secure_channel(agent.address, trusted, options)


@contextlib.contextmanager
def attacked(growth_kibibytes_max=FLOOD_KIBIBYTES_MAX, agent=None):
    """An agent with an honest stream, which must be whole at the end, when nothing is left of the attack."""
    with agent or Agent() as agent:
        honest = Honest(agent)
        agent.honest = honest
        before = resident_kibibytes(agent.pid)
        was_reset, peak_before = reset_peak(agent.pid), peak_kibibytes(agent.pid)
        yield agent
        peak = peak_kibibytes(agent.pid)
        # Where the mark of the past cannot be taken back, one that has not moved says that less was held.
        worst = peak if was_reset or peak > peak_before else resident_kibibytes(agent.pid)
        print(f"resident memory {before} KiB, at worst {worst - before} more; {honest.count} honest tokens")
        assert SANITIZED or worst - before < growth_kibibytes_max
        # Whoever comes now is served at once.
        with new_channel(agent) as channel:
            assert rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest(), timeout=10).models
        wait_until(lambda: usage(agent) == (1, 1), "the honest stream alone is left")
        honest.finish()


@pytest.fixture(scope="module")
def flooded():
    """One agent for all the attacks of a module that leave nothing behind."""
    with attacked() as agent:
        yield agent


def usage(agent):
    status = json.loads(agent.command_line("status", "--state", agent.state, "--json"))
    return status.get("openConnections", 0), status.get("openCalls", 0)


def times_met(agent, limit):
    """How often `hearth limits` says that a limit was met."""
    limits = json.loads(agent.command_line("limits", "--state", agent.state, "--json"))["limits"]
    (found,) = [entry for entry in limits if entry["name"] == limit]
    return int(found["timesMet"])


def streams(count, make):
    return b"".join(make(index * 2 + 1) for index in range(count))


def generate(stream, request=None, *fields, compress=None):
    """A whole call of Generate."""
    payload = (request or echo.request("flood")).SerializeToString()
    body = h2.message(compress(payload) if compress else payload, compressed=bool(compress))
    return h2.call(stream, h2.request(GENERATE, *fields), body, h2.END_STREAM)

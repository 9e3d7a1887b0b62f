"""Every way in which a backend can be hostile, all at once in one agent, while honest streams run beside them."""

import asyncio
import json
import os
import pathlib
import signal
import subprocess
import threading

import echo
import grpc
import pytest
from agent import PREFIX, SANITIZED, Agent, resident_kibibytes, wait_until
from attack import attacked, new_channel
from consumer import LENGTH, Turn, connect, pb, read_turn, rpc, run

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "Programs/unruly"
BUILT = pathlib.Path(os.environ["HEARTH_CONSUMER_WORK"]) / "unruly"

# What `unruly-mumble` says again and again, a byte a token: a letter, two scalars, and beginnings and other parts of scalars.
NOISE = b"\xff\xe2\x82a\xf0\x9f\x98\xf0\x9f\x98\x80\xed\xa0\x80\xc3\xa9\xc3"
NOISE_TOKENS = 100_000

STREAMS = 200
STREAMS_PER_CONNECTION = 50
TOKENS = 150
TOKENS_PER_SECOND = 10
# What the agent may take up at any moment of it, all backends and streams together.
RESIDENT_KIBIBYTES_MAX = 128 * 1024
# Lines of a flood that nobody reads, after which it is looked at what they cost, and what they may have cost.
UNREAD_LINES = 50_000
UNREAD_KIBIBYTES_MAX = 8 * 1024

# What the owner is told of each, wherever it is not that the backend runs.
REASONS = {
    "huge": "a frame announces 2147483647 bytes",
    "empty": "a frame has length 0",
    "unfinished": "sent no Hello within",
    "cut": "exited with code 0",
    "cut-silent": "sent no Hello within",
    "drip": "sent no Hello within",
    "garbage": "a frame announces 1195725856 bytes",
    "varint": "a varint is longer than 64 bits",
    "wire-type": "a wire type that proto3 does not have",
    "group": "a wire type that proto3 does not have",
    "lying-length": "the message ends inside a field",
    "nested-length": "the message ends inside a field",
    "two-bodies": "appears twice",
    "unknown-body": "holds no message that this revision knows",
    "no-text": "field 3 is a string but not UTF-8",
    "tokens-first": "the first message must be Hello, not TokenBatch",
    "loaded-first": "Loaded came while nothing was being loaded",
    "hello-twice": "Hello came twice",
    "loaded-twice": "Loaded came while nothing was being loaded",
    "finish-unknown": "which is not running",
    "foreign": "names the sequence 2147483648",
    "finish-twice": "which is not running",
    "beyond-credit": "tokens with a credit of",
    "after-cancel": "which is not running",
    "text-bomb": "524288 bytes of text for 1 tokens",
    "pong-unasked": "not the oldest unanswered Ping",
    "count-unasked": "which is not open",
    "empty-batches": "a TokenBatch holds no run",
    "pad-envelope": "fields that this revision does not know take more than 1024 bytes",
    "pad-batch": "fields that this revision does not know take more than 1024 bytes",
    "pad-run": "fields that this revision does not know take more than 16384 bytes",
    "repeat-field": "field 1 appears twice",
    "long-hello": "no Tokenized and no Embedded has",
    "faults": "gave up: ",
    "beyond-max-tokens": "its stopping.max_tokens",
    "long-prompt": "prompt tokens and 1 of the completion in a context of",
    "early-length": "finished for its length after 1 tokens",
    "foreign-stop": "which is none of its stopping.stop_token_ids",
    "long-context": "it is at most Load.context_tokens",
    "plays-launcher": "exited with code 125; its last words were",
    "hoard": "beside its weights (memoryMebibytes in unruly-hoard.json)",
    "maps-weights": "exited with code 71",
    "flood-progress": "send it at most ten times a second",
    "deaf": "answered no Ping",
    "stopped": "answered no Ping",
    "stopped-first": "sent no Hello within",
    "daemonise": "exited with code 1",
    "vanish": "exited with code 0",
    "closes": "closed its socket and did not end",
}
# These do nothing that the contract forbids, however little it is worth.
RUNNING = {"flood", "mumble", "flood-log", "flood-lines", "drip-log", "flood-denied", "stubborn", "smuggle", "behave"}
# The other clauses of the contract are broken by these, each for the check of backends (ContractCheckTests).
CHECKED = {
    "backward-revisions", "bad-name", "begins-anew", "cancelled-unasked", "deaf-to-cancel", "empty-inspection",
    "endless-load",
    "foreign-string", "later-revision", "long-fault", "mad-progress", "many-sequences", "more-cached", "mute",
    "never-finishes", "no-count", "no-reason", "outlives-socket", "reasons", "shares-caches", "short-vectors",
    "standing-steps", "steps-back", "trips-over-fields", "twin-capabilities", "unasked-calls", "unasked-logprobs",
    "wide-vectors", "wrong-pong",
}
# These wait for a sequence before they do it.
ASKED = [
    "nested-length", "finish-twice", "beyond-credit", "after-cancel", "text-bomb", "pad-envelope", "pad-batch", "pad-run",
    "repeat-field", "beyond-max-tokens", "long-prompt", "early-length", "foreign-stop",
]
# A context that is longer than this is no more than was asked for.
MANIFESTS = {"long-context": {"models": [{"id": "unruly-long-context", "contextTokens": 100}]}}


@pytest.fixture(scope="module")
def unruly():
    """The hostile executable, made from its folder; every way that it knows stands above."""
    command = ["cc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-I", SOURCES / "include", "-o", BUILT]
    command += sorted(SOURCES.glob("*.c"))
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ways = subprocess.run([BUILT], capture_output=True, text=True).stderr.split(": ")[-1].split()
    assert sorted(ways) == sorted([*REASONS, *RUNNING, *CHECKED])
    return BUILT


def add_unruly(agent, executable, way):
    target = agent.backend_folder / f"unruly-{way}"
    target.write_bytes(executable.read_bytes())
    target.chmod(0o755)


class Watch:
    """The most memory that the agent was seen to take, and the first reason that each backend was seen with."""

    def __init__(self, agent):
        self.agent, self.peak, self.reasons, self.over = agent, 0, {}, threading.Event()
        self.threads = [threading.Thread(target=self.measure), threading.Thread(target=self.ask)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def measure(self):
        while not self.over.wait(0.02):
            self.peak = max(self.peak, resident_kibibytes(self.agent.pid))

    def ask(self):
        while not self.over.wait(0.5):
            self.look()

    def look(self):
        for model, entry in self.agent.backends().items():
            if model.startswith("unruly-"):
                told = [entry.get("detail", ""), entry.get("lastFailure", {}).get("reason", "")]
                self.reasons.setdefault(model.removeprefix("unruly-"), []).extend(told)

    def missing(self):
        """The ways whose reason was not shown so far."""
        return {way: words for way, words in REASONS.items()
                if not any(words in detail for detail in self.reasons.get(way, []))}


def test_honest_streams_are_whole_while_every_hostile_backend_does_its_worst(unruly):
    honest = Agent({"echo": {"models": [{"id": "echo", "maxSequences": STREAMS}]}})
    for way in [*REASONS, *RUNNING]:
        add_unruly(honest, unruly, way)
    for way, manifest in MANIFESTS.items():
        (honest.backend_folder / f"unruly-{way}.json").write_text(json.dumps(manifest))

    async def stream(index, channel):
        request = echo.request(
            f"honest {index}", seed=index, max_tokens=TOKENS, tokens_per_second=TOKENS_PER_SECOND, ids=True)
        call = rpc.InferenceStub(channel).Chat()
        await call.write(pb.ChatRequest(generate=request))
        turn = await read_turn(call)
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() == grpc.StatusCode.OK
        echo.check(turn, request)
        assert turn.finished.reason == LENGTH
        assert turn.tokens == TOKENS

    async def provoke(way, channel, over):
        """Asks the hostile model again and again; how many of its calls failed."""
        failed = 0
        while not over.is_set():
            call = rpc.InferenceStub(channel).Chat()
            try:
                await call.write(pb.ChatRequest(generate=echo.request("provoked", model=f"unruly-{way}", max_tokens=10)))
                if way == "after-cancel":
                    await read_turn(call, until=lambda turn: turn.tokens > 0)
                    await call.write(pb.ChatRequest(cancel=pb.Cancel()))
                await call.done_writing()
                while await call.read() is not grpc.aio.EOF:
                    pass
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                pass  # its code tells
            if await call.code() != grpc.StatusCode.OK:
                assert await call.code() == grpc.StatusCode.UNAVAILABLE, await call.details()
                failed += 1
            await asyncio.sleep(0.3)  # A call ends at once while the model restarts.
        return failed

    async def drink(channel, over):
        """Takes what the flood sends, as fast as this program can."""
        call = rpc.InferenceStub(channel).Generate(echo.request("flood", model="unruly-flood", max_tokens=1 << 30))
        tokens = 0
        async for event in call:
            if event.WhichOneof("event") == "delta":
                tokens += event.delta.token_count
            if over.is_set():
                break
        call.cancel()
        return tokens

    async def scenario(agent):
        over = asyncio.Event()
        channels = [connect(agent) for _ in range(STREAMS // STREAMS_PER_CONNECTION)]
        async with connect(agent) as other:
            provoking = [asyncio.ensure_future(provoke(way, other, over)) for way in ASKED]
            await asyncio.to_thread(agent.wait_ready, "unruly-flood")
            drinking = asyncio.ensure_future(drink(other, over))
            await asyncio.gather(*(stream(index, channels[index // STREAMS_PER_CONNECTION]) for index in range(STREAMS)))
            over.set()
            failed = dict(zip(ASKED, await asyncio.gather(*provoking)))
            print(f"turns that failed: {failed}; the flood came to {await drinking} tokens")
            # These two end their turns well before they go on.
            assert [way for way in ASKED if not failed[way]] == ["finish-twice", "after-cancel"]
        for channel in channels:
            await channel.close()

    with honest as agent, Watch(agent) as watch:
        run(scenario(agent), 240)
        print(f"the agent took at most {watch.peak} KiB")
        assert SANITIZED or watch.peak < RESIDENT_KIBIBYTES_MAX
        wait_until(lambda: not watch.missing(), "every hostile backend shown with its reason", 60, 0.2)
        backends = agent.backends()
        assert backends["echo"]["state"] == "ready" and backends["echo"].get("restarts", 0) == 0
        for way in RUNNING:
            assert backends[f"unruly-{way}"]["state"] == "ready", backends[f"unruly-{way}"]
        wait_until(
            lambda: all(agent.number(f"unruly-{way}", "restarts") > 0 for way in REASONS), "all started again", 60, 0.5)


def test_what_is_no_text_becomes_text_without_end_and_stops_where_it_should(unruly):
    whole = (NOISE * (NOISE_TOKENS // len(NOISE) + 1)).decode(errors="replace")
    # No stop, one that never comes, one that nearly comes again and again, and some that come, over a cut and in a scalar.
    stops = [[], ["never"], ["\ufffd" * 80, "\ufffda\ufffd\U0001f600b"], ["\u00e9\ufffd\ufffd"], ["\ufffd\ufffda\ufffd"]]
    prepared = Agent()
    add_unruly(prepared, unruly, "mumble")
    with attacked(agent=prepared) as agent, new_channel(agent) as channel:
        agent.wait_ready("unruly-mumble")
        with agent.honest.keeps_its_rate():
            for stop in stops:
                request = echo.request("noise", model="unruly-mumble", max_tokens=1 << 30)
                request.stopping.stop.extend(stop)
                call, turn = rpc.InferenceStub(channel).Generate(request), Turn()
                for event in call:
                    turn.receive(event)
                    if turn.is_over or turn.tokens >= NOISE_TOKENS:
                        break
                call.cancel()
                ends = [end for end in map(whole.find, stop) if end >= 0]
                if ends:
                    assert turn.text == whole[: min(ends)] and turn.finished.stop in stop
                else:
                    assert not turn.is_over and len(turn.text) > NOISE_TOKENS / 2 and whole.startswith(turn.text)
            agent.wait_idle("unruly-mumble")


@pytest.mark.parametrize("reader", ["none", "never reads", "stopped", "closed"])
def test_a_log_that_nobody_reads_stops_nothing(unruly, reader):
    agent = Agent()
    target = agent.backend_folder / "unruly-flood-log"
    target.write_bytes(unruly.read_bytes())
    target.chmod(0o755)
    agent.models.append("unruly-flood-log")

    def lines_written():
        last = agent.command_line("logs", "unruly-flood-log", "-n", "1", "--json", "--state", agent.state)
        return int(json.loads(last.splitlines()[-1])["number"])

    async def stream():
        async with connect(agent) as channel:
            request = echo.request("honest", seed=7, max_tokens=TOKENS, ids=True)
            call = rpc.InferenceStub(channel).Chat()
            await call.write(pb.ChatRequest(generate=request))
            turn = await read_turn(call)
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF and await call.code() == grpc.StatusCode.OK
            echo.check(turn, request)
            assert turn.finished.reason == LENGTH and turn.tokens == TOKENS

    with agent:
        follower = None
        if reader != "none":
            follower = subprocess.Popen(
                [PREFIX / "bin/hearth", "logs", "-f", "--state", agent.state],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            assert b"unruly-flood-log[" in follower.stdout.readline()
        if reader == "stopped":
            follower.send_signal(signal.SIGSTOP)
        if reader == "closed":
            follower.stdout.close()
            assert follower.wait(timeout=30) == 141 and follower.stderr.read() == b"", "it ends quietly"
        try:
            run(stream())
            before, first = resident_kibibytes(agent.pid), lines_written()
            wait_until(lambda: lines_written() > first + UNREAD_LINES, "the flood goes on", 120, 0.2)
            run(stream())
            grown = resident_kibibytes(agent.pid) - before
            print(f"{lines_written()} lines came, the agent took {grown} KiB more for {UNREAD_LINES} of them")
            if not SANITIZED:
                assert grown < UNREAD_KIBIBYTES_MAX
            backends = agent.backends()
            assert all(entry["state"] == "ready" and not entry.get("restarts") for entry in backends.values()), backends
        finally:
            if follower:
                follower.kill()
                follower.wait()
                follower.stderr.close()

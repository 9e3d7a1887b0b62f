"""The consumers, the saboteur and the owner of Scripts/chaos."""

import argparse
import asyncio
import collections
import contextlib
import os
import pathlib
import random
import signal
import sys
import time

import echo
import grpc
from agent import descendants, is_alive, process_state, resident_kibibytes, wait_until
from consumer import OWN_CONNECTION, Turn, pb, read_turn, rpc
from test_resume import Resumed, resumable, resume
from upgradable import Upgradable, processes_of

# Each is one backend with one model. No other agent on this machine has backends of these names.
MODELS = [f"echo-{letter}-{os.getpid()}" for letter in "abcd"]
TICK_SECONDS = 0.1
# Of all turns, those that end their process.
FAULTY = 0.05
# The agent is away for a moment between its death and its next start.
LOST = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class Chaos:
    def __init__(self, agent, wanted, chance):
        self.agent, self.wanted, self.chance = agent, wanted, chance
        self.ends = time.monotonic() + wanted.minutes * 60
        self.counts = collections.Counter()
        self.failures = []

    def fail(self, what):
        self.failures.append(what)
        print(f"FAILED {what}", flush=True)

    @property
    def is_over(self):
        return time.monotonic() >= self.ends

    # Consumers.

    def request(self, number, kind):
        prompt = f"{kind} {number} {self.chance.random()}"
        options = {"model": self.chance.choice(MODELS), "max_tokens": self.chance.randint(1, 1_500)}
        if self.chance.random() < 0.7:
            options["tokens_per_second"] = self.chance.choice((100, 300, 1_000))
        if self.chance.random() < FAULTY:
            # In the place of this token its process crashes, hangs, or breaks the contract; the next one goes on behind it.
            fault = self.chance.choice(("crash_at", "hang_at", "malformed_at"))
            options[fault] = self.chance.randint(1, options["max_tokens"])
            options["malformed"] = self.chance.choice(("envelope", "length", "zero", "hello"))
            self.counts[f"turns with {fault}"] += 1
        if kind == "resumable":
            return resumable(prompt, seconds=600, **options)
        return echo.request(prompt, ids=True, **options)

    def check(self, turn, request):
        echo.check(turn, request)
        assert turn.tokens == request.stopping.max_tokens
        self.counts["turns"] += 1
        self.counts["tokens"] += turn.tokens
        self.counts["pauses of turns"] += len(turn.paused)

    def connect(self):
        address = self.chance.choice(self.agent.addresses)
        return grpc.aio.insecure_channel(address, options=OWN_CONNECTION)

    async def generate(self, number):
        async with self.connect() as channel:
            request = self.request(number, "generate")
            self.check(await read_turn(rpc.InferenceStub(channel).Generate(request)), request)

    async def chat(self, number):
        async with self.connect() as channel:
            call = rpc.InferenceStub(channel).Chat()
            for _ in range(self.chance.randint(1, 4)):
                request = self.request(number, "chat")
                await call.write(pb.ChatRequest(generate=request))
                self.check(await read_turn(call, Turn()), request)
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            self.counts["conversations"] += 1

    async def absent(self, number):
        """A turn whose consumer drops its call again and again."""
        request, turn = self.request(number, "resumable"), Resumed()
        while not turn.is_over:
            async with self.connect() as channel:
                stub = rpc.InferenceStub(channel)
                call = resume(stub, turn) if turn.token else stub.Generate(request)
                leaves_at = turn.tokens + self.chance.randint(1, 600)
                try:
                    await read_turn(call, turn, until=lambda turn: turn.tokens >= leaves_at)
                except grpc.aio.AioRpcError as error:
                    if not self.wanted.crash or error.code() not in LOST:
                        raise
                    self.counts["calls lost with the agent"] += 1
                else:
                    if turn.is_over:
                        break
                    call.cancel()
                    self.counts["calls dropped"] += 1
            await asyncio.sleep(self.chance.random())
            if not turn.token:
                # Nothing was heard of it.
                turn = Resumed()
        self.check(turn, request)

    async def consume(self, number):
        kinds = [self.absent] if self.wanted.crash else [self.generate, self.chat, self.absent]
        while not self.is_over:
            kind = self.chance.choice(kinds)
            try:
                await kind(number)
            except (AssertionError, grpc.aio.AioRpcError) as error:
                said = f"{error.code()}: {error.details()}" if isinstance(error, grpc.aio.AioRpcError) else f"{error}"
                self.fail(f"{kind.__name__} {number}: {said[:2000]}")
                await asyncio.sleep(1)

    # What goes wrong.

    def backends(self):
        return sorted(processes_of(MODELS))

    def sabotage_one(self):
        """Returns a process that is to be slowed, and for how many ticks."""
        running = self.backends()
        self.counts["most backends at once"] = max(self.counts["most backends at once"], len(running))
        way = self.chance.choice(("killed", "stopped", "slowed", "left alone"))
        if not running or way == "left alone":
            return None
        pid = self.chance.choice(running)
        self.counts[f"backends {way}"] += 1
        if way != "killed":
            return pid, 1 if way == "stopped" else 10
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return None

    async def sabotage(self):
        async with asyncio.TaskGroup() as slowing:
            while not self.is_over:
                if slowed := await asyncio.to_thread(self.sabotage_one):
                    slowing.create_task(self.slow(*slowed))
                await asyncio.sleep(TICK_SECONDS)

    @staticmethod
    async def slow(pid, ticks):
        """The process runs a tenth of this time."""
        with contextlib.suppress(ProcessLookupError):
            for _ in range(ticks):
                os.kill(pid, signal.SIGSTOP)
                await asyncio.sleep(TICK_SECONDS * 0.9)
                os.kill(pid, signal.SIGCONT)
                await asyncio.sleep(TICK_SECONDS * 0.1)

    async def owner(self, *words):
        """What the owner's command says; asked again where it came while another agent took over."""
        while True:
            answer = await self.ask(*words)
            if "ask again" not in answer[2]:
                return answer

    async def ask(self, *words):
        process = await asyncio.create_subprocess_exec(
            self.agent.command[self.agent.command.index("serve") - 1], *words, "--state", self.agent.state,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        said, complaint = await process.communicate()
        return process.returncode, said.decode(), complaint.decode()

    async def pause(self, paused):
        while not self.is_over:
            await asyncio.sleep(self.chance.uniform(2, 10))
            async with paused:
                code, _, complaint = await self.owner("pause")
                await asyncio.sleep(self.chance.uniform(0, 1))
                resumed, _, more = await self.owner("resume")
                if (code, resumed) == (0, 0):
                    self.counts["pauses by the owner"] += 1
                else:
                    self.fail(f"the owner's pause: {complaint} {more}")

    async def replace(self, paused):
        each = self.wanted.minutes * 60 / (self.wanted.replacements + 1)
        for _ in range(self.wanted.replacements):
            await asyncio.sleep(each)
            began = time.monotonic()
            try:
                if self.wanted.crash:
                    # One that is killed forgets no pause, and its owner's command ends with it.
                    async with paused:
                        await asyncio.to_thread(self.crash)
                else:
                    await asyncio.to_thread(self.agent.upgrade)
            except AssertionError as error:
                self.fail(f"the agent could not be replaced: {error}")
            else:
                self.counts["agents killed" if self.wanted.crash else "upgrades"] += 1
                took = round((time.monotonic() - began) * 1_000)
                self.counts["longest replacement, ms"] = max(self.counts["longest replacement, ms"], took)

    def crash(self):
        os.kill(self.agent.pid, signal.SIGKILL)
        self.agent.process.wait()
        self.agent.process.stdout.close()
        self.agent.start_again()

    async def run(self):
        paused = asyncio.Lock()
        tasks = [self.consume(number) for number in range(self.wanted.streams)]
        tasks += [self.sabotage(), self.pause(paused), self.replace(paused)]
        await asyncio.gather(*tasks)


class Killable(Upgradable):
    def start_again(self):
        pids = self.pids
        number = len(pids)
        self.log_name = f"log-{number}"
        # Whether the backends are ready is not waited for: they are killed all the time.
        models, self.models = self.models, []
        super(Upgradable, self).__enter__()
        self.models = models
        self.pids = [self.pid]
        assert self.pid not in pids


def figures(pid):
    """What an agent has of the machine."""
    processes = descendants(pid)
    return {
        "memory, KiB": resident_kibibytes(pid),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": len(os.listdir(f"/proc/{pid}/task")),
        "processes below it": len(processes),
        "zombies below it": sum(
            1 for entry in pathlib.Path("/proc").iterdir()
            if entry.name.isdigit() and process_state(int(entry.name)) == "Z" and parent(int(entry.name)) == pid),
    }


def parent(pid):
    with contextlib.suppress(OSError):
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
        return int(text[text.rindex(")") + 2 :].split()[1])
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("minutes", type=float)
    parser.add_argument("--crash", action="store_true")
    parser.add_argument("--streams", type=int, default=40)
    parser.add_argument("--replacements", type=int)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--option", action="append", default=[])
    wanted = parser.parse_args()
    if wanted.replacements is None:
        wanted.replacements = max(1, int(wanted.minutes * 6))
    print(f"seed {wanted.seed}", flush=True)
    options = [*(["--survive-crash", "60"] if wanted.crash else []), *wanted.option]
    backends = {model: {"models": [{"id": model, "maxSequences": 64}]} for model in MODELS}
    with Killable(backends, options=options) as agent:
        before = figures(agent.pid)
        chaos = Chaos(agent, wanted, random.Random(wanted.seed))
        asyncio.run(chaos.run())
        try:
            agent.wait_alone()
            for model in MODELS:
                agent.wait_ready(model)
                agent.wait_idle(model)
            # Those that an agent before has started are not below this one.
            wait_until(lambda: len(chaos.backends()) == len(MODELS), "one process for each model")
        except AssertionError as error:
            chaos.fail(f"{error}; the agents before: {[pid for pid in agent.pids if is_alive(pid)]}")
        after = figures(agent.pid)
        # Turns that are over are kept for as long as their consumers may come back, each with one descriptor.
        kept = agent.status().get("crashHolder", {}).get("kept", 0)
        if len(chaos.backends()) != len(MODELS):
            chaos.fail(f"{len(chaos.backends())} processes of backends are left, and not {len(MODELS)}")
    # Connections that have just ended may not have been closed yet.
    if after["descriptors"] > before["descriptors"] + 8 + kept or after["zombies below it"]:
        chaos.fail(f"descriptors or zombies are left: {after}")
    for what, count in sorted(chaos.counts.items()):
        print(f"{what:28}{count:>12,}")
    print(f"{'':28}{'at first':>12}{'at the end':>12}")
    for what, count in before.items():
        print(f"{what:28}{count:>12,}{after[what]:>12,}")
    if not chaos.counts["turns"]:
        chaos.fail("no turn came to its end")
    failures = len(chaos.failures)
    print(f"{failures} failures" if failures else "Every turn had each token once, in order.")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()

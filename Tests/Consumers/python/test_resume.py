"""A consumer's absence is a pause where it asked for that: what it lost comes again, once and in order."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time

import echo
import grpc
import pytest
from agent import PREFIX, Agent, descendants
from closed_agent import ClosedAgent
from consumer import CANCELLED, Turn, connect, eventually, failure, first_failure, pb, read_turn, rpc, run

OUT_OF_RANGE, DATA_LOSS = grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.DATA_LOSS
NOT_FOUND, PERMISSION_DENIED = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED
# A token and no text that could be one.
NO_TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def agent():
    backends = {
        "echo": {"models": [{"id": "echo", "maxSequences": 64}]},
        "one": {"models": [{"id": "one", "maxSequences": 1}]},
    }
    with Agent(backends) as started:
        yield started


def resumable(prompt, seconds=60, **options):
    options.setdefault("max_tokens", 200)
    made = echo.request(prompt, ids=True, **options)
    made.resumable_for.seconds = seconds
    return made


class Resumed(Turn):
    """A turn that several calls read; its token is that of its first event."""

    token = None

    def receive(self, event):
        if event.WhichOneof("event") == "resumable":
            assert event.seq == 1 and self.seq == 0 and self.token is None
            self.token, self.seq = event.resumable.resume_token, 1
            return
        assert self.token is not None, "the first event was not Resumable"
        super().receive(event)


def resume(stub, turn, after=None, cancel=False, **options):
    after = turn.seq if after is None else after
    return stub.Resume(pb.ResumeRequest(resume_token=turn.token, after=after, cancel=cancel), **options)


class Cutter:
    """A proxy of one agent, whose connections can be cut."""

    def __init__(self, agent):
        self.host, port = agent.address.rsplit(":", 1)
        self.port, self.writers, self.serving = int(port), set(), set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.address = "127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        self.cut()
        await asyncio.gather(*self.serving)

    def cut(self, chance=lambda: True):
        """Cuts the connections for which `chance` holds; returns their number."""
        cut = [writer for writer in self.writers if chance()]
        for writer in cut:
            writer.transport.abort()
        return len(cut)

    async def serve(self, reader, writer):
        self.serving.add(asyncio.current_task())
        ours, theirs = await asyncio.open_connection(self.host, self.port)
        both = (writer, theirs)
        self.writers.update(both)

        async def pass_on(source, target):
            try:
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            except OSError:
                pass
            for each in both:
                each.transport.abort()

        await asyncio.gather(pass_on(reader, theirs), pass_on(ours, writer))
        self.writers.difference_update(both)

    def channel(self):
        return grpc.aio.insecure_channel(
            self.address,
            options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)],
        )


async def read_all(call):
    while await call.read() is not grpc.aio.EOF:
        pass


async def lose(call):
    call.cancel()
    assert await call.code() == grpc.StatusCode.CANCELLED


def test_a_turn_goes_on_behind_the_last_event_and_its_end_can_be_had_again(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            request = resumable("once", tokens_per_second=400)
            call = stub.Generate(request)
            turn = await read_turn(call, Resumed(), until=lambda turn: turn.tokens > 20)
            await lose(call)
            await read_turn(resume(stub, turn), turn)
            echo.check(turn, request)
            # Its end was lost with the connection: it comes again, as it was.
            again = resume(stub, turn, after=turn.seq - 2)
            events = [event async for event in again]
            assert [event.WhichOneof("event") for event in events] == ["finished", "usage"]
            assert events[1].usage == turn.usage and await again.code() == grpc.StatusCode.OK
            # Who has the end has all: nothing comes, and the turn is forgotten.
            assert [event async for event in resume(stub, turn)] == []
            assert (await first_failure(resume(stub, turn)))[0].code() == NOT_FOUND

    run(scenario())


def test_a_turn_comes_from_the_start_again_with_its_token(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            request = resumable("from the start")
            first = await read_turn(stub.Generate(request), Resumed())
            # The token has come at the beginning, and does so again.
            second = await read_turn(resume(stub, first, after=0), Resumed())
            assert second == first and second.token == first.token
            echo.check(second, request)

    run(scenario())


def test_what_is_not_there_any_more_or_not_yet_is_said_plainly(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            request = resumable("acknowledged", max_tokens=100_000, tokens_per_second=200)
            call = stub.Chat()
            await call.write(pb.ChatRequest(generate=request))
            turn = await read_turn(call, Resumed(), until=lambda turn: turn.tokens > 20)
            await call.write(pb.ChatRequest(acknowledge=turn.seq - 5))
            # A refusal leaves the turn with the call that reads it.
            error, _ = await first_failure(resume(stub, turn, after=0))
            assert error.code() == DATA_LOSS and str(turn.seq - 5) in error.details()
            error, _ = await first_failure(resume(stub, turn, after=turn.seq + 100_000))
            assert error.code() == OUT_OF_RANGE
            await read_turn(call, turn, until=lambda turn: turn.tokens > 40)
            await call.write(pb.ChatRequest(acknowledge=turn.seq + 100_000))
            error = await failure(read_turn(call, turn))
            assert error.code() == OUT_OF_RANGE

    run(scenario())
    agent.wait_idle("echo")


def test_tokens_that_mean_nothing_and_times_that_are_too_long_are_refused(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            for token, code in [
                (NO_TOKEN, NOT_FOUND), ("", grpc.StatusCode.INVALID_ARGUMENT),
                ("x" * 129, grpc.StatusCode.INVALID_ARGUMENT),
            ]:
                error, events = await first_failure(stub.Resume(pb.ResumeRequest(resume_token=token)))
                assert error.code() == code and not events
            error, events = await first_failure(stub.Generate(resumable("long", seconds=601)))
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and "resumable_for" in error.details()
            # A request without the wish has no token, and nothing to come back for.
            plain = [event async for event in stub.Generate(echo.request("plain", max_tokens=3))]
            assert not any(event.WhichOneof("event") == "resumable" for event in plain)

    run(scenario())


def test_the_token_comes_before_the_turn_begins_and_a_loss_in_the_queue_loses_no_place(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            before = stub.Generate(echo.request("before", model="one", max_tokens=10_000, tokens_per_second=100))
            await read_turn(before, until=lambda turn: turn.tokens > 0)
            request = resumable("waits", model="one", queue_events=True)
            call = stub.Generate(request)
            waiting = await read_turn(call, Resumed(), until=lambda turn: turn.queued > 0)
            await lose(call)
            after = stub.Generate(echo.request("after", model="one", max_tokens=3, queue_events=True))
            later = await read_turn(after, until=lambda turn: turn.queued > 0)
            await lose(before)
            # It was computed before the one that came later, although nobody read it.
            await read_turn(after, later)
            await read_turn(resume(stub, waiting), waiting)
            echo.check(waiting, request)

    run(scenario())
    agent.wait_idle("one")


def test_a_call_that_is_there_still_gives_the_turn_up_to_the_one_that_resumes_it(agent):
    async def scenario():
        async with connect(agent) as channel, connect(agent) as other:
            request = resumable("taken over", tokens_per_second=200)
            call = rpc.InferenceStub(channel).Generate(request)
            turn = await read_turn(call, Resumed(), until=lambda turn: turn.tokens > 20)
            resumed = resume(rpc.InferenceStub(other), turn)
            await read_turn(resumed, turn)
            echo.check(turn, request)
            error = await failure(read_all(call))
            assert error.code() == grpc.StatusCode.ABORTED

    run(scenario())


def test_an_absent_turn_ends_with_its_time_and_a_plain_one_with_its_call(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            long = {"model": "one", "max_tokens": 100_000, "tokens_per_second": 100}
            for seconds in (0, 1):
                call = stub.Generate(resumable("long", seconds=seconds, **long))
                turn = await read_turn(call, Resumed() if seconds else Turn(), until=lambda turn: turn.tokens > 0)
                await lose(call)
                await asyncio.to_thread(agent.wait_idle, "one")
            assert (await first_failure(resume(stub, turn)))[0].code() == NOT_FOUND

    run(scenario())


def test_a_turn_is_cancelled_by_who_resumes_it(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            call = stub.Generate(resumable("cancelled", max_tokens=100_000, tokens_per_second=200))
            turn = await read_turn(call, Resumed(), until=lambda turn: turn.tokens > 5)
            await lose(call)
            await read_turn(resume(stub, turn, cancel=True), turn)
            assert turn.finished.reason == CANCELLED

    run(scenario())
    agent.wait_idle("echo")


def test_the_next_turn_of_a_stream_acknowledges_the_one_before(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            call = stub.Chat()
            turns = []
            for number in range(2):
                await call.write(pb.ChatRequest(generate=resumable(f"turn {number}", max_tokens=5)))
                turns.append(await read_turn(call, Resumed()))
            assert (await first_failure(resume(stub, turns[0], after=0)))[0].code() == NOT_FOUND
            assert await read_turn(resume(stub, turns[1], after=0), Resumed()) == turns[1]
            await call.write(pb.ChatRequest(acknowledge=turns[1].seq))
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            assert (await first_failure(resume(stub, turns[1], after=0)))[0].code() == NOT_FOUND

    run(scenario())


def test_a_turn_that_nobody_reads_is_computed_as_far_as_its_ring_goes_and_no_further(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            # Some 800 bytes a token.
            request = resumable("far", max_tokens=15_000)
            request.output.logprobs = 20
            call = stub.Generate(request)
            turn = await read_turn(call, Resumed(), until=lambda turn: turn.tokens > 0)
            await lose(call)
            before, counts = turn.tokens, []

            async def stands_still():
                counts.append(int((await asyncio.to_thread(agent.status))["tokensSent"]))
                return len(counts) > 9 and len(set(counts[-9:])) == 1

            await eventually(stands_still, "it stands still", interval=0.1)
            assert await asyncio.to_thread(agent.number, "echo", "running") == 1
            await read_turn(resume(stub, turn), turn)
            assert before < turn.tokens == 15_000
            echo.check(turn, request)

    run(scenario())


def test_the_death_of_a_backend_is_a_pause_for_an_absent_consumer_too(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            request = resumable("twice lost", max_tokens=300, tokens_per_second=200)
            call = stub.Generate(request)
            turn = await read_turn(call, Resumed(), until=lambda turn: turn.tokens > 20)
            await lose(call)
            before = await asyncio.to_thread(agent.number, "echo", "restarts")
            pid = await asyncio.to_thread(agent.number, "echo", "pid")
            assert pid in descendants(agent.pid)
            os.kill(pid, signal.SIGKILL)

            async def is_restarted():
                return await asyncio.to_thread(agent.number, "echo", "restarts") > before

            await eventually(is_restarted, "the backend was restarted")
            await read_turn(resume(stub, turn), turn)
            echo.check(turn, request)
            assert turn.tokens == 300 and turn.resumed == 1

    run(scenario())


def test_the_owners_hand_holds_an_absent_turn_as_any_other_and_lets_its_consumer_come_back(agent):
    def owner(word):
        return asyncio.to_thread(agent.command_line, word, "--state", agent.state)

    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            request = resumable("held", max_tokens=400, tokens_per_second=200)
            call = stub.Generate(request)
            turn = await read_turn(call, Resumed(), until=lambda turn: turn.tokens > 20)
            await lose(call)
            await owner("drain")
            await owner("pause")
            try:
                resumed = resume(stub, turn)
                await read_turn(resumed, turn, until=lambda turn: turn.paused)
                await lose(resumed)
            finally:
                await owner("resume")
            await read_turn(resume(stub, turn), turn)
            echo.check(turn, request)
            assert turn.tokens == 400 and turn.resumed == 1

    run(scenario())


def test_an_agent_that_ends_waits_for_no_absent_consumer():
    async def scenario(agent):
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            call = stub.Generate(resumable("left", max_tokens=100_000, tokens_per_second=100))
            await read_turn(call, Resumed(), until=lambda turn: turn.tokens > 0)
            await lose(call)

    # It ends of itself when no call is open, an hour sooner than it would be made to.
    with Agent(options=("--grace", "3600")) as agent:
        run(scenario(agent))


def test_a_deadline_ends_the_call_and_not_the_turn(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            request = resumable("late", tokens_per_second=100)
            call = stub.Generate(request, timeout=0.5)
            turn = Resumed()
            error = await failure(read_turn(call, turn))
            assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            await read_turn(resume(stub, turn), turn)
            echo.check(turn, request)

    run(scenario())


CLIENT = """
import sys
import echo, grpc
from hearth.v1 import inference_pb2_grpc as rpc
request = echo.request("killed", max_tokens=2000, tokens_per_second=200, ids=True)
request.resumable_for.seconds = 60
for event in rpc.InferenceStub(grpc.insecure_channel(sys.argv[1])).Generate(request):
    print(event.SerializeToString().hex(), flush=True)
"""


def test_a_killed_client_comes_back_as_another_process(agent):
    async def scenario():
        client = subprocess.Popen([sys.executable, "-c", CLIENT, agent.address], stdout=subprocess.PIPE, text=True)
        turn = Resumed()
        while turn.tokens < 30:
            turn.receive(pb.ChatEvent.FromString(bytes.fromhex(client.stdout.readline())))
        client.kill()
        client.wait()
        client.stdout.close()
        request = resumable("killed", max_tokens=2000, tokens_per_second=200)
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            await read_turn(resume(stub, turn), turn, until=lambda turn: turn.tokens > 300)
            await read_turn(resume(stub, turn, cancel=True), turn)
        echo.check(turn, request)

    run(scenario())
    agent.wait_idle("echo")


def test_fifty_streams_that_are_cut_again_and_again_lose_nothing(agent):
    """Their connections are cut at random; HEARTH_CUT_SECONDS makes it last longer."""
    seconds = float(os.environ.get("HEARTH_CUT_SECONDS", "3"))

    async def scenario():
        chance = random.Random(1)
        async with Cutter(agent) as cutter:
            over = time.monotonic() + seconds
            cuts = 0

            async def read(number):
                request = resumable(f"stream {number}", max_tokens=int(seconds * 100), tokens_per_second=100)
                turn = Resumed()
                while not turn.is_over:
                    async with cutter.channel() as channel:
                        stub = rpc.InferenceStub(channel)
                        call = resume(stub, turn) if turn.token else stub.Generate(request)
                        try:
                            await read_turn(call, turn)
                        except grpc.aio.AioRpcError as error:
                            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
                echo.check(turn, request)
                assert turn.tokens == int(seconds * 100)

            reads = [asyncio.ensure_future(read(number)) for number in range(50)]
            while time.monotonic() < over:
                await asyncio.sleep(0.1)
                cuts += cutter.cut(lambda: chance.random() < 0.1)
            await asyncio.gather(*reads)
            print(f"{cuts} cuts")
            assert cuts > 20

    run(scenario())
    agent.wait_idle("echo")


async def chat(address, *words):
    return await asyncio.create_subprocess_exec(
        PREFIX / "bin/hearth", "chat", "--to", address, "--model", "echo", "--option", "tokens_per_second=200", *words,
        "Hello", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)


def test_hearth_chat_goes_on_by_itself(agent):
    async def scenario():
        async with Cutter(agent) as cutter:
            whole, _ = await (await chat(agent.address, "--max-tokens", "400")).communicate()
            cut = await chat(cutter.address, "--max-tokens", "400")
            text = b""
            for _ in range(4):
                text += await cut.stdout.readexactly(300)
                cutter.cut()
            rest, notes = await cut.communicate()
            assert cut.returncode == 0 and text + rest == whole
            assert b"the connection was lost" in notes

    run(scenario())


def test_an_interrupt_ends_an_answer_that_hearth_chat_went_on_with(agent):
    async def scenario():
        async with Cutter(agent) as cutter:
            cut = await chat(cutter.address, "--max-tokens", "100000")
            await cut.stdout.readexactly(300)
            cutter.cut()
            while b"the connection was lost" not in await cut.stderr.readline():
                pass
            # Everything that was on its way before is fewer bytes.
            await cut.stdout.readexactly(3_000)
            cut.send_signal(signal.SIGINT)
            _, notes = await cut.communicate()
            assert cut.returncode == 130 and b"cancelled" in notes

    run(scenario())
    agent.wait_idle("echo")


def test_a_turn_belongs_to_its_key_and_counts_as_a_call_of_it():
    with ClosedAgent() as agent:
        mine, others = agent.create("mine", "--streams", "1"), agent.create("others")

        async def scenario():
            async with agent.channel(mine) as channel, agent.channel(others) as other:
                stub = rpc.InferenceStub(channel)

                async def are_known():
                    error, _ = await first_failure(rpc.InferenceStub(other).Resume(pb.ResumeRequest(resume_token="x")))
                    return error.code() == NOT_FOUND

                await eventually(are_known, "the keys are in force", interval=0.1)
                request = resumable("mine", max_tokens=100_000, tokens_per_second=100)
                call = stub.Generate(request)
                turn = await read_turn(call, Resumed(), until=lambda turn: turn.tokens > 5)
                # The call is there still, as one is whose connection is lost and does not know it.
                error, _ = await first_failure(resume(rpc.InferenceStub(other), turn))
                assert error.code() == PERMISSION_DENIED
                resumed = resume(stub, turn)
                await read_turn(resumed, turn, until=lambda turn: turn.tokens > 10)
                await lose(resumed)
                error, _ = await first_failure(stub.Generate(echo.request("another", max_tokens=1)))
                assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
                await asyncio.to_thread(agent.revoke, "mine")
                await asyncio.to_thread(agent.wait_idle, "echo")
                error, _ = await first_failure(resume(stub, turn))
                assert error.code() == grpc.StatusCode.UNAUTHENTICATED

        run(scenario())

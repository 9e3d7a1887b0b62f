"""`hearth upgrade` puts a new agent in the place of the one that runs: its consumers notice nothing, and a new agent that
does not come up leaves everything as it was."""

import asyncio
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading

import echo
import grpc
import httpx
import pytest
from agent import PREFIX, descendants, is_alive, wait_until
from consumer import NARROW, OWN_CONNECTION, connect, eventually, first_failure, pb, read_turn, rpc, run
from test_resume import Resumed, lose, resumable, resume
from upgradable import Manager, Upgradable, free_port, processes_of

MODELS = {"echo": {"models": [{"id": "echo", "maxSequences": 64}]}}
# Several times what a narrow connection takes while nobody reads it: a turn of so many stays open.
TOKENS = 16_000


@pytest.fixture
def agent():
    with Upgradable(MODELS) as started:
        yield started


def of_tests(place):
    """The folders above it that pytest has made for this run."""
    above = [folder for folder in place.parents if folder.name.startswith(("pytest-", "popen-"))]
    assert above
    return above


@pytest.fixture
def program(tmp_path_factory):
    """Makes a program of a script, which the agent trusts: others can neither write it nor replace it."""
    folder = tmp_path_factory.mktemp("programs")
    for place in (folder, *of_tests(folder)):
        place.chmod(place.stat().st_mode | 0o055)

    def make(script, mode=0o755):
        path = folder / f"program-{len(list(folder.iterdir()))}"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(mode)
        return path

    return make


async def upgrade(agent, *options):
    return await asyncio.to_thread(agent.upgrade, *options)


class Visitors:
    """Consumers that come and go on every address, and one that calls again and again on one channel. None is refused."""

    def __init__(self, agent):
        self.agent, self.visits, self.calls, self.is_over = agent, 0, 0, False

    async def visit(self, address):
        while not self.is_over:
            async with grpc.aio.insecure_channel(address, options=OWN_CONNECTION) as channel:
                request = echo.request("a few words", max_tokens=3, ids=True)
                echo.check(await read_turn(rpc.InferenceStub(channel).Generate(request)), request)
            self.visits += 1

    async def call(self):
        async with connect(self.agent) as channel:
            while not self.is_over:
                await rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest(), timeout=60)
                self.calls += 1

    async def more(self):
        before = self.visits, self.calls
        await eventually(lambda: self.visits > before[0] + 5 and self.calls > before[1] + 5, "others came and went")

    async def __aenter__(self):
        self.tasks = [asyncio.create_task(self.visit(address)) for address in self.agent.addresses]
        self.tasks.append(asyncio.create_task(self.call()))
        await self.more()
        return self

    async def __aexit__(self, *_):
        self.is_over = True
        await asyncio.gather(*self.tasks)


class Stream:
    """A turn that is read a piece at a time, so that it is open for as long as the test wants."""

    def __init__(self, agent, prompt, chats=False):
        self.request = echo.request(prompt, max_tokens=TOKENS, ids=True)
        self.agent, self.chats, self.turn = agent, chats, None

    async def __aenter__(self):
        self.channel = connect(self.agent, **NARROW)
        stub = rpc.InferenceStub(self.channel)
        if self.chats:
            self.call = stub.Chat()
            await self.write(self.request)
        else:
            self.call = stub.Generate(self.request)
        await self.more()
        return self

    async def write(self, request):
        await self.call.write(pb.ChatRequest(generate=request))

    async def more(self):
        before = self.turn.tokens if self.turn else 0
        self.turn = await read_turn(self.call, self.turn, until=lambda turn: turn.tokens > before + 100)

    async def finish(self):
        echo.check(await read_turn(self.call, self.turn), self.request)
        assert self.turn.tokens == TOKENS

    async def next_turn(self, prompt):
        self.request = echo.request(prompt, max_tokens=50, ids=True)
        await self.write(self.request)
        self.turn = await read_turn(self.call)
        echo.check(self.turn, self.request)

    async def __aexit__(self, *_):
        await self.channel.close()


@pytest.mark.parametrize("times", [1, 5])
def test_streams_go_on_over_upgrades_and_no_connection_is_refused(agent, times):
    async def scenario():
        async with contextlib.AsyncExitStack() as stack:
            visitors = await stack.enter_async_context(Visitors(agent))
            streams, made = [], 0
            for _ in range(times):
                for chats in (False, True):
                    made += 1
                    stream = Stream(agent, f"stream {made}", chats)
                    streams.append(await stack.enter_async_context(stream))
                answer = await upgrade(agent)
                assert answer["version"] == (await asyncio.to_thread(agent.status))["version"]
                assert answer["openCalls"] >= 2
                await visitors.more()
                for stream in streams:
                    await stream.more()
                assert all(map(is_alive, agent.pids))
            assert (await asyncio.to_thread(agent.status))["pid"] == agent.pid
            await asyncio.gather(*[stream.finish() for stream in streams])
        await asyncio.to_thread(agent.wait_alone)

    run(scenario(), seconds=300)
    for before, after in zip(agent.pids, agent.pids[1:]):
        assert f"making way for pid {after}" in agent.log() and f"with pid {before}" in agent.log()


def test_a_turn_that_is_resumed_while_it_is_read_goes_on_over_an_upgrade(agent):
    async def scenario():
        async with connect(agent) as first, connect(agent, **NARROW) as second:
            request = resumable("resumed", max_tokens=TOKENS)
            call = rpc.InferenceStub(first).Generate(request)
            turn = await read_turn(call, Resumed(), until=lambda turn: turn.tokens > 20)
            await lose(call)
            call = resume(rpc.InferenceStub(second), turn)
            await read_turn(call, turn, until=lambda turn: turn.tokens > 200)
            await upgrade(agent)
            echo.check(await read_turn(call, turn), request)
            assert turn.tokens == TOKENS

    run(scenario())


def test_a_turn_whose_consumer_is_absent_is_resumed_at_the_new_agent(agent):
    async def scenario():
        async with connect(agent) as first, connect(agent) as second:
            request = resumable("absent", max_tokens=2_000, tokens_per_second=500)
            call = rpc.InferenceStub(first).Generate(request)
            turn = await read_turn(call, Resumed(), until=lambda turn: turn.tokens > 20)
            await lose(call)
            await upgrade(agent)
            echo.check(await read_turn(resume(rpc.InferenceStub(second), turn), turn), request)
            assert turn.tokens == 2_000

    run(scenario())


def test_a_reader_that_is_lost_behind_an_upgrade_comes_back_to_the_new_agent(agent):
    async def scenario():
        async with connect(agent) as first, connect(agent) as second:
            request = resumable("lost later", max_tokens=2_000, tokens_per_second=500)
            call = rpc.InferenceStub(first).Generate(request)
            turn = await read_turn(call, Resumed(), until=lambda turn: turn.tokens > 20)
            await upgrade(agent)
            await read_turn(call, turn, until=lambda turn: turn.tokens > 200)
            await lose(call)
            echo.check(await read_turn(resume(rpc.InferenceStub(second), turn), turn), request)

    run(scenario())


def test_the_next_turn_of_a_stream_may_come_after_an_upgrade(agent):
    async def scenario():
        async with Stream(agent, "the first", chats=True) as stream:
            await upgrade(agent)
            await stream.finish()
            for number in range(3):
                await stream.next_turn(f"after the upgrade, {number}")
            await upgrade(agent)
            await stream.next_turn("after another one")
            await stream.call.done_writing()
            assert await stream.call.read() is grpc.aio.EOF
        await asyncio.to_thread(agent.wait_alone)

    run(scenario())


# A bridge that has answers to end keeps its listening socket, and the kernel brings new connections to the second of three.
@pytest.mark.parametrize("times", [1, 2])
def test_an_answer_over_http_goes_on_over_upgrades(times):
    address = f"127.0.0.1:{free_port()}"
    with Upgradable(MODELS, options=("--http", address)) as agent:
        # Longer than what is on its way while nobody reads.
        ask = {"model": "echo", "messages": [{"role": "user", "content": "over HTTP"}], "max_tokens": 30_000, "seed": 1}
        with httpx.stream(
            "POST", f"http://{address}/v1/chat/completions", json={**ask, "stream": True}, timeout=60
        ) as answer:
            lines = answer.iter_lines()
            text = [next(lines)]
            for _ in range(times):
                agent.upgrade()
                assert httpx.get(f"http://{address}/v1/models").status_code == 200
            text += [line for line in lines if line]
        assert text.pop() == "data: [DONE]"
        deltas = [json.loads(line.removeprefix("data: "))["choices"][0]["delta"] for line in text]
        whole = httpx.post(f"http://{address}/v1/chat/completions", json=ask, timeout=60).json()["choices"][0]
        assert "".join(delta.get("content") or "" for delta in deltas) == whole["message"]["content"]
        agent.wait_alone()


def text(response):
    return "".join(part["text"] for item in response["output"] for part in item["content"])


@pytest.mark.parametrize("times", [1, 2])
def test_a_response_in_the_background_is_found_behind_upgrades(times):
    address = f"127.0.0.1:{free_port()}"
    models = [{"id": "echo"}, {"id": "paced", "options": {"tokens_per_second": 250}}]
    with Upgradable({"echo": {"models": models}}, options=("--http", address)) as agent, httpx.Client(
        base_url=f"http://{address}/v1", timeout=60
    ) as client:
        ask = {"model": "paced", "input": "over HTTP", "max_output_tokens": 900, "seed": 1}
        whole = client.post("/responses", json={**ask, "model": "echo"}).json()
        # Two would take minutes.
        over, cancelled, deleted = (
            client.post("/responses", json={**ask, **other, "background": True}).json()["id"]
            for other in ({"model": "echo"}, {"max_output_tokens": 30_000}, {"max_output_tokens": 30_000}))
        wait_until(lambda: client.get(f"/responses/{over}").json()["status"] == "incomplete", "a response is over")
        # One is read meanwhile, another one is not.
        with client.stream("POST", "/responses", json={**ask, "background": True, "stream": True}) as answer:
            lines = answer.iter_lines()
            read = [next(lines) for _ in range(8)]
            id = json.loads(read[2].removeprefix("data: "))["response"]["id"]
            left = client.post("/responses", json={**ask, "background": True, "metadata": {"who": "left"}}).json()["id"]
            for _ in range(times):
                agent.upgrade()
                assert text(client.get(f"/responses/{over}").json()) == text(whole)
                assert client.get(f"/responses/{left}").json()["metadata"] == {"who": "left"}
            assert client.post(f"/responses/{cancelled}/cancel").json()["status"] == "cancelled"
            assert client.delete(f"/responses/{deleted}").json()["deleted"]
            read += list(lines)
        # From the start at the new bridge, while it is computed, and behind an event.
        again = [line for line in client.get(f"/responses/{id}", params={"stream": "true"}).text.split("\n")]
        assert [line for line in again if line] == [line for line in read if line]
        behind = client.get(f"/responses/{id}", params={"stream": "true", "starting_after": 100}).text
        assert behind.startswith("id: 101\n") and behind.endswith(again[-3] + "\n\n")
        wait_until(lambda: client.get(f"/responses/{left}").json()["status"] == "incomplete", "a response is over")
        assert text(client.get(f"/responses/{left}").json()) == text(whole)
        assert client.get(f"/responses/{deleted}").status_code == 404
        # What was cancelled or deleted is computed no more, and no process of the agents before stays for it.
        agent.wait_idle("paced")
        agent.wait_alone()
        assert client.get(f"/responses/{cancelled}").json()["status"] == "cancelled"


class Watched:
    """The processes that have run a backend since the watch began."""

    def __init__(self, backend):
        self.backend, self.seen, self.most, self.is_over = backend, set(), 0, False

    def look(self):
        while not self.is_over:
            now = processes_of([self.backend])
            self.seen |= now
            self.most = max(self.most, len(now))

    def __enter__(self):
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()


def test_a_backend_goes_on_as_the_same_process_and_no_second_one_runs_at_any_moment():
    async def scenario(agent, pid):
        async with Stream(agent, "on one process") as stream:
            for _ in range(3):
                await upgrade(agent)
                await stream.more()
                assert await asyncio.to_thread(agent.number, "echo", "pid") == pid
            await stream.finish()
        await asyncio.to_thread(agent.wait_alone)

    # No agent of another test has a backend of this name.
    backend = f"echo-of-{os.getpid()}"
    with Upgradable({backend: MODELS["echo"]}) as agent:
        pid = agent.number("echo", "pid")
        assert len(processes_of([backend])) == 1
        with Watched(backend) as watched:
            run(scenario(agent, pid))
        assert agent.number("echo", "pid") == pid and agent.number("echo", "restarts") == 0
        assert watched.most == 1 and len(watched.seen) == 1


def test_a_turn_is_not_even_paused_by_an_upgrade(agent):
    async def scenario():
        async with connect(agent) as channel:
            request = echo.request("unpaused", max_tokens=3_000, ids=True, tokens_per_second=1_000)
            call = rpc.InferenceStub(channel).Generate(request)
            turn = await read_turn(call, until=lambda turn: turn.tokens > 20)
            await upgrade(agent)
            echo.check(await read_turn(call, turn), request)
            assert not turn.paused
            # What ran there runs here.
            assert int((await asyncio.to_thread(agent.status))["turnsFinished"]) == 1

    run(scenario())


@pytest.mark.parametrize("times", [1, 2])
def test_what_a_key_has_used_of_its_minute_counts_on_over_upgrades(agent, times):
    key = agent.command_line("key", "create", "--state", agent.state, "minute", "--tokens-per-minute", "100").strip()
    metadata = (("authorization", f"Bearer {key}"),)

    async def known():
        with contextlib.suppress(grpc.aio.AioRpcError):
            async with connect(agent) as channel:
                return await rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest(), metadata=metadata, timeout=20)

    async def scenario():
        await eventually(known, "the key is in force")
        async with connect(agent) as before:
            asked = echo.request("much", max_tokens=120, ids=True)
            call = rpc.InferenceStub(before).Generate(asked, metadata=metadata)
            turn = await read_turn(call, until=lambda turn: turn.tokens >= 90)
            for _ in range(times):
                await upgrade(agent)
            async with connect(agent) as after:
                for channel in (before, after):
                    again = rpc.InferenceStub(channel).Generate(echo.request("next", max_tokens=1), metadata=metadata)
                    error, events = await first_failure(again)
                    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and not events
                    assert 1 <= int(re.search(r"try again in (\d+) s", error.details()).group(1)) <= 61
                # Who has no key is not held by it.
                free = echo.request("free", max_tokens=500, ids=True)
                echo.check(await read_turn(rpc.InferenceStub(after).Generate(free)), free)
            assert turn.tokens <= 100
            call.cancel()

    run(scenario())


@pytest.mark.parametrize("paused", [False, True])
def test_a_model_that_is_loading_goes_on_loading_and_whoever_waits_for_it_is_served(paused):
    slow = {"loadSeconds": 120, "models": [{"id": "slow", "options": {"load_delay_ms": 6_000}}]}
    agent = Upgradable({"echo": slow})
    # Nobody waits until it is ready.
    agent.models = []
    with agent:

        def stands(*states):
            backend = agent.backends()["slow"]
            return backend["state"] in states and int(backend.get("pid", 0))

        wait_until(lambda: stands("loading"), "it loads")
        pid = stands("loading", "ready")

        async def scenario():
            async with connect(agent) as channel:
                request = echo.request("waits", model="slow", max_tokens=30, ids=True)
                call = rpc.InferenceStub(channel).Generate(request)
                if paused:
                    await asyncio.to_thread(agent.command_line, "pause", "--state", agent.state)
                for _ in range(2):
                    await upgrade(agent)
                    state = ("paused",) if paused else ("loading", "ready")
                    assert await asyncio.to_thread(stands, *state) == pid
                if paused:
                    await asyncio.to_thread(agent.command_line, "resume", "--state", agent.state)
                echo.check(await read_turn(call), request)
                assert await asyncio.to_thread(stands, "ready") == pid

        run(scenario())
        assert agent.number("slow", "restarts") == 0


@contextlib.contextmanager
def undisturbed(agent):
    """An agent whose consumers and whose processes are the same before and after, and which can still be upgraded."""
    before, processes = agent.pid, set(descendants(agent.pid))
    entered = asyncio.new_event_loop()
    stream = Stream(agent, "undisturbed")
    try:
        entered.run_until_complete(stream.__aenter__())
        yield
        assert agent.pid == before and is_alive(before)
        wait_until(lambda: set(descendants(before)) == processes, f"{before} has the processes {processes} only")
        sockets = {path.name for path in agent.state.iterdir() if path.is_socket()}
        assert sockets == {"admin.sock", "consumers.sock"}
        entered.run_until_complete(stream.more())
        agent.upgrade()
        entered.run_until_complete(asyncio.wait_for(stream.finish(), 60))
        entered.run_until_complete(stream.__aexit__())
    finally:
        entered.close()
    agent.wait_alone()


def test_settings_that_are_broken_leave_the_agent_as_it_was(tmp_path):
    settings = tmp_path / "settings.json"
    for place in (tmp_path, *of_tests(tmp_path)):
        place.chmod(place.stat().st_mode | 0o055)
    settings.write_text("{}")
    settings.chmod(0o644)
    with Upgradable(MODELS, options=("--config", str(settings))) as agent:
        with undisturbed(agent):
            settings.write_text('{"keep-alive": "long"}')
            complaint = agent.refused()
            assert "FAILED_PRECONDITION" in complaint and "exited with status 78" in complaint
            assert "keep-alive" in complaint and f"the agent with pid {agent.pid} goes on" in complaint
            settings.write_text('{"keep-alive": 77}')
        # It has read them anew.
        assert "keep-alive" not in agent.status().get("needsRestart", [])


def test_a_program_that_ends_at_once_leaves_the_agent_as_it_was(agent, program):
    with undisturbed(agent):
        complaint = agent.refused("--executable", program("echo one >&2; echo 'no such library' >&2; exit 7"))
        assert "INTERNAL" in complaint and "exited with status 7: one / no such library" in complaint
        assert f"the agent with pid {agent.pid} goes on" in complaint
        assert "no such library" in agent.log()
        assert "ended by signal 9" in agent.refused("--executable", program("kill -9 $$"))


def test_a_program_that_others_could_change_or_that_is_none_is_not_started(agent, program):
    with undisturbed(agent):
        assert "writable by others" in agent.refused("--executable", program("exit 0", mode=0o777))
        assert "not executable" in agent.refused("--executable", program("exit 0", mode=0o644))
        assert "No such file" in agent.refused("--executable", agent.folder / "missing")


def sleeping(agent):
    """What an agent has started that is sleep(1)."""
    found = []
    for pid in descendants(agent.pid):
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{pid}/comm").read_text() == "sleep\n":
                found.append(pid)
    return found


def test_a_program_that_hangs_is_ended_with_the_command_and_another_upgrade_meanwhile_is_refused(agent, program):
    with undisturbed(agent):
        # The second one ignores SIGTERM.
        for script in ("exec sleep 1000", "trap '' TERM; exec sleep 1000"):
            asked = agent.begin_upgrade("--executable", program(script))
            (hanging,) = wait_until(lambda: sleeping(agent), "the new agent runs")
            complaint = agent.refused()
            assert "an upgrade is under way already" in complaint and str(hanging) in complaint
            asked.send_signal(signal.SIGINT)
            asked.communicate()
            assert asked.returncode == -signal.SIGINT
            wait_until(lambda: not is_alive(hanging), "the new agent was ended")
            wait_until(lambda: "nobody waits for it any more" in agent.log(), "the log says so")


@pytest.mark.waits
def test_a_program_that_hangs_has_a_limit(agent, program):
    with undisturbed(agent):
        asked = agent.begin_upgrade("--executable", program("echo 'I hang' >&2; exec sleep 1000"))
        _, complaint = asked.communicate(timeout=180)
        assert asked.returncode == 1 and "did not take over within 120 s (upgradeMilliseconds)" in complaint
        assert "I hang" in complaint


def test_an_agent_that_ends_ends_the_one_that_comes_up(agent, program):
    asked = agent.begin_upgrade("--executable", program("exec sleep 1000"))
    (hanging,) = wait_until(lambda: sleeping(agent), "the new agent runs")
    agent.process.send_signal(signal.SIGTERM)
    _, complaint = asked.communicate(timeout=60)
    assert asked.returncode in (1, 69), complaint
    assert agent.process.wait(timeout=60) == 0
    assert not is_alive(hanging)


def test_an_upgrade_runs_what_is_installed_now_and_goes_back(tmp_path_factory):
    """The first agent's program is replaced while it runs, as a package does."""
    place = tmp_path_factory.mktemp("prefix")
    for folder in (place, *of_tests(place)):
        folder.chmod(folder.stat().st_mode | 0o055)
    prefix = place / "installed"
    shutil.copytree(PREFIX, prefix, ignore=shutil.ignore_patterns("llama*", "*.gguf"))
    program = prefix / "bin/hearth"
    with Upgradable(MODELS, program=program) as agent:
        with undisturbed(agent):
            fresh = program.with_name("fresh")
            shutil.copy2(program, fresh)
            os.rename(fresh, program)
            assert os.readlink(f"/proc/{agent.pid}/exe").endswith(" (deleted)")
        assert os.readlink(f"/proc/{agent.pid}/exe") == str(program)
        agent.upgrade("--executable", PREFIX / "bin/hearth")
        assert os.readlink(f"/proc/{agent.pid}/exe") == str((PREFIX / "bin/hearth").resolve())
        agent.upgrade("--executable", program)
        agent.wait_alone()
        assert os.readlink(f"/proc/{agent.pid}/exe") == str(program)
        # The command line has not grown.
        arguments = pathlib.Path(f"/proc/{agent.pid}/cmdline").read_bytes().split(b"\0")
        assert arguments.count(b"--take-over") == 1


def parent_of(pid):
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return int(text[text.rindex(")") + 2 :].split()[1])


@pytest.mark.parametrize("abstract", [False, True])
def test_a_service_manager_is_told_which_process_is_the_main_one(abstract, program):
    with Manager(abstract) as manager:
        with Upgradable(MODELS, environment=[f"NOTIFY_SOCKET={manager.name}"]) as agent:
            first = agent.pid
            ((pid, ready),) = manager.wait(1)
            assert pid == first and ready["READY"] == "1" and agent.address in ready["STATUS"]
            os.kill(first, signal.SIGHUP)
            notices = manager.wait(3)[1:]
            assert [pid for pid, _ in notices] == [first, first]
            assert int(notices[0][1]["MONOTONIC_USEC"]) > 0 and notices[0][1]["RELOADING"] == "1"
            assert notices[1][1]["READY"] == "1"
            agent.refused("--executable", program("exit 1"))
            agent.refused("--executable", agent.folder / "missing")
            # A new agent that is ended says nothing either, although it ends as an agent does.
            empty = agent.folder / "empty"
            empty.mkdir(mode=0o755)
            agent.refused("--executable", program(f'exec {PREFIX}/bin/hearth "$@" --backends {empty}'))
            agent.upgrade()
            notices = manager.wait(5)[3:]
            assert notices[0] == (first, {"MAINPID": str(agent.pid)})
            assert notices[1][0] == agent.pid and notices[1][1]["READY"] == "1"
            # A manager waits for the end of its own children only: the new agent was one of them before it was named.
            assert parent_of(agent.pid) != first
            agent.wait_alone()
            environment = pathlib.Path(f"/proc/{agent.pid}/environ").read_bytes()
            assert f"NOTIFY_SOCKET={manager.name}".encode() in environment
            for process in descendants(agent.pid):
                assert b"NOTIFY_SOCKET" not in pathlib.Path(f"/proc/{process}/environ").read_bytes()
            agent.upgrade()
            notices = manager.wait(7)[5:]
            assert notices[0] == (agent.pids[1], {"MAINPID": str(agent.pid)})
            assert notices[1][0] == agent.pid
            agent.wait_alone()
            os.kill(agent.pid, signal.SIGTERM)
            wait_until(lambda: not is_alive(agent.pid), "the agent ended")
        (notice,) = manager.wait(8)[7:]
        assert notice[0] == agent.pid and notice[1]["STOPPING"] == "1"


def test_the_owners_command_says_who_serves(agent):
    said = agent.command_line("upgrade", "--state", agent.state)
    agent.pid = agent.status()["pid"]
    agent.pids.append(agent.pid)
    assert said.startswith(f"The agent with pid {agent.pid}, version {agent.status()['version']} serves now")
    # Nothing answers in another folder.
    answer = subprocess.run(
        [PREFIX / "bin/hearth", "upgrade", "--state", agent.folder / "nobody"], capture_output=True, text=True)
    assert answer.returncode == 69

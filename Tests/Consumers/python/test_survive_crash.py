"""The process that keeps backends and turns over the agent's death: that it is there, and that it goes."""

import asyncio
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import threading

import echo
import grpc
import pytest
from agent import PREFIX, Agent, is_alive, wait_until
from consumer import connect, read_turn, rpc, run
from parcels import HELLO, RELAY, TAKEN, TURN, ScriptedPredecessor, ScriptedSuccessor, parcel
from test_resume import Resumed, resumable, resume


def holder(agent):
    """The process that the agent says keeps what is to survive it."""
    pid = agent.status()["crashHolder"].get("pid", 0)
    if pid:
        assert pathlib.Path(f"/proc/{pid}/comm").read_text() == "hearth-holder\n"
    return pid


def test_nothing_is_kept_unless_the_owner_asks_for_it():
    with Agent() as agent:
        assert "crashHolder" not in agent.status()
        assert "if it dies" not in agent.command_line("status", "--state", agent.state)
        assert not (agent.state / "held.sock").exists()


def test_the_owner_sees_what_keeps_backends_and_turns():
    with Agent(options=["--survive-crash", "60"]) as agent:
        pid = holder(agent)
        assert os.getsid(pid) == pid, "a terminal's signals do not reach it"
        assert agent.status()["crashHolder"]["seconds"] == 60
        shown = agent.command_line("status", "--state", agent.state)
        assert "if it dies" in shown and f"kept for 60 s, by pid {pid}" in shown
        path = agent.state / "held.sock"
        assert path.stat().st_mode & 0o777 == 0o600
    assert not is_alive(pid)
    assert not path.exists()


def test_one_that_ends_is_started_again():
    with Agent(options=["--survive-crash", "60"]) as agent:
        first = holder(agent)
        os.kill(first, signal.SIGKILL)
        second = wait_until(lambda: holder(agent) not in (0, first) and holder(agent), "another holder")
        assert "hearth-holder ended by signal 9" in agent.log()
    assert not is_alive(second)


def test_one_that_takes_over_has_its_own():
    with Agent(listen=["unix:STATE/consumers.sock"], options=["--survive-crash", "60"]) as first:
        earlier = holder(first)
        command = [str(part) for part in first.command] + ["--take-over"]
        with open(first.folder / "second-log", "wb") as log:
            second = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        try:
            assert b"accepting on" in second.stdout.readline()
            assert first.process.wait(timeout=30) == 0
            wait_until(lambda: not is_alive(earlier), "the end of the first agent's holder")
            later = holder(first)
            assert later not in (0, earlier)
            assert (first.state / "held.sock").exists(), "the first agent leaves the second one's"
        finally:
            second.terminate()
            assert second.wait(timeout=30) == 0
            second.stdout.close()
        wait_until(lambda: not is_alive(later), "the end of its holder")


def test_an_agent_that_is_killed_leaves_nothing_after_the_time():
    agent = Agent(options=["--survive-crash", "1"])
    with agent:
        pid = holder(agent)
        agent.process.kill()
        agent.process.wait()
        agent.process.stdout.close()
        wait_until(lambda: not is_alive(pid), "the end of the holder")


def test_stop_says_that_no_agent_runs_where_nothing_is_left():
    with Agent(options=["--survive-crash", "1"]) as agent:
        pid = holder(agent)
        agent.process.kill()
        agent.process.wait()
        agent.process.stdout.close()
        wait_until(lambda: not is_alive(pid), "the end of the holder")
        answer = subprocess.run(
            [str(PREFIX / "bin/hearth"), "stop", "--state", str(agent.state)], capture_output=True, text=True, timeout=60
        )
        assert answer.returncode == 69, answer.stderr
        assert not (agent.state / "held.sock").exists()


def test_stop_ends_what_an_agent_has_left_that_died(tmp_path):
    tmp_path.chmod(0o700)
    ours, holders = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(tmp_path / "held.sock"))
    listener.listen()
    # Lifted, so that placing one does not overwrite another.
    places = [os.open("/dev/null", os.O_RDWR), holders.fileno(), listener.fileno()]
    lifted = [os.dup2(place, 100 + number) for number, place in enumerate(places)]
    actions = [(os.POSIX_SPAWN_DUP2, lifted[max(0, target - 2)], target) for target in range(5)]
    program = str(PREFIX / "libexec/hearth/hearth-holder")
    holder = os.posix_spawn(program, ["hearth-holder"], {}, file_actions=actions)
    for descriptor in lifted + places[:1]:
        os.close(descriptor)
    holders.close()
    listener.close()
    ours.send(parcel(HELLO, message=struct.pack("=II", 1, 600)))
    for key in (7, 8):
        ours.send(parcel(TURN, key, b"a turn"))
    # The agent's death.
    ours.close()
    stop = [str(PREFIX / "bin/hearth"), "stop", "--state", str(tmp_path)]
    answer = subprocess.run(stop, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "No agent runs. 2 backends and turns that one had left when it died have ended.\n"
    assert os.waitpid(holder, 0)[1] == 0
    assert subprocess.run(stop, capture_output=True, timeout=60).returncode == 69
    # As after every ordinary end of a service.
    quiet = subprocess.run([*stop, "--if-running"], capture_output=True, text=True, timeout=60)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


@pytest.mark.parametrize("seconds", ["601", "-1", "soon"])
def test_a_time_that_cannot_be_is_refused(seconds):
    agent = Agent(options=[f"--survive-crash={seconds}"])
    try:
        answer = subprocess.run([str(part) for part in agent.command], capture_output=True, text=True, timeout=60)
        assert answer.returncode == 78 and "survive-crash" in answer.stderr, answer.stderr
    finally:
        agent.clean_up()


class Crashing(Agent):
    """An agent that is killed, and started again at the same address."""

    def __init__(self, seconds=60):
        super().__init__(listen=["unix:STATE/consumers.sock"], options=["--survive-crash", str(seconds)])
        self.starts = 1

    def die(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def start_again(self):
        self.starts += 1
        self.log_name = f"log-{self.starts}"
        super().__enter__()

    def kept(self):
        return self.status()["crashHolder"].get("kept", 0)


def went_on(agent, backend):
    """Whether the agent goes on with the process that the dead one has started; returns the process that runs. One whose agent was
    killed within a message is started anew: nobody knows where the next message begins."""
    pid = agent.number("echo", "pid")
    if "in the middle of a message" not in agent.log():
        assert (pid, agent.number("echo", "restarts")) == (backend, 0)
    return pid


def test_turns_that_can_be_resumed_go_on_over_the_agents_death_with_the_same_process():
    async def begin(agent, channel, request):
        call = rpc.InferenceStub(channel).Generate(request)
        return call, await read_turn(call, Resumed(), until=lambda turn: turn.tokens > 40)

    async def scenario(agent):
        backend = agent.number("echo", "pid")
        requests = [
            resumable(f"kept {index}", max_tokens=600, tokens_per_second=300, **options)
            for index, options in enumerate([{}, {"seed": 5}, {"choices": 2}])]
        async with connect(agent) as channel:
            begun = [await begin(agent, channel, request) for request in requests]
            # The fourth is over before the agent dies, and its end has not come.
            over = resumable("over", max_tokens=20)
            call = rpc.InferenceStub(channel).Generate(over)
            ended = await read_turn(call, Resumed(), until=lambda turn: turn.tokens > 2)
            lost = rpc.InferenceStub(channel).Generate(echo.request("lost", max_tokens=5_000, tokens_per_second=100))
            await lost.read()
            for number in (1, 2):
                await asyncio.to_thread(agent.die)
                if number == 1:
                    with pytest.raises(grpc.aio.AioRpcError) as failure:
                        while await lost.read() is not grpc.aio.EOF:
                            pass
                    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
                await asyncio.to_thread(agent.start_again)
                backend = went_on(agent, backend)
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            for request, (_, turn) in zip(requests, begun):
                echo.check(await read_turn(resume(stub, turn), turn), request)
            echo.check(await read_turn(resume(stub, ended), ended), over)
            again = echo.request("afterwards", max_tokens=10, ids=True)
            echo.check(await read_turn(stub.Generate(again)), again)

    with Crashing() as agent:
        run(scenario(agent), seconds=120)


async def begin_to_read(agent, request):
    async with connect(agent) as channel:
        call = rpc.InferenceStub(channel).Generate(request)
        return await read_turn(call, Resumed(), until=lambda turn: turn.tokens > 20)


async def come_back(agent, turn, request):
    async with connect(agent) as channel:
        echo.check(await read_turn(resume(rpc.InferenceStub(channel), turn), turn), request)


def test_what_was_left_outlives_agents_that_do_not_come_up_or_die_while_they_take_it():
    def start(command):
        return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)

    with Crashing() as agent:
        request = resumable("left twice", max_tokens=120, tokens_per_second=20)
        turn, backend, first = run(begin_to_read(agent, request)), agent.number("echo", "pid"), holder(agent)
        agent.die()
        # One that cannot have its address has taken nothing.
        with socket.create_server(("127.0.0.1", 0)) as other:
            address = f"127.0.0.1:{other.getsockname()[1]}"
            answer = start([*agent.command, "--listen", address])
            assert answer.returncode > 0 and address in answer.stderr, answer
        # One that is killed as its own holder begins.
        prefix = agent.folder / "prefix"
        shutil.copytree(PREFIX, prefix, ignore=shutil.ignore_patterns("llama*", "*.gguf", "lib"))
        deadly = prefix / "libexec/hearth/hearth-holder"
        deadly.write_text("#!/bin/sh\nkill -9 $PPID\n")
        for _ in range(2):
            answer = start([prefix / "bin/hearth", *agent.command[1:]])
            assert answer.returncode == -signal.SIGKILL, answer
        assert is_alive(first) and is_alive(backend)
        agent.start_again()
        went_on(agent, backend)
        assert not is_alive(first) and holder(agent) != first
        assert agent.kept() == 2
        run(come_back(agent, turn, request))


def test_an_agent_that_dies_in_the_middle_of_a_hand_over_leaves_everything():
    with Crashing() as agent:
        request = resumable("between two", max_tokens=600, tokens_per_second=300)
        turn, backend = run(begin_to_read(agent, request)), agent.number("echo", "pid")
        peer = ScriptedSuccessor(agent)
        peer.come_to("backends")
        agent.die()
        peer.close()
        agent.start_again()
        run(come_back(agent, turn, request))
        went_on(agent, backend)


def test_where_an_agent_dies_before_it_lets_go_the_new_one_goes_on_with_what_it_has_left():
    with Crashing() as agent:
        request = resumable("between two", max_tokens=600, tokens_per_second=300)
        turn, backend, process = run(begin_to_read(agent, request)), agent.number("echo", "pid"), agent.process
        first = holder(agent)
        peer, played = ScriptedSuccessor(agent, keeps=True), ScriptedPredecessor(agent)
        peer.come_to("listeners")
        agent.command.append("--take-over")
        new = threading.Thread(target=agent.start_again)
        new.start()
        assert played.is_asked.wait(60)
        peer.pass_on(played.line)
        played.hear(RELAY)
        peer.come_to("backends")
        peer.pass_on(played.line)
        played.hear(TAKEN)
        # It has everything, and has not heard yet that it may go on with it.
        process.kill()
        process.wait()
        process.stdout.close()
        peer.close()
        played.step_aside()
        played.line.close()
        new.join()
        assert f"took over from the agent with pid {process.pid}, with 1 processes of backends" in agent.log()
        assert "an agent before this one has died, and 2 backends and turns were kept" in agent.log()
        assert not is_alive(first)
        run(come_back(agent, turn, request))
        went_on(agent, backend)
        assert agent.status()["pid"] == agent.pid != process.pid


def test_nothing_is_left_once_the_time_is_over():
    async def begin(agent):
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Generate(resumable("kept", max_tokens=5_000, tokens_per_second=100))
            return await read_turn(call, Resumed(), until=lambda turn: turn.tokens > 10)

    async def come_back(agent, turn):
        async with connect(agent) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await read_turn(resume(rpc.InferenceStub(channel), turn), turn)
            assert failure.value.code() == grpc.StatusCode.NOT_FOUND

    with Crashing(seconds=1) as agent:
        turn = run(begin(agent))
        pid, backend = holder(agent), agent.number("echo", "pid")
        assert agent.kept() == 2
        agent.die()
        wait_until(lambda: not is_alive(pid) and not is_alive(backend), "the end of the holder and of the backend")
        agent.start_again()
        run(come_back(agent, turn))

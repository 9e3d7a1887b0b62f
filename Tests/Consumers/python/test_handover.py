"""One agent takes over from another: no stream is lost, no connection refused, and a failed attempt disturbs nobody."""

import asyncio
import copy
import fcntl
import os
import pathlib
import signal
import socket
import subprocess

import echo
import grpc
import pytest
from agent import Agent, is_alive, wait_until
from closed_agent import ClosedAgent
from consumer import NARROW, OWN_CONNECTION, connect, eventually, pb, read_turn, rpc, run
from parcels import FAREWELL, GIVEN, TAKEN, ScriptedSuccessor
from wire import field

STREAMS = 4
# Several times what a narrow connection's window takes while nobody reads: a stream of so many tokens stays open for as
# long as a test does not read it.
TOKENS = 16_000


class Successor(Agent):
    """Another agent with the folders and addresses of one that runs; the folders remain that one's."""

    def __init__(self, predecessor, *options, number=1):
        self.__dict__ = copy.copy(predecessor.__dict__)
        self.command = [part for part in predecessor.command if part not in ("--listen", *predecessor.listen)]
        self.command = [part for part in self.command if part != "--take-over"]
        self.listen = list(predecessor.addresses)
        for address in self.listen:
            self.command += ["--listen", address]
        self.command += options
        self.process = None
        self.log_name = f"log-of-successor-{number}"

    def clean_up(self):
        pass


async def one_turn(channel, prompt="a few words"):
    request = echo.request(prompt, max_tokens=3, ids=True)
    echo.check(await read_turn(rpc.InferenceStub(channel).Generate(request)), request)


def test_an_agent_takes_over_and_no_consumer_notices():
    visits, calls = 0, 0
    is_over, handed_over = False, asyncio.Event()

    async def stay_in_the_middle(agent, index, began):
        """A turn that is not read for as long as the agents change."""
        request = echo.request(f"long {index}", max_tokens=TOKENS, ids=True)
        async with connect(agent, **NARROW) as channel:
            call = rpc.InferenceStub(channel).Generate(request)
            turn = await read_turn(call, until=lambda turn: turn.tokens > 5)
            began.add(index)
            await handed_over.wait()
            echo.check(await read_turn(call, turn), request)

    async def come_and_go(agent, address):
        """New connections, one after the other, on an address."""
        nonlocal visits
        while not is_over:
            async with grpc.aio.insecure_channel(address, options=OWN_CONNECTION) as channel:
                await one_turn(channel)
            visits += 1

    async def call_and_call(agent):
        """Call after call on one channel, which has to find its own way to the successor."""
        nonlocal calls
        async with connect(agent) as channel:
            while not is_over:
                await rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest(), timeout=30)
                calls += 1

    async def scenario(old):
        nonlocal is_over
        began = set()
        streams = [asyncio.create_task(stay_in_the_middle(old, index, began)) for index in range(STREAMS)]
        visitors = [asyncio.create_task(come_and_go(old, address)) for address in old.addresses]
        visitors += [asyncio.create_task(call_and_call(old)) for _ in range(4)]
        await eventually(lambda: len(began) == STREAMS and visits > 5, "all streams began, and others came and went")
        new = await asyncio.to_thread(Successor(old, "--take-over").__enter__)
        try:
            assert new.addresses == old.addresses
            await eventually(lambda: "making way" in old.log(), "the old agent makes way")
            seen = visits, calls
            await eventually(lambda: visits > seen[0] + 20 and calls > seen[1] + 20, "others came and went")
            assert is_alive(old.pid) and not any(task.done() for task in streams)
            handed_over.set()
            await asyncio.gather(*streams)
            await eventually(lambda: not is_alive(old.pid), "the old agent ends")
            assert await asyncio.to_thread(old.process.wait) == 0
            is_over = True
            await asyncio.gather(*visitors)
            assert new.status()["pid"] == new.pid
        finally:
            is_over = True
            handed_over.set()
            await asyncio.to_thread(new.__exit__, None, None, None)

    with Agent(listen=("127.0.0.1:0", "[::1]:0", "unix:STATE/consumers.sock")) as old:
        run(scenario(old))


def test_generation_follows_generation_with_the_same_certificate_and_tokens():
    async def turn(agent):
        async with agent.channel(agent.first_key) as channel:
            await one_turn(channel)

    with ClosedAgent() as first:
        run(turn(first))
        before = first
        for number in (1, 2, 3):
            successor = Successor(before, "--take-over", number=number)
            Agent.__enter__(successor)
            assert before.process.wait(timeout=30) == 0
            assert successor.status()["pid"] == successor.pid
            # By the first one's certificate and key.
            run(turn(first))
            if number == 3:
                successor.__exit__(None, None, None)
            before = successor


def refusal(agent, *options):
    """What a successor says that gives up."""
    command = [str(part) for part in Successor(agent, *options).command]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert answer.returncode != 0 and "accepting" not in answer.stdout, answer
    return answer.stderr


@pytest.fixture
def agent():
    with Agent(listen=("127.0.0.1:0", "unix:STATE/consumers.sock")) as agent:
        yield agent
        # Whatever was tried, it still serves all its addresses and its owner, and can still hand over.
        for address in agent.addresses:
            run(serve_at(address))
        assert agent.status()["pid"] == agent.pid
        sockets = {path.name for path in agent.state.iterdir() if path.is_socket()}
        assert sockets == {"admin.sock", "consumers.sock"}
        with Successor(agent, "--take-over") as successor:
            assert agent.process.wait(timeout=30) == 0
            for address in successor.addresses:
                run(serve_at(address))


async def serve_at(address):
    async with grpc.aio.insecure_channel(address, options=OWN_CONNECTION) as channel:
        await one_turn(channel)


def test_without_the_flag_an_address_in_use_stays_in_use(agent):
    assert "--take-over" in refusal(agent)


def test_a_successor_that_would_not_serve_the_same_models_gives_up(agent):
    empty = agent.folder / "empty"
    empty.mkdir(mode=0o755)
    text = refusal(agent, "--take-over", "--backends", str(empty))
    assert "'echo' would not be served here" in text and str(agent.pid) in text


def test_a_successor_that_cannot_have_an_address_gives_up(agent):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert address in refusal(agent, "--take-over", "--listen", address)


def test_only_one_agent_at_a_time_takes_over(agent):
    with open(agent.state / "take-over.lock", "w") as lock:
        os.chmod(lock.fileno(), 0o666)
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another agent is taking over" in refusal(agent, "--take-over")


def test_taking_over_from_nobody_is_a_start():
    with Agent(options=["--take-over"]) as agent:
        wait_until(lambda: agent.status()["pid"] == agent.pid, "the agent answers its owner")
        assert "no agent runs" in agent.log()


def descriptors(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


GOES_ON = "does not take over, and this one goes on"


def close(peer):
    peer.close()


def end_calls(peer):
    """Where its calls would go on is closed, and nothing else."""
    peer.calls.close()


def say_rubbish(peer):
    peer.line.send(b"this is no parcel at all, however long one looks at it")


def say_what_is_not_its_turn(peer):
    peer.say(GIVEN)


def refuse(peer):
    peer.say(FAREWELL, field(1, "I would not serve one of the models"))


def stall(_):
    """Until the time is over."""


WAYS = [close, say_rubbish, say_what_is_not_its_turn, refuse]


async def break_off(agent, place, ways):
    """New agents that break off at this place, each in one of these ways, while a turn goes on and others begin."""
    backend = await asyncio.to_thread(agent.number, "echo", "pid")
    request = echo.request(f"across {place}", max_tokens=TOKENS, ids=True)
    async with connect(agent, **NARROW) as channel:
        call = rpc.InferenceStub(channel).Generate(request)
        turn = await read_turn(call, until=lambda turn: turn.tokens > 5)
        await one_turn(channel)
        before = descriptors(agent.pid)
        for number, way in enumerate(ways, 1):
            peer = await asyncio.to_thread(ScriptedSuccessor, agent)
            await asyncio.to_thread(peer.come_to, place)
            way(peer)
            await eventually(lambda: agent.log().count(GOES_ON) == number, f"the agent goes on after '{way.__name__}'")
            peer.close()
            await one_turn(channel)
            seen = turn.tokens
            await read_turn(call, turn, until=lambda turn: turn.tokens > seen + 1_000)
            await eventually(lambda: descriptors(agent.pid) == before, f"no descriptor is left of '{way.__name__}'")
        echo.check(await read_turn(call, turn), request)
    assert await asyncio.to_thread(agent.number, "echo", "pid") == backend
    assert await asyncio.to_thread(agent.number, "echo", "restarts") == 0
    if refuse in ways:
        assert f"{GOES_ON}: I would not serve one of the models" in agent.log()


# The fixture has a real one take over then.
@pytest.mark.parametrize("place", ScriptedSuccessor.PLACES)
def test_a_hand_over_that_breaks_off_in_its_middle_disturbs_nobody(agent, place):
    run(break_off(agent, place, [end_calls] if place == "calls" else WAYS), seconds=120)


@pytest.mark.waits
@pytest.mark.parametrize("place", ["listeners", "backends"])
def test_a_hand_over_that_stalls_in_its_middle_disturbs_nobody(agent, place):
    run(break_off(agent, place, [stall]), seconds=120)


def refuses(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=20).close()
    except ConnectionRefusedError:
        return True
    return False


def test_an_agent_that_is_told_to_stop_in_the_middle_keeps_what_it_has():
    async def scenario(agent):
        request = echo.request("to its end", max_tokens=TOKENS, ids=True)
        async with connect(agent, **NARROW) as channel:
            call = rpc.InferenceStub(channel).Generate(request)
            turn = await read_turn(call, until=lambda turn: turn.tokens > 5)
            peer = await asyncio.to_thread(ScriptedSuccessor, agent)
            await asyncio.to_thread(peer.come_to, "backends")
            agent.process.send_signal(signal.SIGTERM)
            await eventually(lambda: refuses(agent.address), "the agent ends")
            peer.say(TAKEN)
            assert await asyncio.to_thread(peer.receive) == FAREWELL
            peer.close()
            # What is open has its grace, and the backend that stood still goes on for it.
            echo.check(await read_turn(call, turn), request)
        assert await asyncio.to_thread(agent.process.wait, 30) == 0
        assert f"{GOES_ON}: this agent ends" in agent.log()

    with Agent() as agent:
        run(scenario(agent))

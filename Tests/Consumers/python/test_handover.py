"""One agent takes over from another: no stream is lost, no connection refused, and a failed attempt changes nothing."""

import asyncio
import copy
import subprocess

import echo
from agent import Agent, is_alive, wait_until
from consumer import connect, pb, read_turn, rpc, run

STREAMS = 24


class Successor(Agent):
    """Another agent with the same folders and addresses as one that runs. Its owner is that one."""

    def __init__(self, predecessor, *options):
        self.__dict__ = copy.copy(predecessor.__dict__)
        self.command = [part for part in predecessor.command if part not in ("--listen", *predecessor.listen)]
        for address in predecessor.addresses:
            self.command += ["--listen", address]
        self.command += options
        self.process = None


def pid_that_answers(agent):
    return agent.status()["pid"]


async def until(condition):
    while not condition():
        await asyncio.sleep(0.02)


def test_an_agent_takes_over_and_no_consumer_notices():
    new_connections, calls = 0, 0
    handed_over = False

    async def stream(agent, index, began):
        request = echo.request(f"long {index}", max_tokens=600, ids=True, tokens_per_second=100)
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Generate(request)
            turn = await read_turn(call, until=lambda turn: turn.tokens > 5)
            began[index] = True
            echo.check(await read_turn(call, turn), request)

    async def come_and_go(agent, address):
        """New connections, one after the other, on an address."""
        nonlocal new_connections
        target = copy.copy(agent)
        target.address = address
        while not handed_over:
            request = echo.request(f"short {new_connections}", max_tokens=3, ids=True)
            async with connect(target) as channel:
                echo.check(await read_turn(rpc.InferenceStub(channel).Generate(request)), request)
            new_connections += 1

    async def stay(agent):
        """Call after call on one channel, which has to find its own way to the successor."""
        nonlocal calls
        async with connect(agent) as channel:
            while not handed_over:
                await rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest(), timeout=30)
                calls += 1

    async def scenario(old):
        nonlocal handed_over
        began = {}
        streams = [asyncio.create_task(stream(old, index, began)) for index in range(STREAMS)]
        visitors = [asyncio.create_task(come_and_go(old, address)) for address in old.addresses]
        visitors += [asyncio.create_task(stay(old)) for _ in range(4)]
        await until(lambda: len(began) == STREAMS and new_connections > 4)
        new = await asyncio.to_thread(Successor(old, "--take-over").__enter__)
        try:
            assert new.addresses == old.addresses
            assert not any(task.done() for task in streams), "streams are open while the agents change"
            seen = new_connections, calls
            await asyncio.gather(*streams)
            await until(lambda: not is_alive(old.pid))
            assert await asyncio.to_thread(old.process.wait) == 0
            await until(lambda: new_connections > seen[0] + 20 and calls > seen[1] + 20)
            handed_over = True
            await asyncio.gather(*visitors)
            assert pid_that_answers(new) == new.pid
        finally:
            handed_over = True
            await asyncio.to_thread(new.__exit__, None, None, None)

    with Agent(listen=("127.0.0.1:0", "unix:STATE/consumers.sock")) as old:
        run(scenario(old))


def test_whoever_does_not_take_over_finds_the_addresses_in_use_and_a_successor_that_cannot_serve_gives_up():
    def refusal(agent, *options):
        command = [str(part) for part in Successor(agent, *options).command]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert answer.returncode != 0 and "accepting" not in answer.stdout, answer
        return answer.stderr

    async def one_turn(agent):
        request = echo.request("still here", max_tokens=5, ids=True)
        async with connect(agent) as channel:
            echo.check(await read_turn(rpc.InferenceStub(channel).Generate(request)), request)

    with Agent() as agent:
        assert "--take-over" in refusal(agent)
        empty = agent.folder / "empty"
        empty.mkdir(mode=0o755)
        text = refusal(agent, "--take-over", "--backends", str(empty))
        assert "'echo' is not ready here" in text and str(agent.pid) in text
        run(one_turn(agent))
        assert pid_that_answers(agent) == agent.pid


def test_taking_over_from_nobody_is_a_start():
    with Agent(options=["--take-over"]) as agent:
        wait_until(lambda: pid_that_answers(agent) == agent.pid, "the agent answers its owner")
        assert "no agent runs" in agent.log()

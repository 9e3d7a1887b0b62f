"""Who may call, and how much: access keys as stock clients send them."""

import asyncio
import json
import os
import re
import subprocess
import time

import echo
import grpc
import pytest
from agent import PREFIX, Agent, wait_until
from closed_agent import ClosedAgent
from consumer import OWN_CONNECTION, detail, eventually, failure, first_failure, pb, read_turn, rpc, run
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


async def models(channel):
    answer = await rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest(), timeout=20)
    return [model.id for model in answer.models]


async def refused(agent, key, code=UNAUTHENTICATED):
    """The words with which every kind of call is refused; no handler may have seen any of them."""
    async with agent.channel(key) as channel:
        stub = rpc.InferenceStub(channel)
        errors = [await failure(models(channel)), await failure(stub.CountTokens(echo.request("no"), timeout=20))]
        for call in (stub.Generate(echo.request("no", max_tokens=1), timeout=20), stub.Chat(timeout=20)):
            error, events = await first_failure(call)
            assert not events
            errors.append(error)
    for error in errors:
        assert error.code() == code, error
        assert key is None or key not in error.details()
    return errors[0].details()


async def until_known(agent, key):
    """A key that was made a moment ago is in force within seconds."""

    async def known():
        try:
            async with agent.channel(key) as channel:
                return await models(channel)
        except grpc.aio.AioRpcError as error:
            assert error.code() == UNAUTHENTICATED, error

    return await eventually(known, "the key is in force", seconds=10, interval=0.1)


def test_a_call_without_a_key_or_with_a_wrong_one_is_unauthenticated_and_one_with_a_key_is_served():
    async def scenario(agent):
        assert "hearth key create" in await refused(agent, None)
        assert "not known" in await refused(agent, "hearth_" + "A" * 43)
        assert "Bearer" in await refused(agent, "nonsense")
        request = echo.request("served", max_tokens=20, ids=True)
        async with agent.channel(agent.first_key) as channel:
            echo.check(await read_turn(rpc.InferenceStub(channel).Generate(request)), request)
        async with agent.channel() as channel:
            for metadata in (
                [("authorization", f"bearer {agent.first_key}")],
                [("authorization", f"BEARER  {agent.first_key}")],
            ):
                await rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest(), metadata=metadata)
            for metadata in (
                [("authorization", f"Basic {agent.first_key}")],
                [("authorization", agent.first_key)],
                [("authorization", f"Bearer {agent.first_key}")] * 2,
                [("authorization", "")],
            ):
                error = await failure(rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest(), metadata=metadata))
                assert error.code() == UNAUTHENTICATED
            # What there is is not told to strangers either.
            error = await failure(channel.unary_unary("/hearth.v1.Missing/Chat")(b""))
            assert error.code() == UNAUTHENTICATED

    with ClosedAgent() as agent:
        run(scenario(agent))
        assert agent.first_key not in agent.log()


def test_a_key_works_while_it_is_there_and_not_expired_without_a_restart():
    async def scenario(agent):
        key = await asyncio.to_thread(agent.create, "guest")
        assert await until_known(agent, key) == ["echo"]
        short = await asyncio.to_thread(agent.create, "short", "--expires", "5s")
        assert await until_known(agent, short) == ["echo"]
        async with agent.channel(key) as channel:
            call = rpc.InferenceStub(channel).Generate(echo.request("long", max_tokens=100_000, tokens_per_second=50))
            turn = await read_turn(call, until=lambda turn: turn.tokens > 0)
            await asyncio.to_thread(agent.revoke, "guest")
            error = await failure(read_turn(call, turn))
            assert error.code() == UNAUTHENTICATED and "revoked" in error.details()
        await asyncio.to_thread(agent.wait_idle, "echo")
        assert "not known" in await refused(agent, key)
        async with agent.channel(agent.first_key) as channel:
            assert await models(channel) == ["echo"]

        async def expired():
            async with agent.channel(short) as channel:
                try:
                    await models(channel)
                except grpc.aio.AioRpcError as error:
                    assert error.code() == UNAUTHENTICATED and "expired" in error.details()
                    return True

        await eventually(expired, "it expires", seconds=20, interval=0.2)

    with ClosedAgent() as agent:
        run(scenario(agent))


def test_a_key_sees_and_uses_its_models_only():
    async def scenario(agent):
        key = await asyncio.to_thread(agent.create, "narrow", "--model", "echo")
        assert await until_known(agent, key) == ["echo"]
        async with agent.channel(key) as channel:
            stub = rpc.InferenceStub(channel)
            for model in ("other", "nothing"):
                error, events = await first_failure(stub.Generate(echo.request("no", model=model, max_tokens=1)))
                assert error.code() == grpc.StatusCode.PERMISSION_DENIED
                assert model in error.details() and "echo" in error.details() and not events
                error = await failure(stub.CountTokens(echo.request("no", model=model)))
                assert error.code() == grpc.StatusCode.PERMISSION_DENIED
            # With one model to choose from, none need be named.
            request = echo.request("yes", model="", max_tokens=3, ids=True)
            echo.check(await read_turn(stub.Generate(request)), request)
        async with agent.channel(agent.first_key) as channel:
            assert await models(channel) == ["echo", "other"]

    with ClosedAgent({"echo": None, "other": None}) as agent:
        run(scenario(agent))


def test_a_key_opens_no_more_streams_at_once_than_it_allows():
    async def scenario(agent):
        key = await asyncio.to_thread(agent.create, "two", "--streams", "2")
        await until_known(agent, key)
        request = echo.request("open", max_tokens=100_000, tokens_per_second=50)
        async with agent.channel(key) as first, agent.channel(key) as second:
            calls = [rpc.InferenceStub(channel).Generate(request) for channel in (first, second)]
            for call in calls:
                await read_turn(call, until=lambda turn: turn.tokens > 0)
            error, events = await first_failure(rpc.InferenceStub(second).Generate(request))
            assert error.code() == RESOURCE_EXHAUSTED and "2 calls" in error.details() and not events
            # Another key is not held by this one's limit.
            async with agent.channel(agent.first_key) as channel:
                assert await models(channel) == ["echo"]
            calls[0].cancel()
            await asyncio.to_thread(wait_until, lambda: agent.number("echo", "running") == 1, "one is cancelled")
            again = echo.request("again", max_tokens=3, ids=True)
            echo.check(await read_turn(rpc.InferenceStub(second).Generate(again)), again)
            # Each choice counts as a call, as long as the turn lasts.
            again.choices = 2
            error, events = await first_failure(rpc.InferenceStub(second).Generate(again))
            assert error.code() == RESOURCE_EXHAUSTED and "the 2 choices" in error.details() and not events
            calls[1].cancel()
            await asyncio.to_thread(wait_until, lambda: agent.number("echo", "running") == 0, "both are cancelled")
            for _ in range(2):
                answered = [event async for event in rpc.InferenceStub(second).Generate(again)]
                assert len(answered[-1].usage.choices) == 2
            again.stopping.max_tokens = 100_000
            both = rpc.InferenceStub(second).Generate(again)
            await both.read()
            error, _ = await first_failure(rpc.InferenceStub(first).Generate(request))
            assert error.code() == RESOURCE_EXHAUSTED and "2 calls" in error.details()
            both.cancel()

    with ClosedAgent() as agent:
        run(scenario(agent))


def test_the_tokens_of_vectors_count_and_refuse_the_next_request():
    async def scenario(agent):
        key = await asyncio.to_thread(agent.create, "vectors", "--tokens-per-minute", "100")
        await until_known(agent, key)
        asked = pb.EmbedRequest(model="echo", inputs=[pb.EmbedInput(text="word " * 60)] * 2)
        async with agent.channel(key) as channel:
            stub = rpc.InferenceStub(channel)
            assert (await stub.Embed(asked)).prompt_tokens == 120
            error = await failure(stub.Embed(asked))
            assert error.code() == RESOURCE_EXHAUSTED and "try again in" in error.details()
            assert (await failure(stub.Rerank(pb.RerankRequest(model="echo", query="q", documents=["d"])))).code() == (
                RESOURCE_EXHAUSTED)

    with ClosedAgent() as agent:
        run(scenario(agent))


@pytest.mark.waits
def test_the_tokens_of_a_minute_hold_the_answers_and_refuse_the_next_request_with_the_time_to_wait():
    async def scenario(agent):
        key = await asyncio.to_thread(agent.create, "slow", "--tokens-per-minute", "100")
        await until_known(agent, key)
        async with agent.channel(key) as channel:
            stub = rpc.InferenceStub(channel)
            began = time.monotonic()
            call = stub.Generate(echo.request("much", max_tokens=120, ids=True))
            turn = await read_turn(call, until=lambda turn: turn.tokens >= 99)
            assert turn.tokens <= 100
            error, events = await first_failure(stub.Generate(echo.request("next", max_tokens=1)))
            assert error.code() == RESOURCE_EXHAUSTED and not events
            wait = int(re.search(r"try again in (\d+) s", error.details()).group(1))
            assert 1 <= wait <= 61
            assert_same_wait(error, wait)
            # The others are not held by it.
            request = echo.request("other", max_tokens=500, ids=True)
            async with agent.channel(agent.first_key) as other:
                echo.check(await read_turn(rpc.InferenceStub(other).Generate(request)), request)
            # What has begun goes on once there is room again, and is whole.
            turn = await read_turn(call, turn)
            assert turn.tokens == 120
            assert time.monotonic() - began >= wait - 2

    with ClosedAgent() as agent:
        run(scenario(agent))


def assert_same_wait(error, seconds):
    """What a program reads of a refusal is what a person reads, in the standard's bytes."""
    assert detail(error, error_details_pb2.RetryInfo).retry_delay.ToMilliseconds() in range(1, seconds * 1000 + 1)
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert (status.code, status.message) == (error.code().value[0], error.details())
    names = [message.type_url for message in status.details]
    assert "type.googleapis.com/google.rpc.RetryInfo" in names, names


def test_health_needs_no_key_and_everything_else_does():
    async def scenario(agent):
        async with agent.channel() as channel:
            health = health_pb2_grpc.HealthStub(channel)
            for service in ("", "hearth.v1.Inference", "echo"):
                asked = health_pb2.HealthCheckRequest(service=service)
                assert (await health.Check(asked, timeout=20)).status == health_pb2.HealthCheckResponse.SERVING
            watch = health.Watch(asked)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            listed = await health.List(health_pb2.HealthListRequest(), timeout=20)
            assert "echo" in listed.statuses
            for version in ("v1", "v1alpha"):
                reflect = channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
                # Nothing is sent: grpcio may tell of a message that came too late rather than of the refusal.
                error, answers = await first_failure(reflect(timeout=20))
                assert error.code() == UNAUTHENTICATED and not answers
        await refused(agent, None)

    with ClosedAgent() as agent:
        run(scenario(agent))


def test_the_connection_string_is_shown_once_and_opens_the_way_for_the_command_line():
    with ClosedAgent() as agent:
        hearth = str(PREFIX / "bin/hearth")
        environment = {key: value for key, value in os.environ.items() if key != "HEARTH_KEY"}

        def ask(*arguments, **extra):
            return subprocess.run(
                [hearth, *map(str, arguments)], capture_output=True, text=True, timeout=60, env={**environment, **extra}
            )

        answer = ask("models", "--to", agent.connection)
        assert answer.returncode == 0 and "echo" in answer.stdout, answer.stderr
        answer = ask("chat", "--to", agent.connection, "--max-tokens", "5", "Hello")
        assert answer.returncode == 0 and answer.stdout.strip(), answer.stderr
        # Every part of it is needed.
        without_key = re.sub(r"key=[^&]+&", "", agent.connection)
        answer = ask("models", "--to", without_key)
        assert answer.returncode == 1 and "UNAUTHENTICATED" in answer.stderr and "hearth key create" in answer.stderr
        answer = ask("models", "--to", without_key, HEARTH_KEY=agent.first_key)
        assert answer.returncode == 0, answer.stderr
        file = agent.folder / "key"
        file.write_text(agent.first_key + "\n")
        assert ask("models", "--to", without_key, "--key-file", file).returncode == 0
        other = re.sub(r"sha256:..", "sha256:" + ("00" if "sha256:00" not in agent.connection else "11"), agent.connection)
        answer = ask("models", "--to", other)
        assert answer.returncode == 69 and "not the pinned one" in answer.stderr
        answer = ask("models", "--to", agent.connection[:-4])
        assert answer.returncode == 64 and agent.first_key not in answer.stderr
        assert agent.first_key not in agent.log()
        assert agent.first_key not in (agent.state / "keys.json").read_text()
        # One that talks keeps the key out of what other users see of its arguments.
        talking = subprocess.Popen(
            [hearth, "chat", "--to", agent.connection, "--option", "tokens_per_second=20", "--max-tokens", "200", "Hi"],
            stdout=subprocess.PIPE,
            env=environment,
        )
        try:
            assert talking.stdout.read(1)
            shown = open(f"/proc/{talking.pid}/cmdline", "rb").read()
            assert agent.connection[:20].encode() in shown and agent.first_key.encode() not in shown
        finally:
            talking.kill()
            talking.wait()


def test_the_owner_lists_keys_without_their_secrets_and_a_second_start_makes_none():
    with ClosedAgent() as agent:
        key = agent.create("guest", "--expires", "30d", "--streams", "3", "--tokens-per-minute", "60", "--model", "a")
        assert re.fullmatch(r"hearth_[A-Za-z0-9_-]{43}", key)
        table = agent.command_line("key", "list", "--state", agent.state)
        assert "default" in table and "guest" in table and key not in table and agent.first_key not in table
        lines = [
            json.loads(line)
            for line in agent.command_line("key", "list", "--state", agent.state, "--json").splitlines()
        ]
        assert [line["name"] for line in lines] == ["default", "guest"]
        assert lines[1]["streams"] == 3 and lines[1]["tokensPerMinute"] == 60 and lines[1]["models"] == ["a"]
        assert (agent.state / "keys.json").stat().st_mode & 0o777 == 0o600
        taken = subprocess.run(
            [str(PREFIX / "bin/hearth"), "key", "create", "--state", str(agent.state), "guest"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert taken.returncode == 1 and "guest" in taken.stderr and not taken.stdout
        # Started again with the same folder: it holds its keys, and shows none.
        agent.process.terminate()
        assert agent.process.wait(timeout=30) == 0
        Agent.__enter__(agent)

        async def scenario():
            for known in (agent.first_key, key):
                async with agent.channel(known) as channel:
                    await models(channel)

        run(scenario())


def test_a_revoked_key_among_a_hundred_thousand_ends_at_once_and_others_go_on():
    async def scenario(agent):
        guest = await asyncio.to_thread(agent.create, "guest")
        assert await until_known(agent, guest) == ["echo"]
        request = echo.request("long", max_tokens=100_000, tokens_per_second=50)
        async with agent.channel(guest) as theirs, agent.channel(agent.first_key) as ours:
            calls = [rpc.InferenceStub(channel).Generate(request) for channel in (theirs, ours)]
            turns = [await read_turn(call, until=lambda turn: turn.tokens > 0) for call in calls]
            agent.add_unused_keys(99_998)
            await asyncio.to_thread(wait_until, lambda: "keys read again: 100000" in agent.log(), "they are read")
            assert "not known" in await refused(agent, "hearth_" + "A" * 43)
            await asyncio.to_thread(agent.revoke, "guest")
            error = await failure(read_turn(calls[0], turns[0]))
            assert error.code() == UNAUTHENTICATED and "revoked" in error.details()
            before = turns[1].tokens
            await read_turn(calls[1], turns[1], until=lambda turn: turn.tokens > before + 5)
            calls[1].cancel()

    with ClosedAgent() as agent:
        run(scenario(agent))


def test_on_a_full_disk_no_key_is_made_and_those_that_there_are_stay(tmp_path):
    script = """
        set -e
        mount -t tmpfs -o size=64k,mode=700 tmpfs "$0"
        "$1" key create --state "$0" first >/dev/null
        cp "$0/keys.json" "$2/before"
        ! dd if=/dev/zero of="$0/filling" bs=1k 2>"$2/dd"
        ! "$1" key create --state "$0" second >"$2/out" 2>"$2/error"
        cmp "$0/keys.json" "$2/before"
        ls -A "$0" >"$2/left"
    """
    state, told = tmp_path / "state", tmp_path / "told"
    state.mkdir()
    told.mkdir()
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*namespace, "mount", "-t", "tmpfs", "tmpfs", str(state)], capture_output=True).returncode != 0:
        pytest.skip("no disk of its own can be made here (unshare --mount)")
    done = subprocess.run(
        [*namespace, "bash", "-c", script, str(state), str(PREFIX / "bin/hearth"), str(told)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    error = (told / "error").read_text()
    assert "No space left on device" in error and f"the disk that is mounted at {state}" in error
    assert (told / "out").read_text() == ""
    assert (told / "left").read_text().split() == ["filling", "keys.json"]


def test_on_loopback_a_key_is_asked_for_only_on_request_but_a_wrong_one_is_refused():
    with Agent() as agent:

        async def scenario():
            async with grpc.aio.insecure_channel(agent.address, options=OWN_CONNECTION) as channel:
                stub = rpc.InferenceStub(channel)
                assert await models(channel) == ["echo"]
                wrong = [("authorization", "Bearer hearth_" + "A" * 43)]
                error = await failure(stub.ListModels(pb.ListModelsRequest(), metadata=wrong))
                assert error.code() == UNAUTHENTICATED

        run(scenario())
        assert not (agent.state / "keys.json").exists()

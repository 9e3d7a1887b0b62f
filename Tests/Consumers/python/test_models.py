"""Models of a folder: found, named, loaded by their first request, and given up when others need their memory.

Echo serves the files here. It reads none of them, and says the same for each.
"""

import asyncio
import hashlib
import json
import os
import signal
import subprocess

import echo
import grpc
import pytest
from agent import PREFIX, Agent, is_alive, wait_until
from consumer import connect, detail, failure, first_failure, pb, read_turn, rpc, run
from google.rpc import error_details_pb2
from terminal import Terminal

MANIFEST = {"serves": ["words"], "memoryMebibytes": 100}
UNLOADED, READY = pb.MODEL_STATE_UNLOADED, pb.MODEL_STATE_READY


class ModelAgent(Agent):
    """Has room for two models at once, and keeps each for five minutes."""

    def __init__(self):
        super().__init__({"echo": MANIFEST}, options=["--memory", "250M"])

    def add(self, name, content="words", settings=None):
        if settings is not None:
            (self.model_folder / f"{name.rpartition('.')[0]}.json").write_text(settings)
        # As a careful person does it.
        (self.model_folder / f".{name}").write_text(content)
        (self.model_folder / f".{name}").rename(self.model_folder / name)

    def processes(self, model):
        """Those of one model, by their numbers, as `hearth backends` lists them."""
        answer = json.loads(self.command_line("backends", "--state", self.state, "--json"))
        return [entry for entry in answer.get("backends", []) if entry["model"] == model]

    def state_of(self, model):
        return self.backends().get(model, {}).get("state")

    def wait_state(self, model, state):
        wait_until(lambda: self.state_of(model) == state, f"{model} {state}")

    def models_text(self):
        return self.command_line("models", "--to", self.address, "--state", self.state)


@pytest.fixture(scope="module")
def agent():
    with ModelAgent() as started:
        yield started


@pytest.fixture(autouse=True)
def empty(request):
    """Each test begins and ends without a model."""
    agent = request.getfixturevalue("agent")
    yield
    for path in agent.model_folder.iterdir():
        path.unlink()
    wait_until(lambda: not agent.backends(), "no model left")


def ask(agent, model, max_tokens=5, prompt="a b c", **options):
    """One whole turn, checked against what echo says."""

    async def scenario():
        async with connect(agent) as channel:
            request = echo.request(prompt, model=model, max_tokens=max_tokens, **options)
            call = rpc.InferenceStub(channel).Generate(request)
            events = [event async for event in call]
            turn = await read_turn(Replay(events))
            echo.check(turn, request)
            return turn, events

    return run(scenario())


class Replay:
    def __init__(self, events):
        self.events = iter(events)

    async def read(self):
        return next(self.events)


def listed(agent):
    async def scenario():
        async with connect(agent) as channel:
            answer = await rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest())
            return {model.id: model for model in answer.models}

    return run(scenario())


def test_a_file_is_a_model_that_its_first_request_loads(agent):
    agent.add("Fox-1B-Q4_0.words", "the weights")
    agent.wait_state("fox-1b:q4_0", "unloaded")
    assert listed(agent)["fox-1b:q4_0"].state == UNLOADED
    assert "No model is in memory" in agent.command_line("ps", "--state", agent.state)
    # Its name without the quantisation is enough where it is the only one.
    turn, events = ask(agent, "fox-1b", queue_events=True)
    assert turn.accepted.model == "fox-1b:q4_0"
    assert turn.accepted.model_digest == hashlib.sha256(b"the weights").digest()
    queued = [event.queued for event in events if event.WhichOneof("event") == "queued"]
    assert queued and all(0 <= event.loaded_fraction <= 1 and event.HasField("loaded_fraction") for event in queued)
    model = listed(agent)["fox-1b:q4_0"]
    assert model.state == READY and model.digest == turn.accepted.model_digest
    table = agent.command_line("ps", "--state", agent.state)
    assert "fox-1b:q4_0" in table and "in 4 min" in table
    # The next one waits for nothing.
    _, events = ask(agent, "fox-1b:q4_0")
    assert events[0].WhichOneof("event") == "accepted"


def test_a_request_waits_for_a_file_that_was_brought_a_moment_ago(agent):
    agent.add("fox.words")
    wait_until(lambda: "fox" in listed(agent), "listed")
    turn, _ = ask(agent, "fox", queue_events=True)
    assert turn.queued > 0


def test_a_name_that_several_models_have_is_refused_with_all_of_them(agent):
    agent.add("fox-q4_0.words")
    agent.add("fox-q8_0.words")
    wait_until(lambda: len(listed(agent)) == 2, "both listed")

    async def scenario():
        async with connect(agent) as channel:
            error, _ = await first_failure(rpc.InferenceStub(channel).Generate(echo.request("x", model="fox")))
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert "fox:q4_0, fox:q8_0" in error.details()
            error, _ = await first_failure(rpc.InferenceStub(channel).Generate(echo.request("x", model="wolf")))
            assert error.code() == grpc.StatusCode.NOT_FOUND and "fox:q4_0" in error.details()

    run(scenario())


def test_a_prompt_is_counted_by_a_model_that_is_not_loaded_yet(agent):
    agent.add("fox.words")
    agent.wait_state("fox", "unloaded")

    async def scenario():
        async with connect(agent) as channel:
            counted = await rpc.InferenceStub(channel).CountTokens(echo.request("a b c d", model="fox"))
            assert counted.tokens == 4

    run(scenario())


def test_a_request_says_how_long_its_model_is_kept(agent):
    agent.add("fox.words")
    agent.wait_state("fox", "unloaded")

    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            request = echo.request("a b", model="fox", max_tokens=3)
            request.keep_alive.seconds = 0
            echo.check(await read_turn(stub.Generate(request)), request)
            request.keep_alive.seconds = 86_401
            error = await failure(stub.Generate(request).read())
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and "keep_alive" in error.details()

    run(scenario())
    agent.wait_state("fox", "unloaded")
    wait_until(lambda: agent.number("fox", "pid") == 0, "no process left")


def test_the_model_that_was_idle_for_longest_makes_room_and_a_stream_never_does(agent):
    for name in ("a", "b", "c"):
        agent.add(f"{name}.words")
    for name in ("a", "b", "c"):
        agent.wait_state(name, "unloaded")

    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            request = echo.request("a b", model="a", max_tokens=100_000, ids=True, tokens_per_second=500)
            call = stub.Generate(request)
            turn = await read_turn(call, until=lambda turn: turn.tokens > 10)
            # There is room for one beside it: b and c take turns, and the stream goes on.
            for model in ("b", "c", "b"):
                await asyncio.to_thread(ask, agent, model)
                states = {name: entry["state"] for name, entry in agent.backends().items()}
                assert states["a"] == "ready" and states[model] == "ready"
                assert sorted(states.values()) == ["ready", "ready", "unloaded"]
            turn = await read_turn(call, turn, until=lambda turn: turn.tokens > 50)
            assert turn.token_ids[:50] == echo.token_ids(0, "a b", 50)
            # Who finds no room at all waits until a stream ends, and so does who only has a question.
            second = stub.Generate(echo.request("x", model="b", max_tokens=100_000, tokens_per_second=500))
            await read_turn(second, until=lambda turn: turn.tokens > 10)
            question = asyncio.ensure_future(stub.CountTokens(echo.request("a b c", model="c")))
            await asyncio.wait([question], timeout=1)
            assert not question.done()
            second.cancel()
            assert (await question).tokens == 3
            second = stub.Generate(echo.request("x", model="b", max_tokens=100_000, tokens_per_second=500))
            await read_turn(second, until=lambda turn: turn.tokens > 10)
            waiting = stub.Generate(echo.request("y z", model="c", max_tokens=3, queue_events=True))
            waits = await read_turn(waiting, until=lambda turn: turn.queued > 0)
            second.cancel()
            waits = await read_turn(waiting, waits)
            echo.check(waits, echo.request("y z", model="c"))
            call.cancel()

    run(scenario())


def test_two_processes_serve_one_model_and_one_that_dies_takes_only_its_own_streams(agent):
    agent.add("fox.words", settings='{"replicas": 2, "maxSequences": 2}')
    agent.wait_state("fox", "unloaded")

    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)

            async def begin(number):
                request = echo.request(f"stream {number}", model="fox", max_tokens=100_000, tokens_per_second=200)
                call = stub.Generate(request)
                return call, await read_turn(call, until=lambda turn: turn.tokens > 5)

            # A third finds both sequences of the first process taken: it has the second one loaded.
            streams = [await begin(number) for number in range(4)]
            first, second = agent.processes("fox")
            assert [entry["running"] for entry in (first, second)] == [2, 2]
            assert [entry["replica"] for entry in (first, second)] == [1, 2]
            for command in ("ps", "backends", "status"):
                assert all(name in agent.command_line(command, "--state", agent.state) for name in ("fox#1", "fox#2"))
            assert (await asyncio.to_thread(listed, agent))["fox"].state == READY
            waits = stub.Generate(echo.request("a b", model="fox", max_tokens=3, queue_events=True))
            waiting = await read_turn(waits, until=lambda turn: turn.queued > 0)
            os.kill(second["pid"], signal.SIGKILL)
            # They go on with the process that comes back, before the one that waits.
            for number, (call, turn) in enumerate(streams[2:], 2):
                turn = await read_turn(call, turn, until=lambda turn: turn.resumed > 0)
                turn = await read_turn(call, turn, until=lambda turn, read=turn.tokens: turn.tokens > read + 50)
                ids = echo.token_ids(0, f"stream {number}", turn.tokens)
                assert turn.text == "".join(echo.WORDS[token_id] for token_id in ids)
            assert waiting.accepted is None
            for call, _ in streams[2:]:
                call.cancel()
            # That process serves it, because the other one is full.
            echo.check(await read_turn(waits, waiting), echo.request("a b", model="fox"))
            now = agent.processes("fox")[0]
            assert now["pid"] == first["pid"] and now["running"] == 2
            for number, (call, turn) in enumerate(streams[:2]):
                turn = await read_turn(call, turn, until=lambda turn, read=turn.tokens: turn.tokens > read + 50)
                ids = echo.token_ids(0, f"stream {number}", turn.tokens)
                assert turn.text == "".join(echo.WORDS[token_id] for token_id in ids)
            going_on = lambda: int(agent.processes("fox")[0]["tokens"]) > int(now["tokens"])
            await asyncio.to_thread(wait_until, going_on, "more tokens")

    run(scenario())
    assert [entry["state"] for entry in agent.processes("fox")] == ["ready", "ready"]
    assert "echo/fox#2" in agent.command_line("logs", "--state", agent.state)
    assert 'model="fox",replica="2"' in agent.command_line("metrics", "--state", agent.state)


def test_one_queue_is_served_by_all_processes_of_a_model(agent):
    agent.add("fox.words", settings='{"replicas": 2, "maxSequences": 1, "load": "start"}')
    wait_until(lambda: [entry["state"] for entry in agent.processes("fox")] == ["ready"] * 2, "both held")

    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            # They take all sequences, and compute nothing.
            held = echo.request("x", model="fox", queue_events=True, delay_ms=3_600_000)
            holding = [stub.Generate(held) for _ in range(2)]
            for call in holding:
                await read_turn(call, until=lambda turn: turn.accepted)
            waiting = []
            for number in range(6):
                request = echo.request(
                    f"turn {number}", model="fox", max_tokens=20, queue_events=True, tokens_per_second=200
                )
                call = stub.Generate(request)
                waiting.append((request, call, await read_turn(call, until=lambda turn: turn.queued > 0)))
            for call in holding:
                call.cancel()
            for request, call, turn in waiting:
                echo.check(await read_turn(call, turn), request)

    run(scenario())
    tokens = [int(entry["tokens"]) for entry in agent.processes("fox")]
    assert sum(tokens) == 120 and all(tokens), tokens


def test_a_model_that_can_never_fit_is_refused_with_the_numbers(agent):
    agent.add("huge.words", settings='{"memoryMebibytes": 500}')
    agent.wait_state("huge", "unloaded")

    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            error, _ = await first_failure(stub.Generate(echo.request("x", model="huge")))
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "500 MiB" in error.details() and "250 MiB" in error.details()
            assert detail(error, error_details_pb2.QuotaFailure).violations[0].subject == "model:huge"
            error = await failure(stub.CountTokens(echo.request("x", model="huge")))
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and "500 MiB" in error.details()

    run(scenario())
    assert agent.state_of("huge") == "unloaded"


def test_what_cannot_be_served_is_told_to_the_owner_with_the_remedy(agent):
    agent.add("fox.words")
    agent.add("wolf.words", settings='{"contextTokenz": 1}')
    agent.add("bear.bin")
    agent.add("hare.words.part")
    wait_until(lambda: "wolf.words" in agent.models_text(), "told")
    agent.wait_state("fox", "unloaded")
    text = agent.models_text()
    assert "fox " in text and "unloaded" in text
    assert "did you mean 'contextTokens'?" in text
    assert "bear.bin" in text and "serve .words" in text
    assert "hare.words.part" in text and "still on its way" in text
    # Whoever is not the owner is told of the models only.
    other = agent.command_line("models", "--to", agent.address, "--state", agent.folder)
    assert "fox" in other and "wolf" not in other
    (agent.model_folder / "wolf.json").write_text("{}")
    wait_until(lambda: "wolf" in listed(agent), "served once it is mended")


def test_mistyped_settings_leave_running_what_runs(agent):
    agent.add("fox.words", settings='{"maxSequences": 3}')
    agent.wait_state("fox", "unloaded")
    ask(agent, "fox")
    pid = agent.number("fox", "pid")
    (agent.model_folder / "fox.json").write_text('{"maxSequences": ')
    wait_until(lambda: "the earlier ones are in force" in agent.backends()["fox"].get("detail", ""), "told")
    ask(agent, "fox")
    assert agent.number("fox", "pid") == pid
    (agent.model_folder / "fox.json").write_text('{"maxSequences": 2}')
    wait_until(lambda: agent.number("fox", "pid") != pid, "given up")
    ask(agent, "fox")
    assert agent.number("fox", "maxSequences") == 2


def test_a_file_that_goes_lets_its_stream_end_and_one_that_is_replaced_is_loaded_anew(agent):
    agent.add("fox.words", "one")
    agent.wait_state("fox", "unloaded")
    first, _ = ask(agent, "fox")
    agent.add("fox.words", "two")
    wait_until(lambda: listed(agent)["fox"].digest == hashlib.sha256(b"two").digest(), "loaded anew")
    second, _ = ask(agent, "fox")
    assert first.accepted.model_digest != second.accepted.model_digest

    async def scenario():
        async with connect(agent) as channel:
            request = echo.request("a b", model="fox", max_tokens=200, tokens_per_second=200)
            call = rpc.InferenceStub(channel).Generate(request)
            turn = await read_turn(call, until=lambda turn: turn.tokens > 0)
            pid = agent.number("fox", "pid")
            (agent.model_folder / "fox.words").unlink()
            await asyncio.to_thread(wait_until, lambda: "fox" not in listed(agent), "not offered any more")
            echo.check(await read_turn(call, turn), request)
            assert turn.tokens == 200
            await asyncio.to_thread(wait_until, lambda: not is_alive(pid), "its process ended")

    run(scenario())


def test_parts_are_one_model_with_one_digest_once_all_are_there(agent):
    texts = ["one", "two", "three"]

    def name(number):
        return f"big-q8_0-{number:05}-of-00003.words"

    def digest():
        return hashlib.sha256(b"".join(hashlib.sha256(text.encode()).digest() for text in texts)).digest()

    for number in (1, 3):
        agent.add(name(number), texts[number - 1])
    wait_until(lambda: f"1 are missing: {name(2)}" in agent.models_text(), "told what is missing")
    assert not agent.backends()
    agent.add(name(2), texts[1])
    (agent.model_folder / "big-q8_0.json").write_text(f'{{"sha256": "{digest().hex()}", "maxSequences": 3}}')
    agent.wait_state("big:q8_0", "unloaded")
    turn, _ = ask(agent, "big")
    assert turn.accepted.model_digest == digest() and agent.number("big:q8_0", "maxSequences") == 3
    (agent.model_folder / "big-q8_0.json").unlink()
    wait_until(lambda: agent.state_of("big:q8_0") == "unloaded", "its settings are gone")
    ask(agent, "big")
    texts[1] = "another"
    agent.add(name(2), texts[1])
    wait_until(lambda: listed(agent)["big:q8_0"].digest == digest(), "loaded anew with the new part")
    ask(agent, "big")
    (agent.model_folder / name(3)).unlink()
    wait_until(lambda: "big:q8_0" not in listed(agent), "not offered any more")


def test_a_digest_that_the_settings_do_not_name_is_told_of_parts_too(agent):
    for number in (1, 2):
        agent.add(f"big-{number:05}-of-00002.words", "x")
    (agent.model_folder / "big.json").write_text(f'{{"sha256": "{"0" * 64}"}}')
    agent.wait_state("big", "unloaded")

    async def scenario():
        async with connect(agent) as channel:
            error, _ = await first_failure(rpc.InferenceStub(channel).Generate(echo.request("x", model="big")))
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.FAILED_PRECONDITION), error

    run(scenario())
    assert "the 2 parts of the weights" in agent.backends()["big"]["detail"]


def models(agent, *words, **options):
    """`hearth models WORDS` of the agent."""
    return subprocess.run(
        [PREFIX / "bin/hearth", "models", *words, "--state", agent.state, "--models", agent.model_folder],
        capture_output=True, text=True, timeout=60, **options)


def test_a_model_is_removed_with_its_parts_and_settings_and_a_link_without_its_target(agent):
    for number in (1, 2):
        agent.add(f"big-{number:05}-of-00002.words", "x")
    agent.add("fox-q4_0.words")
    (agent.folder / "blob").write_text("words")
    (agent.folder / "blob").chmod(0o644)
    (agent.model_folder / "linked.words").symlink_to(agent.folder / "blob")
    (agent.model_folder / "big.json").write_text('{"maxSequences": 2}')
    for name in ("big", "fox:q4_0", "linked"):
        agent.wait_state(name, "unloaded")
    refused = models(agent, "remove", "big", stdin=subprocess.DEVNULL)
    assert refused.returncode == 1 and "--yes" in refused.stderr and "big-00002-of-00002.words" in refused.stdout
    assert models(agent, "remove", "big", "--yes").returncode == 0
    said = models(agent, "remove", "linked", "--yes").stdout
    assert f"(a link; {agent.folder}/blob stays)" in said
    assert sorted(path.name for path in agent.model_folder.iterdir()) == ["fox-q4_0.words"]
    assert (agent.folder / "blob").exists()
    wait_until(lambda: set(listed(agent)) == {"fox:q4_0"}, "the others are not offered any more")
    unknown = models(agent, "remove", "bear", "--yes")
    assert unknown.returncode == 1 and "there is no model 'bear'; there are fox:q4_0" in unknown.stderr
    agent.add("fox-q8_0.words")
    agent.wait_state("fox:q8_0", "unloaded")
    unclear = models(agent, "remove", "fox", "--yes")
    assert unclear.returncode == 1 and "fox:q4_0" in unclear.stderr and "fox:q8_0" in unclear.stderr
    assert len(list(agent.model_folder.iterdir())) == 2


def test_whoever_is_asked_on_a_terminal_decides(agent):
    agent.add("fox.words")
    agent.wait_state("fox", "unloaded")
    for answer, is_there in (("n", True), ("y", False)):
        terminal = Terminal("models", "remove", "fox", "--state", agent.state)
        assert "fox.words" in terminal.read_until("[y/N] ")
        terminal.type(f"{answer}\n")
        terminal.read_until("Nothing was deleted." if is_there else "fox was removed.")
        assert (agent.model_folder / "fox.words").exists() == is_there


def test_a_model_gets_another_id_and_what_runs_on_it_goes_on(agent):
    agent.add("fox.words", settings='{"maxSequences": 3}')
    agent.add("bear.words")
    for name in ("fox", "bear"):
        agent.wait_state(name, "unloaded")
    taken = models(agent, "rename", "fox", "bear")
    assert taken.returncode == 1 and "there is a model 'bear' already" in taken.stderr

    async def scenario():
        async with connect(agent) as channel:
            request = echo.request("a b", model="fox", max_tokens=400, tokens_per_second=200)
            call = rpc.InferenceStub(channel).Generate(request)
            turn = await read_turn(call, until=lambda turn: turn.tokens > 0)
            assert "fox is now wolf" in models(agent, "rename", "fox", "wolf").stdout
            await asyncio.to_thread(wait_until, lambda: set(listed(agent)) == {"wolf", "bear"}, "renamed")
            echo.check(await read_turn(call, turn), request)
            assert turn.tokens == 400

    run(scenario())
    assert json.loads((agent.model_folder / "fox.json").read_text()) == {"id": "wolf", "maxSequences": 3}
    ask(agent, "wolf")


def test_models_are_changed_without_an_agent_too_and_those_of_a_manifest_never():
    with Agent() as other:
        refused = models(other, "remove", "echo", "--yes")
        assert refused.returncode == 1 and "echo.json, the manifest of the backend echo" in refused.stderr
        folder, state = other.folder / "apart", other.folder / "nobody"
        folder.mkdir()
        (folder / "Fox-Q4_0.gguf").write_text("x")
        hearth = [PREFIX / "bin/hearth", "models"]
        options = ["--state", state, "--models", folder]
        subprocess.run([*hearth, "rename", "fox", "wolf", *options], check=True, timeout=60)
        assert json.loads((folder / "Fox-Q4_0.json").read_text()) == {"id": "wolf"}
        subprocess.run([*hearth, "remove", "wolf", "--yes", *options], check=True, timeout=60)
        assert not list(folder.iterdir())


def test_a_template_is_refused_for_a_backend_that_takes_none(agent):
    agent.add("fox.words", settings='{"chatTemplate": "{{ 1 }}"}')
    agent.wait_state("fox", "unloaded")

    async def scenario():
        async with connect(agent) as channel:
            error, _ = await first_failure(rpc.InferenceStub(channel).Generate(echo.request("x", model="fox")))
            assert error.code() != grpc.StatusCode.OK

    run(scenario())
    assert "takes no chat template in place of the model's own" in agent.backends()["fox"]["detail"]


def test_a_request_chooses_among_the_adapters_that_the_settings_name(agent):
    def write(name, content):
        (agent.model_folder / f".{name}").write_bytes(content)
        (agent.model_folder / f".{name}").rename(agent.model_folder / name)

    write("formal.words", b"the formal one")
    write("terse.words", b"the terse one")
    adapters = {"formal": {"file": "formal.words", "default": True}, "terse": {"file": "terse.words", "scale": 2}}
    agent.add("fox.words", settings=json.dumps({"adapters": adapters, "draft": {"lookup": True}}))
    agent.wait_state("fox", "unloaded")
    wait_until(lambda: set(listed(agent)) == {"fox"}, "adapters are no models")
    told = [(one.name, one.scale, one.is_default) for one in listed(agent)["fox"].adapters]
    assert told == [("formal", 1, True), ("terse", 2, False)]
    assert "formal.words" not in agent.models_text()

    async def turn(chosen, burst=1):
        async with connect(agent) as channel:
            asked = echo.request("a b", model="fox", max_tokens=8, burst=burst)
            if chosen is not None:
                asked.adapters.SetInParent()
                for name, scale in chosen:
                    asked.adapters.adapters.add(name=name, scale=scale)
            call = rpc.InferenceStub(channel).Generate(asked)
            return await read_turn(Replay([event async for event in call])), asked

    def check(chosen, variation):
        done, asked = run(turn(chosen))
        echo.check(done, asked, variation)
        return done

    formal, terse = echo.adapter("formal", b"the formal one"), echo.adapter("terse", b"the terse one", 0.5)
    first = check(None, formal)
    check([], b"")
    check([("formal", 0)], b"")
    check([("terse", 0.5), ("formal", 1)], formal + terse)
    # The digest is that of the model itself.
    assert first.accepted.model_digest == hashlib.sha256(b"words").digest()
    assert first.usage.drafted_tokens == 8 and first.usage.accepted_draft_tokens == 0
    drafted, _ = run(turn(None, burst=4))
    assert drafted.usage.accepted_draft_tokens == 6 and drafted.usage.completion_tokens == 8

    async def refused():
        async with connect(agent) as channel:
            asked = echo.request("x", model="fox")
            asked.adapters.adapters.add(name="rude")
            error, _ = await first_failure(rpc.InferenceStub(channel).Generate(asked))
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert error.details() == (
                "adapters.adapters[0].name is 'rude', and 'fox' has no such adapter; it has: formal, terse")

    run(refused())
    # A file that is replaced is followed, as the model's own is.
    write("formal.words", b"another formal one")
    formal = echo.adapter("formal", b"another formal one")

    def is_new():
        done, _ = run(turn(None))
        return done.text == "".join(echo.WORDS[one] for one in echo.token_ids(0, "a b", 8, formal))

    wait_until(is_new, "the new file is loaded")
    # Without the settings the files are models again.
    (agent.model_folder / "fox.json").unlink()
    wait_until(lambda: set(listed(agent)) == {"fox", "formal", "terse"}, "three models")


def test_a_settings_folder_that_is_not_there_is_an_error_that_names_it(agent):
    command = [*agent.command, "--models", agent.folder / "nowhere", "--listen", "127.0.0.1:0"]
    answer = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    assert answer.returncode == 78
    assert "nowhere, does not exist: make it, or name another with --models" in answer.stderr

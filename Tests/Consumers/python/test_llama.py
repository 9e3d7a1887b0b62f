"""The llama.cpp backend with the demo model; left out where it was not installed."""

import asyncio
import json
import math
import shutil

import gguf
import grpc
import jsonschema
import pytest
from agent import SHIPPED, Agent, wait_until
from consumer import CANCELLED, LENGTH, STOP, connect, failure, first_failure, pb, read_turn, rpc, run

pytestmark = pytest.mark.skipif(
    not (SHIPPED / "llama").exists(), reason="the llama backend is not installed: build it with Scripts/build-llama"
)
STREAMS = 50
MODEL = "hearth-demo"


class LlamaAgent(Agent):
    """Has the shipped llama backend with its own manifest and weights."""

    def __init__(self):
        super().__init__(backends={})
        self.models = [MODEL]
        for name in ("llama", "llama.json", "hearth-demo.gguf"):
            shutil.copy(SHIPPED / name, self.backend_folder / name)


def request(question, seed=1, max_tokens=60, model=MODEL, **fields):
    made = pb.GenerateRequest(model=model, **fields)
    made.messages.messages.add(role=pb.ROLE_USER, content=question)
    made.sampling.seed = seed
    made.stopping.max_tokens = max_tokens
    made.output.token_ids = True
    return made


def check(turn):
    assert turn.finished.reason in (STOP, LENGTH)
    assert len(turn.token_ids) == turn.tokens == turn.usage.completion_tokens > 0
    assert turn.usage.prompt_tokens > 0
    assert "\ufffd" not in turn.text


@pytest.fixture(scope="module")
def agent():
    with LlamaAgent() as started:
        yield started


def test_fifty_streams_at_once_are_whole(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)

            async def one(index):
                call = stub.Chat()
                await call.write(pb.ChatRequest(generate=request(f"Tell me a story about {index} cats.", seed=index)))
                turn = await read_turn(call)
                await call.done_writing()
                assert await call.read() is grpc.aio.EOF
                assert await call.code() == grpc.StatusCode.OK
                check(turn)
                return turn

            turns = await asyncio.gather(*(one(index) for index in range(STREAMS)))
            assert len({turn.text for turn in turns}) > STREAMS // 2, "different seeds tell different stories"
            counted = sum(turn.tokens for turn in turns)
            print(f"{STREAMS} stories, {counted} tokens; one of them:{turns[0].text}")

    run(scenario(), 300)
    agent.wait_idle(MODEL)


def test_the_same_seed_tells_the_same_story(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            first, second = [await read_turn(stub.Generate(request("Who is Tom?", seed=7))) for _ in range(2)]
            assert first.token_ids == second.token_ids and first.text == second.text

    run(scenario())


def test_cancel_frees_the_sequence_and_keeps_what_was_sent(agent):
    async def scenario():
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Chat()
            endless = request("Tell me a story.", max_tokens=400)
            endless.stopping.ignore_end_of_turn = True
            await call.write(pb.ChatRequest(generate=endless))
            turn = await read_turn(call, until=lambda turn: turn.tokens >= 3)
            await call.write(pb.ChatRequest(cancel=pb.Cancel()))
            turn = await read_turn(call, turn)
            # So small a model may have written all of it before the cancel came.
            assert turn.finished.reason in (CANCELLED, LENGTH)
            await asyncio.to_thread(agent.wait_idle, MODEL)

    run(scenario())


def test_a_stop_string_ends_the_story_and_is_not_sent(agent):
    async def scenario():
        async with connect(agent) as channel:
            asked = request("Tell me a story about a dog.", max_tokens=200)
            asked.stopping.stop.append(".")
            turn = await read_turn(rpc.InferenceStub(channel).Generate(asked))
            check(turn)
            assert turn.finished.reason == STOP and turn.finished.stop == "."
            assert "." not in turn.text

    run(scenario())


def test_several_turns_of_a_conversation(agent):
    async def scenario():
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Chat()
            asked = request("Tell me a story about a bird.")
            for _ in range(3):
                await call.write(pb.ChatRequest(generate=asked))
                turn = await read_turn(call)
                check(turn)
                asked.messages.messages.add(role=pb.ROLE_ASSISTANT, content=turn.text)
                asked.messages.messages.add(role=pb.ROLE_USER, content="And then?")
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF

    run(scenario())


def test_the_prompt_is_counted_as_it_is_used(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            asked = request("How many tokens is this?", max_tokens=1)
            counted = (await stub.CountTokens(asked)).tokens
            assert counted == (await read_turn(stub.Generate(asked))).usage.prompt_tokens

    run(scenario())


def test_a_prompt_is_told_as_tokens_and_as_text(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            asked = request("Where is the fox?", max_tokens=1)
            tokens = (await stub.Tokenize(asked)).tokens
            assert len(tokens) == (await stub.CountTokens(asked)).tokens
            rendered = (await stub.ApplyTemplate(asked)).text
            assert b"".join(token.text for token in tokens).decode() == rendered
            assert rendered.startswith("<|im_start|>") and "Where is the fox?" in rendered
            ids = pb.GenerateRequest(token_ids=pb.TokenIds(ids=[token.id for token in tokens]))
            assert (await stub.Detokenize(ids)).text.decode() == rendered

            for method, prompt, field in [
                (stub.Detokenize, asked, "prompt"),
                (stub.ApplyTemplate, ids, "prompt"),
                (stub.Tokenize, pb.GenerateRequest(token_ids=pb.TokenIds(ids=[1 << 31])), ""),
            ]:
                error = await failure(method(prompt))
                assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and field in error.details()

    run(scenario())


def test_a_conversation_that_does_not_fit_is_refused_with_both_numbers(agent):
    async def scenario():
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Generate(request("word " * 20_000))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                async for _ in call:
                    pass
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert sum(word.strip(".,;:()").isdigit() for word in caught.value.details().split()) >= 2

    run(scenario())


def split_model(agent, name, count):
    """The demo model in parts, in the folder of models."""
    return gguf.split(SHIPPED / "hearth-demo.gguf", agent.model_folder, name, count)


def answer(agent, model):
    async def scenario():
        async with connect(agent) as channel:
            turn = await read_turn(rpc.InferenceStub(channel).Generate(request("Who is Tom?", model=model)))
            check(turn)
            return turn

    return run(scenario())


def test_a_model_in_parts_answers_as_the_whole_one_does(agent):
    split_model(agent, "parts-q8_0", 3)
    wait_until(lambda: agent.backends().get("parts:q8_0", {}).get("state") == "unloaded", "found")
    assert answer(agent, "parts").token_ids == answer(agent, MODEL).token_ids


def test_parts_that_are_not_one_model_are_told_with_the_one_that_is_wrong(agent):
    def trouble(name, words):
        # Its backend has looked into it before anybody asks.
        wait_until(lambda: words in agent.backends().get(name, {}).get("detail", ""), f"what is wrong with {name}")

        async def scenario():
            async with connect(agent) as channel:
                asked = request("Who is Tom?", model=name)
                error, _ = await first_failure(rpc.InferenceStub(channel).Generate(asked))
                assert error.code() != grpc.StatusCode.OK

        run(scenario())

    first, second, third = split_model(agent, "swapped", 3)
    spare = second.with_suffix(".spare")
    second.rename(spare)
    third.rename(second)
    spare.rename(third)
    trouble("swapped", "the file named as part 2 of 3 is part 3")
    _, second = split_model(agent, "cut", 2)
    second.write_bytes(second.read_bytes()[:-100])
    trouble("cut", "part 2 of 2: the weights are cut")
    parts = split_model(agent, "more", 3)
    parts[2].unlink()
    for number, part in enumerate(parts[:2]):
        part.rename(part.with_name(f"fewer-{number + 1:05}-of-00002.gguf"))
    trouble("fewer", "the file named as part 1 of 2 is one of 3 parts")
    # Nothing else is disturbed.
    answer(agent, MODEL)


def test_samplers_biases_and_log_probabilities_are_the_models_own(agent):
    def ask(change):
        async def scenario():
            async with connect(agent) as channel:
                asked = request("Who is Tom?")
                asked.sampling.temperature = 0
                change(asked)
                return await read_turn(rpc.InferenceStub(channel).Generate(asked))

        return run(scenario())

    def logprobs(asked):
        asked.output.logprobs = 5

    plain = ask(lambda asked: None)
    told = ask(logprobs)
    assert told.text == plain.text and [entry.token_id for entry in told.logprobs] == plain.token_ids
    for entry in told.logprobs:
        # The likeliest token is the one that is chosen without a temperature.
        assert entry.alternatives[0].token_id == entry.token_id and len(entry.alternatives) == 5
        assert entry.logprob == max(other.logprob for other in entry.alternatives)
        assert sum(math.exp(other.logprob) for other in entry.alternatives) <= 1.0001
    banned = ask(lambda asked: asked.sampling.logit_bias.add(token_id=plain.token_ids[0], bias=-100))
    assert plain.token_ids[0] not in banned.token_ids
    longer = ask(lambda asked: setattr(asked.stopping, "min_tokens", len(plain.token_ids) + 4))
    assert longer.tokens >= plain.tokens + 4 and longer.token_ids[: plain.tokens] == plain.token_ids
    # A penalty over all tokens changes a text; one over none does not.
    wide, none = [
        ask(lambda asked: asked.sampling.MergeFrom(pb.Sampling(repetition_penalty=9, penalty_window=window)))
        for window in (2**32 - 1, 0)
    ]
    assert wide.token_ids != plain.token_ids == none.token_ids

    async def scenario():
        async with connect(agent) as channel:
            models = (await rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest())).models
            (demo,) = [model for model in models if model.id == MODEL]
            assert {"samplers", "logit_bias", "min_tokens", "logprobs"} <= set(demo.capabilities)
            assert demo.sampling_defaults.temperature == 0.5 and demo.sampling_defaults.penalty_window == 64

    run(scenario())


def test_an_answer_is_held_to_its_form(agent):
    schema = {
        "type": "object",
        "properties": {
            "who": {"type": "string", "minLength": 1, "maxLength": 12},
            "age": {"type": "integer", "minimum": 3, "maximum": 99},
            "animals": {"type": "array", "items": {"enum": ["cat", "catfish", "bear"]}, "maxItems": 3},
            "when": {"type": "string", "format": "date"},
            "note": {"anyOf": [{"type": "null"}, {"type": "string", "pattern": "^[a-z ]{1,20}!$"}]},
        },
        "required": ["who", "age", "when", "note"],
        "additionalProperties": False,
    }

    def asked(form, seed=1, **fields):
        made = request("Tell me a story about a bear.", seed=seed, max_tokens=400, **fields)
        made.format.CopyFrom(pb.OutputFormat(**form))
        return made

    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)

            async def held(form, seed):
                turn = await read_turn(stub.Generate(asked(form, seed)))
                check(turn)
                return turn

            turns = await asyncio.gather(*(held({"json_schema": json.dumps(schema)}, seed) for seed in range(6)))
            for turn in turns:
                assert turn.finished.reason == STOP
                jsonschema.validate(json.loads(turn.text), schema)
            assert len({turn.text for turn in turns}) > 1
            choice = ["a bear", "a bee", "Zürich", "🐻"]
            for turn in await asyncio.gather(*(held({"choice": pb.Choices(texts=choice)}, seed) for seed in range(6))):
                assert turn.finished.reason == STOP and turn.text in choice
            # The given beginning of the message counts; a least length does not make the form longer.
            for given in ("a b", "a"):
                made = asked({"grammar": 'root ::= "a b" [a-c] "!"'})
                made.messages.messages.add(role=pb.ROLE_ASSISTANT, content=given)
                made.stopping.min_tokens = 50
                turn = await read_turn(stub.Generate(made))
                assert turn.finished.reason == STOP and given + turn.text in ("a ba!", "a bb!", "a bc!")
            made.messages.messages[-1].content = "b"
            error, _ = await first_failure(stub.Generate(made))
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and "to be continued" in error.details()
            # A grammar that a text can be read by in very many ways ends its own request.
            many = 'root ::= "a" root "a" | [a-zA-Z] root [a-zA-Z] | [a-zA-Z ] root | "."'
            error, _ = await first_failure(stub.Generate(asked({"grammar": many})))
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and "less ambiguous" in error.details()
            check(await read_turn(stub.Generate(request("Tell me a story about a bear."))))

    run(scenario())
    agent.wait_idle(MODEL)


def test_a_draft_model_changes_no_token_and_its_guesses_are_counted(agent):
    shutil.copy(SHIPPED / "hearth-demo.gguf", agent.model_folder / "small.draft")
    for name, draft in (("drafted", {"file": "small.draft"}), ("undrafted", {"file": "nowhere.draft"})):
        shutil.copy(SHIPPED / "hearth-demo.gguf", agent.model_folder / f"{name}.gguf")
        (agent.model_folder / f"{name}.json").write_text(json.dumps({"draft": draft}))
    wait_until(lambda: agent.backends().get("drafted", {}).get("state") == "unloaded", "found")

    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            for temperature, form in ((0, None), (1, None), (1, '{"maxItems": 20, "items": {"maxLength": 20}}')):
                turns = []
                for model in (MODEL, "drafted"):
                    asked = request("Tell me a story about a bear.", max_tokens=120, model=model)
                    asked.sampling.temperature = temperature
                    if form:
                        asked.format.json_schema = form
                    turns.append(await read_turn(stub.Generate(asked)))
                    check(turns[-1])
                plain, drafted = turns
                assert plain.token_ids == drafted.token_ids and plain.text == drafted.text
                assert plain.usage.drafted_tokens == 0
                # What a form forbids is drafted all the same, and then not accepted.
                assert drafted.usage.drafted_tokens >= drafted.usage.accepted_draft_tokens >= (0 if form else 1)

    run(scenario())

    def is_told(model, why):
        wait_until(lambda: why in agent.backends().get(model, {}).get("detail", ""), f"{model}: {why}")

    # One that is missing is told with its name, and nothing but that model waits for it.
    is_told("undrafted", "nowhere.draft is missing; bring it, or take \"file\" out of \"draft\" in its settings")
    # One that is replaced is followed, as the model's own file is.
    (agent.model_folder / ".page").write_text("<html></html>")
    (agent.model_folder / ".page").rename(agent.model_folder / "small.draft")
    is_told("drafted", "the file of the draft model is an HTML page")


def test_the_settings_of_a_model_choose_tokens_and_the_template_where_a_request_does_not(agent):
    def model(name, settings):
        shutil.copy(SHIPPED / "hearth-demo.gguf", agent.model_folder / f"{name}.gguf")
        (agent.model_folder / f"{name}.json").write_text(json.dumps(settings))

    def ask(model, question="Who is Tom?", seed=1, **sampling):
        async def scenario():
            async with connect(agent) as channel:
                asked = request(question, model=model, seed=seed)
                for name, value in sampling.items():
                    setattr(asked.sampling, name, value)
                return await read_turn(rpc.InferenceStub(channel).Generate(asked))

        return run(scenario())

    (agent.model_folder / "short.jinja").write_text("{{ bos_token }}{{ messages[0].content }}")
    model("greedy", {"sampling": {"temperature": 0}})
    model("plain", {"chatTemplate": "short.jinja"})
    model("loud", {"sampling": {"temperatur": 1}})
    model("broken", {"chatTemplate": "{% for %}"})
    for name in ("greedy", "plain", "broken"):
        wait_until(lambda: agent.backends().get(name, {}).get("state") == "unloaded", f"{name} found")
    # Without a temperature the likeliest tokens are drawn, whatever the seed; the request's own wins.
    greedy = ask("greedy", seed=1).token_ids
    assert greedy == ask("greedy", seed=2).token_ids == ask(MODEL, temperature=0).token_ids
    assert ask("greedy", seed=3, temperature=2, top_k=0, top_p=1).token_ids == (
        ask(MODEL, seed=3, temperature=2, top_k=0, top_p=1).token_ids)
    # A file that is no adapter is told with its name, once the backend has looked into it.
    model("adapted", {"adapters": {"formal": {"file": "short.jinja"}}})
    why = 'the file of the adapter "formal" is a JSON text'
    wait_until(lambda: why in agent.backends().get("adapted", {}).get("detail", ""), "the adapter is refused")
    # Another template makes another prompt.
    assert ask("plain").usage.prompt_tokens < ask(MODEL).usage.prompt_tokens
    text = agent.command_line("models", "--to", agent.address, "--state", agent.state)
    assert "did you mean 'temperature'?" in text

    async def scenario():
        async with connect(agent) as channel:
            asked = request("Who is Tom?", model="broken")
            error, _ = await first_failure(rpc.InferenceStub(channel).Generate(asked))
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED
            assert '"chatTemplate" in its settings' in error.details()

    run(scenario())

"""Embed and Rerank of echo, whose every number is known beforehand."""

import asyncio
import math
import os
import signal
import time

import echo
import grpc
import pytest
from agent import Agent, descendants
from consumer import connect, detail, eventually, failure, pb, read_turn, rpc, run
from google.rpc import error_details_pb2


@pytest.fixture(scope="module")
def agent():
    backends = {
        "echo": {
            "models": [
                {"id": "echo", "contextTokens": 100},
                {"id": "cut", "options": {"dimensions": 8}, "embedding": {"dimensions": [4, 2]}},
                {"id": "slow", "options": {"embed_delay_ms": 3_600_000}},
                {"id": "paced", "options": {"embed_delay_ms": 5}},
                {"id": "lost", "options": {"embed_delay_ms": 10, "embed_crash": "poison"}},
                {"id": "vectors", "load": "demand", "options": {"lacking": "generate,rerank"}},
                {"id": "plain", "options": {"lacking": "embed,rerank"}},
            ]
        }
    }
    made = Agent(backends=backends)
    # It is not loaded before it is asked for.
    made.models.remove("vectors")
    with made as started:
        yield started


def embed(*texts, model="echo", **fields):
    return pb.EmbedRequest(model=model, inputs=[pb.EmbedInput(text=text) for text in texts], **fields)


def asks(agent, scenario):
    async def body():
        async with connect(agent) as channel:
            await scenario(rpc.InferenceStub(channel))

    run(body())


def normalised(vector):
    length = math.sqrt(sum(number * number for number in vector))
    return [number / length for number in vector]


def near(vector, other):
    return len(vector) == len(other) and all(abs(one - two) < 1e-6 for one, two in zip(vector, other))


def test_vectors_are_those_of_the_inputs_in_their_order_and_are_counted(agent):
    async def scenario(stub):
        texts = [f"text {number} " * (number % 5 + 1) for number in range(300)]
        answer = await stub.Embed(embed(*texts))
        assert [embedding.tokens for embedding in answer.embeddings] == [len(text.split()) for text in texts]
        assert answer.prompt_tokens == sum(len(text.split()) for text in texts)
        for text, embedding in zip(texts, answer.embeddings, strict=True):
            assert near(embedding.vector, normalised(echo.vector(text, 64)))
        raw = await stub.Embed(embed("a", normalise=False, pooling=pb.POOLING_CLS))
        assert list(raw.embeddings[0].vector) == echo.vector("a", 64, pooling=2)
        # Of the lengths that the model was trained for.
        short = await stub.Embed(embed("a", model="cut", dimensions=2))
        assert near(short.embeddings[0].vector, normalised(echo.vector("a", 2)))
        mixed = embed("a")
        mixed.inputs.add(token_ids=pb.TokenIds(ids=[1, 2, 3]))
        mixed.inputs.add().messages.messages.add(role=pb.ROLE_USER, content="hi there")
        assert [embedding.tokens for embedding in (await stub.Embed(mixed)).embeddings] == [1, 3, 2]

    before = agent.status()
    asks(agent, scenario)
    after = agent.status()
    assert int(after["embeddingsFinished"]) - int(before.get("embeddingsFinished", 0)) == 4
    assert int(after["embeddedTokens"]) > 900


def test_documents_come_with_their_scores_the_best_first(agent):
    async def scenario(stub):
        documents = [f"document {number}" for number in range(100)]
        asked = pb.RerankRequest(model="echo", query="which one?", documents=documents)
        answer = await stub.Rerank(asked)
        scores = [echo.score("which one?", document) for document in documents]
        assert [ranked.index for ranked in answer.documents] == sorted(range(100), key=lambda index: -scores[index])
        assert all(ranked.score == scores[ranked.index] and ranked.tokens == 4 for ranked in answer.documents)
        assert answer.prompt_tokens == 400
        asked.top_n = 3
        assert (await stub.Rerank(asked)).documents == answer.documents[:3]

    asks(agent, scenario)


def test_what_cannot_be_is_refused_at_once_by_its_field_with_the_bound(agent):
    many = embed(*["a"] * 1_025)
    wide = embed(*["a"] * 1_024, model="cut", dimensions=3)
    wrong = {
        "inputs": (embed(), "1 to 1024"), "inputs[1]": (embed("a", ""), "not empty"), "pooling": (embed("a", pooling=9), "9"),
        "dimensions": (wide, "2, 4, 8"), "keep_alive": (embed("a", keep_alive={"seconds": -1}), "negative"),
        "documents": (pb.RerankRequest(model="echo", query="q"), "1 to 1024"),
        "query": (pb.RerankRequest(model="echo", documents=["a"]), "one byte or more"),
        "top_n": (pb.RerankRequest(model="echo", query="q", documents=["a"], top_n=0), "1 or more"),
    }

    async def scenario(stub):
        for field, (request, bound) in [*wrong.items(), ("inputs", (many, "1 to 1024"))]:
            method = stub.Embed if isinstance(request, pb.EmbedRequest) else stub.Rerank
            began = time.monotonic()
            error = await failure(method(request))
            assert time.monotonic() - began < 1 and error.code() == grpc.StatusCode.INVALID_ARGUMENT
            (violation,) = detail(error, error_details_pb2.BadRequest).field_violations
            assert violation.field == field and bound in violation.description
        error = await failure(stub.Embed(embed("a", "w " * 101)))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "inputs[1] has 101 tokens, and the context 100" in error.details()
        cut = await stub.Embed(embed("a", "w " * 101, truncate=True))
        assert [embedding.left_out_tokens for embedding in cut.embeddings] == [0, 1]
        # Four mebibytes of text are read in pieces, and refused.
        error = await failure(stub.Embed(embed("w " * (2 << 20))))
        assert error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED)

    asks(agent, scenario)


def test_a_model_without_the_capability_sees_no_such_request_whether_or_not_it_is_loaded(agent):
    async def scenario(stub):
        async def lacks(call, capability):
            error = await failure(call)
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED
            assert f"lacks the capability '{capability}'" in error.details()

        async def generate(model):
            async for _ in stub.Generate(echo.request("a", model=model, max_tokens=1)):
                pass

        # It is loaded by the request that it cannot answer.
        await lacks(generate("vectors"), "generate")
        await lacks(generate("vectors"), "generate")
        await lacks(stub.Rerank(pb.RerankRequest(model="vectors", query="q", documents=["a"])), "rerank")
        await lacks(stub.Embed(embed("a", model="plain")), "embed")
        assert (await stub.CountTokens(echo.request("a b", model="vectors"))).tokens == 2
        assert len((await stub.Embed(embed("a", model="vectors"))).embeddings) == 1
        models = {model.id: model for model in (await stub.ListModels(pb.ListModelsRequest())).models}
        assert {"embed", "rerank", "generate"} <= set(models["echo"].capabilities)
        assert {"embed", "rerank", "generate"} & set(models["vectors"].capabilities) == {"embed"}
        assert {"embed", "rerank", "generate"} & set(models["plain"].capabilities) == {"generate"}
        assert models["cut"].embedding == pb.ModelEmbedding(dimensions=8, shorter_dimensions=[2, 4])
        assert not models["plain"].HasField("embedding")

    asks(agent, scenario)


def test_one_that_is_given_up_ends_at_its_backend_and_those_that_wait_move_up(agent):
    async def scenario(stub):
        calls = [stub.Embed(embed("a", model="slow")) for _ in range(12)]
        tasks = [asyncio.ensure_future(call) for call in calls]
        # As many as may run at once; the others wait.
        await eventually(lambda: agent.number("slow", "running") == 8 and agent.number("slow", "waiting") == 4, "eight run")
        turn = await read_turn(stub.Generate(echo.request("beside them", model="slow", max_tokens=500)))
        assert turn.tokens == 500
        for call in calls[:10]:
            call.cancel()
        await eventually(lambda: agent.number("slow", "running") == 2 and agent.number("slow", "waiting") == 0, "two are left")
        late = await failure(stub.Embed(embed("a", model="slow"), timeout=0.2))
        assert late.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        for call in calls[10:]:
            call.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await eventually(lambda: agent.number("slow", "running") == 0, "none is left")
        # More than may run at once, all of them answered.
        answers = await asyncio.gather(*(stub.Embed(embed("a", "b", model="paced")) for _ in range(40)))
        assert all(len(answer.embeddings) == 2 for answer in answers)

    pid = agent.backends()["slow"]["pid"]
    asks(agent, scenario)
    assert agent.backends()["slow"]["pid"] == pid


def check(answer, texts):
    for text, embedding in zip(texts, answer.embeddings, strict=True):
        assert near(embedding.vector, normalised(echo.vector(text, 64)))
    assert answer.prompt_tokens == sum(len(text.split()) for text in texts)


def test_the_death_of_a_process_is_a_pause_for_those_that_it_computed_and_that_wait(agent):
    async def scenario(stub):
        # More than run at once.
        asked = [[f"text {number} of {ask}" for number in range(50)] for ask in range(20)]
        answers = [asyncio.ensure_future(stub.Embed(embed(*texts, model="lost"))) for texts in asked]
        deaths = 0
        while not all(answer.done() for answer in answers):
            pid = await asyncio.to_thread(agent.number, "lost", "pid")
            if deaths < 5 and pid in descendants(agent.pid):
                os.kill(pid, signal.SIGKILL)
                deaths += 1
            await asyncio.sleep(0.05)
        assert deaths > 1
        for texts, answer in zip(asked, answers, strict=True):
            check(answer.result(), texts)

    asks(agent, scenario)
    agent.wait_idle("lost")


def test_an_input_that_ends_its_processes_is_found_and_refused_and_the_others_are_answered(agent):
    async def scenario(stub):
        asked = [[f"honest {number} of {ask}" for number in range(100)] for ask in range(12)]
        before = await asyncio.to_thread(agent.number, "lost", "restarts")
        answers = [asyncio.ensure_future(stub.Embed(embed(*texts, model="lost"))) for texts in asked]
        await eventually(lambda: asyncio.to_thread(agent.number, "lost", "running"), "they are computed")
        error = await failure(stub.Embed(embed("a", "poison", "b", model="lost")))
        assert error.code() == grpc.StatusCode.INTERNAL
        assert "in a row failed at this request" in error.details()
        for texts, answer in zip(asked, await asyncio.gather(*answers), strict=True):
            check(answer, texts)
        assert await asyncio.to_thread(agent.number, "lost", "restarts") - before <= 4
        check(await stub.Embed(embed("afterwards", model="lost")), ["afterwards"])

    asks(agent, scenario)
    agent.wait_idle("lost")

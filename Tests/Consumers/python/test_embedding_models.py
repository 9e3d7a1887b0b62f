"""Models that make vectors and scores, in the llama.cpp backend, beside one that writes; left out without llama.cpp."""

import asyncio
import json
import pathlib
import shutil
import subprocess
import sys
import time

import bert
import grpc
import numpy as np
import pytest
from agent import SHIPPED, wait_until
from consumer import connect, failure, pb, read_turn, rpc, run
from test_llama import MODEL, LlamaAgent, request

pytestmark = pytest.mark.skipif(
    not (SHIPPED / "llama").exists(), reason="the llama backend is not installed: build it with Scripts/build-llama"
)
CONSUMERS = pathlib.Path(__file__).parents[1]
SCRIPTS = CONSUMERS.parents[1] / "Backends/llama/embedding-models"
EMBEDDING, RANKING, TEMPLATE = "all-minilm-l6-v2", "tiny-reranker", "tiny-template"
TEXTS = [
    "The cat sits on the mat.",
    "A kitten rests on a rug!",
    "Stock prices fell sharply (3.5%) on Tuesday; analysts weren't surprised.",
    "Çelik naïve façade – déjà vu",
    "東京 is the capital of Japan",
    "unbelievably antidisestablishmentarianism",
    "x",
]


@pytest.fixture(scope="module")
def original():
    script = subprocess.run([CONSUMERS / "embedding-model"], check=True, stdout=subprocess.PIPE, text=True)
    return pathlib.Path(script.stdout.strip())


@pytest.fixture(scope="module")
def agent(original):
    with LlamaAgent() as started:
        folder = started.model_folder
        shutil.copy(original / "model.gguf", folder / f"{EMBEDDING}.gguf")
        (folder / f"{EMBEDDING}.json").write_text(json.dumps({"embedding": {"dimensions": [128]}}))
        script = [sys.executable, SCRIPTS / "tiny_reranker.py"]
        subprocess.run([*script, folder / f"{RANKING}.gguf"], check=True)
        subprocess.run([*script, folder / f"{TEMPLATE}.gguf", "[CLS]{query}[SEP] the {document}[SEP]"], check=True)
        for model in (EMBEDDING, RANKING, TEMPLATE):
            wait_until(lambda: started.backends().get(model, {}).get("state") == "unloaded", f"{model} found")
        yield started


def asks(agent, scenario):
    async def body():
        async with connect(agent) as channel:
            return await scenario(rpc.InferenceStub(channel))

    return run(body())


def embed(*texts, **fields):
    return pb.EmbedRequest(model=EMBEDDING, inputs=[pb.EmbedInput(text=text) for text in texts], **fields)


def test_vectors_are_those_that_numpy_computes(agent, original):
    tokenizer = bert.Tokenizer((original / "vocab.txt").read_text().splitlines())
    model = bert.Bert(original / "model.gguf", heads=12)
    vectors = [model.tokens(tokenizer(text)) for text in TEXTS]

    async def scenario(stub):
        answer = await stub.Embed(embed(*TEXTS))
        assert [embedding.tokens for embedding in answer.embeddings] == [len(vector) for vector in vectors]
        assert answer.prompt_tokens == sum(len(vector) for vector in vectors)
        for text, embedding, vector in zip(TEXTS, answer.embeddings, vectors, strict=True):
            ours, theirs = np.array(embedding.vector), bert.normalised(vector.mean(axis=0))
            assert len(ours) == 384 and abs(np.linalg.norm(ours) - 1) < 1e-5
            assert ours @ theirs > 0.99999 and np.abs(ours - theirs).max() < 0.002, text
        cat, kitten, stocks = (np.array(embedding.vector) for embedding in answer.embeddings[:3])
        assert cat @ kitten > 0.5 > 0.2 > cat @ stocks
        for pooling, place in ((pb.POOLING_CLS, 0), (pb.POOLING_LAST, -1)):
            (one,) = (await stub.Embed(embed(TEXTS[0], pooling=pooling))).embeddings
            assert np.array(one.vector) @ bert.normalised(vectors[0][place]) > 0.999
        (raw,) = (await stub.Embed(embed(TEXTS[0], normalise=False))).embeddings
        assert np.linalg.norm(np.array(raw.vector) - vectors[0].mean(axis=0)) < 0.05
        (short,) = (await stub.Embed(embed(TEXTS[0], dimensions=128))).embeddings
        assert np.array(short.vector) @ bert.normalised(vectors[0].mean(axis=0)[:128]) > 0.999
        # Token ids are given as they are.
        ids = pb.EmbedRequest(model=EMBEDDING, inputs=[pb.EmbedInput(token_ids=pb.TokenIds(ids=tokenizer(TEXTS[0])))])
        (same,) = (await stub.Embed(ids)).embeddings
        assert np.array(same.vector) @ cat > 0.9999

    asks(agent, scenario)


def test_scores_are_those_that_numpy_computes(agent):
    scripts = str(SCRIPTS)
    sys.path.insert(0, scripts)
    import tiny_reranker

    sys.path.remove(scripts)
    tokenizer = bert.Tokenizer(tiny_reranker.VOCABULARY)
    model = bert.Bert(agent.model_folder / f"{RANKING}.gguf", heads=tiny_reranker.HEADS)
    query, documents = "which fox?", ["the red one", "a dog", "none of them.", "7", "fox", "q!", "the red one"]
    scores = [model.score(tokenizer(query, document)) for document in documents]

    async def scenario(stub):
        answer = await stub.Rerank(pb.RerankRequest(model=RANKING, query=query, documents=documents))
        found = {ranked.index: ranked for ranked in answer.documents}
        assert sorted(found) == list(range(len(documents)))
        for index, score in enumerate(scores):
            assert found[index].tokens == len(tokenizer(query, documents[index]))
            assert abs(found[index].score - score) < 0.005
        shown = [ranked.score for ranked in answer.documents]
        assert shown == sorted(shown, reverse=True) and max(shown) - min(shown) > 0.1
        # A template of the file's is read as its authors wrote it, and special tokens in a text are text.
        theirs = await stub.Rerank(pb.RerankRequest(model=TEMPLATE, query=query, documents=["red one", "[SEP] x"]))
        found = {ranked.index: ranked for ranked in theirs.documents}
        for index, ids in enumerate([tokenizer(query, "the red one"), tokenizer(query, "the [SEP] x")]):
            assert found[index].tokens == len(ids) and abs(found[index].score - model.score(ids)) < 0.005
        long = pb.RerankRequest(model=RANKING, query=query, documents=["a", "b " * 200])
        error = await failure(stub.Rerank(long))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and "documents[1]" in error.details()
        long.truncate = True
        cut = {ranked.index: ranked for ranked in (await stub.Rerank(long)).documents}
        around = len(tokenizer(query, ""))
        assert (cut[1].tokens, cut[1].left_out_tokens) == (128, 200 + around - 128) and cut[0].left_out_tokens == 0

    asks(agent, scenario)


def test_each_model_does_what_its_file_says_and_nothing_else(agent):
    async def scenario(stub):
        async def lacks(call, capability):
            error = await failure(call)
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED and f"'{capability}'" in error.details()

        async def generate(model):
            async for _ in stub.Generate(pb.GenerateRequest(model=model, text="a")):
                pass

        await lacks(generate(EMBEDDING), "generate")
        await lacks(generate(RANKING), "generate")
        await lacks(stub.Embed(pb.EmbedRequest(model=MODEL, inputs=[pb.EmbedInput(text="a")])), "embed")
        await lacks(stub.Embed(pb.EmbedRequest(model=RANKING, inputs=[pb.EmbedInput(text="a")])), "embed")
        await lacks(stub.Rerank(pb.RerankRequest(model=EMBEDDING, query="a", documents=["a"])), "rerank")
        counted = await stub.CountTokens(pb.GenerateRequest(model=EMBEDDING, text="Hello, you."))
        assert counted.tokens == 6
        tokens = (await stub.Tokenize(pb.GenerateRequest(model=EMBEDDING, text="Hello"))).tokens
        assert [token.text for token in tokens][:1] == [b"[CLS]"]
        models = {model.id: model for model in (await stub.ListModels(pb.ListModelsRequest())).models}
        kinds = {"generate", "embed", "rerank", "chat", "logprobs"}
        assert set(models[EMBEDDING].capabilities) & kinds == {"embed"}
        assert set(models[RANKING].capabilities) & kinds == {"rerank"}
        assert set(models[MODEL].capabilities) & kinds == {"generate", "chat", "logprobs"}
        assert models[EMBEDDING].embedding == pb.ModelEmbedding(dimensions=384, shorter_dimensions=[128])
        assert models[EMBEDDING].max_context_tokens == 512

    asks(agent, scenario)


def test_an_input_that_does_not_fit_is_refused_with_both_numbers_or_cut(agent):
    async def scenario(stub):
        for text, number in (("word " * 511, "513"), ("word " * 100_000, "at least")):
            began = time.monotonic()
            error = await failure(stub.Embed(embed("a", text)))
            assert time.monotonic() - began < 1
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert "inputs[1]" in error.details() and number in error.details() and "512" in error.details()
        whole, cut, far = (await stub.Embed(embed("word " * 510, "word " * 511, "word " * 5_000, truncate=True))).embeddings
        assert [one.left_out_tokens for one in (whole, cut, far)] == [0, 1, 4_490]
        # The end that the model was trained with is kept.
        assert np.array(whole.vector) @ np.array(cut.vector) > 0.99999
        error = await failure(stub.Embed(embed("a", dimensions=100)))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and "128, 384" in error.details()
        error = await failure(stub.Embed(embed(*["a"] * 652)))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and "651" in error.details()

    asks(agent, scenario)


def test_many_inputs_hold_up_neither_few_nor_a_story(agent):
    async def scenario(stub):
        many = asyncio.ensure_future(stub.Embed(embed(*[f"{number} " + "word " * 200 for number in range(200)])))
        few = [await stub.Embed(embed(f"short {number}")) for number in range(5)]
        assert not many.done(), "few inputs have their turns among many"
        turn = await read_turn(stub.Generate(request("Who is Tom?", max_tokens=40)))
        assert turn.tokens > 0 and all(answer.prompt_tokens == 4 for answer in few)
        # One that is given up ends within its step.
        many.cancel()
        with pytest.raises(asyncio.CancelledError):
            await many
        await asyncio.to_thread(agent.wait_idle, EMBEDDING, 20)

    asks(agent, scenario)
    assert agent.number(EMBEDDING, "restarts") == 0

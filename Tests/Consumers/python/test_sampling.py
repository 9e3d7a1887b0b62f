"""Biases, least lengths and log-probabilities, with tokens that are known beforehand; what is out of range; and who refuses what."""

import math
import subprocess

import echo
import grpc
import pytest
from agent import PREFIX, Agent, wait_until
from consumer import NARROW, STOP, connect, detail, first_failure, pb, read_turn, rpc, run
from google.rpc import error_details_pb2


@pytest.fixture(scope="module")
def agent():
    made = Agent({"echo": None, "files": {"serves": ["words"], "memoryMebibytes": 100}})
    (made.model_folder / "late.words").write_text("words")
    (made.model_folder / "wide.words").write_text("words")
    (made.model_folder / "wide.json").write_text('{"sampling": {"temperature": 0.5, "typicalP": 0.5}}')
    with made as started:
        wait_until(lambda: started.backends().get("late", {}).get("state") == "unloaded", "the files found")
        yield started


def turn(agent, request, **options):
    async def scenario():
        async with connect(agent, **options) as channel:
            return await read_turn(rpc.InferenceStub(channel).Generate(request))

    return run(scenario())


def error(agent, request):
    async def scenario():
        async with connect(agent) as channel:
            failed, _ = await first_failure(rpc.InferenceStub(channel).Generate(request))
            return failed

    return run(scenario())


def check(logprobs, ids, alternatives):
    """The entries of these tokens, as the backend's description says."""
    assert [entry.token_id for entry in logprobs] == ids
    for entry in logprobs:
        assert entry.text == echo.WORDS[entry.token_id].encode()
        others = [(entry.token_id + place) % 8192 for place in range(alternatives)]
        assert [other.token_id for other in entry.alternatives] == others
        assert [other.text.decode() for other in entry.alternatives] == [echo.WORDS[other] for other in others]
        expected = [-(place + 1) * math.log(2) for place in range(alternatives)]
        assert [other.logprob for other in entry.alternatives] == pytest.approx(expected)
        assert entry.logprob == pytest.approx(-math.log(2))


def test_each_token_has_its_log_probability_and_so_many_of_the_likeliest(agent):
    for alternatives in (0, 3, 20):
        asked = echo.request("hello world", seed=7, max_tokens=40, ids=True)
        asked.output.logprobs = alternatives
        told = turn(agent, asked)
        echo.check(told, asked)
        check(told.logprobs, told.token_ids, alternatives)
    plain = echo.request("hello world", max_tokens=40, ids=True)
    assert turn(agent, plain).logprobs == []


def test_log_probabilities_stay_with_their_tokens_where_text_is_held_back(agent):
    asked = echo.request("hello world", seed=7, max_tokens=60, ids=True, split_scalars=1)
    # The first word of the answer begins it, and so does each that has a letter of it at its end.
    asked.stopping.stop.append(" hifox")
    asked.output.logprobs = 1

    async def scenario():
        async with connect(agent) as channel:
            async for event in rpc.InferenceStub(channel).Generate(asked):
                if event.WhichOneof("event") == "delta":
                    assert [entry.token_id for entry in event.delta.logprobs.tokens] == event.delta.token_ids
                    assert len(event.delta.token_ids) == event.delta.token_count
                    yield event.delta.token_count

    async def counted():
        return sum([count async for count in scenario()])

    assert run(counted()) == 60


def test_a_reader_with_a_narrow_window_gets_every_entry(agent):
    asked = echo.request("hello", max_tokens=2_000, ids=True, burst=500)
    asked.output.logprobs = 20
    told = turn(agent, asked, **NARROW)
    check(told.logprobs, echo.token_ids(0, "hello", 2_000), 20)


def test_biases_and_a_least_length_change_what_is_known(agent):
    plain = echo.token_ids(0, "hello", 70)
    asked = echo.request("hello", ids=True)
    asked.sampling.logit_bias.add(token_id=plain[1], bias=-100)
    asked.stopping.min_tokens = 70
    told = turn(agent, asked)
    assert told.finished.reason == STOP
    assert told.token_ids == [(token + 1) % 8192 if token == plain[1] else token for token in plain]
    asked.sampling.logit_bias[0].token_id = 8192
    failed = error(agent, asked)
    assert failed.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "sampling.logit_bias[0].token_id is 8192; allowed: 0 to 8191" in failed.details()


def test_what_is_out_of_range_is_refused_by_its_field(agent):
    wrong = {
        "sampling.typical_p": lambda request: setattr(request.sampling, "typical_p", 0),
        "sampling.top_n_sigma": lambda request: setattr(request.sampling, "top_n_sigma", -1),
        "sampling.xtc_probability": lambda request: setattr(request.sampling, "xtc_probability", 2),
        "sampling.xtc_threshold": lambda request: setattr(request.sampling, "xtc_threshold", 1),
        "sampling.dry_multiplier": lambda request: setattr(request.sampling, "dry_multiplier", 11),
        "sampling.dry_base": lambda request: setattr(request.sampling, "dry_base", 0),
        "sampling.dry_allowed_length": lambda request: setattr(request.sampling, "dry_allowed_length", 0),
        "sampling.dry_sequence_breakers.texts[0]": lambda request: request.sampling.dry_sequence_breakers.texts.append(""),
        "sampling.logit_bias[0].bias": lambda request: request.sampling.logit_bias.add(bias=101),
        "stopping.min_tokens": lambda request: setattr(request.stopping, "min_tokens", 9),
        "output.logprobs": lambda request: setattr(request.output, "logprobs", 21),
    }
    for field, change in wrong.items():
        asked = echo.request("hello", max_tokens=8)
        change(asked)
        failed = error(agent, asked)
        assert failed.code() == grpc.StatusCode.INVALID_ARGUMENT
        (violation,) = detail(failed, error_details_pb2.BadRequest).field_violations
        assert violation.field == field and "allowed" in violation.description


def test_a_backend_without_the_samplers_sees_no_request_for_them_whether_or_not_it_is_loaded(agent):
    async def scenario():
        async with connect(agent) as channel:
            models = (await rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest())).models
            assert {"logprobs", "logit_bias", "min_tokens"} <= set(models[0].capabilities)
            assert "samplers" not in models[0].capabilities

    run(scenario())
    for model in ("echo", "late"):
        asked = echo.request("hello", model=model, max_tokens=1)
        asked.sampling.penalty_window = 10
        failed = error(agent, asked)
        assert failed.code() == grpc.StatusCode.UNIMPLEMENTED
        assert "lacks the capability 'samplers'; leave sampling.penalty_window out of the request" in failed.details()


def test_settings_with_samplers_that_a_backend_lacks_are_refused_and_others_are_told(agent):
    assert error(agent, echo.request("hello", model="wide", max_tokens=1)).code() != grpc.StatusCode.OK
    assert 'leave the rest of "sampling" out' in agent.backends()["wide"]["detail"]

    async def scenario():
        async with connect(agent) as channel:
            models = (await rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest())).models
            (wide,) = [model for model in models if model.id == "wide"]
            assert wide.sampling_defaults == pb.Sampling(temperature=0.5, typical_p=0.5)

    run(scenario())


def test_hearth_chat_prints_log_probabilities_behind_the_answer(agent):
    words = [PREFIX / "bin/hearth", "chat", "--to", agent.address, "--model", "echo", "--max-tokens", "2"]
    shown = subprocess.run([*words, "--logprobs", "2", "hello"], capture_output=True, timeout=60, text=True)
    first, second = [echo.WORDS.index(f" {word}") for word in shown.stdout.split()]
    assert shown.returncode == 0
    lines = [
        f'"{echo.WORDS[token]}" -0.693: "{echo.WORDS[token]}" -0.693, "{echo.WORDS[(token + 1) % 8192]}" -1.386'
        for token in (first, second)
    ]
    assert shown.stderr.splitlines()[:2] == lines

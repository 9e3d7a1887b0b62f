"""Answers held to a form, by a backend that writes what its grammar allows; and forms that are refused."""

import json

import echo
import grpc
import jsonschema
import pytest
from agent import Agent
from consumer import LENGTH, STOP, connect, detail, first_failure, pb, read_turn, rpc, run
from google.rpc import error_details_pb2

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "maxItems": 4},
        "next": {"anyOf": [{"type": "null"}, {"$ref": "#"}]},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def agent():
    with Agent({"echo": None}) as started:
        yield started


def asked(seed=1, max_tokens=2000, **form):
    made = echo.request("hello world", seed=seed, max_tokens=max_tokens)
    made.format.CopyFrom(pb.OutputFormat(**form))
    return made


def turn(agent, request):
    async def scenario():
        async with connect(agent) as channel:
            return await read_turn(rpc.InferenceStub(channel).Generate(request))

    return run(scenario())


def error(agent, request):
    async def scenario():
        async with connect(agent) as channel:
            failed, _ = await first_failure(rpc.InferenceStub(channel).Generate(request))
            return failed

    return run(scenario())


def test_an_answer_is_of_the_form_that_was_asked_for(agent):
    texts = set()
    for seed in range(8):
        told = turn(agent, asked(seed, json_schema=json.dumps(SCHEMA)))
        assert told.finished.reason == STOP
        jsonschema.validate(json.loads(told.text), SCHEMA)
        texts.add(told.text)
        assert turn(agent, asked(seed, json_schema=json.dumps(SCHEMA))).text == told.text
        choice = pb.Choices(texts=["yes", "no", "perhaps"])
        assert turn(agent, asked(seed, choice=choice)).text in choice.texts
        assert isinstance(json.loads(turn(agent, asked(seed, json=pb.Json())).text), dict)
        assert set(turn(agent, asked(seed, grammar='root ::= [xy]{3} "!"')).text) <= set("xy!")
    assert len(texts) > 1
    # One that is cut says so.
    cut = turn(agent, asked(max_tokens=1, grammar='root ::= "one more than three"'))
    assert (cut.finished.reason, cut.text) == (LENGTH, "one")


def test_a_message_that_is_continued_begins_the_form(agent):
    def continued(text):
        request = asked(grammar='root ::= "twenty" "-" ( "one" | "two" )')
        request.messages.CopyFrom(pb.Messages())
        request.messages.messages.add(role=pb.ROLE_USER, content="How many?")
        request.messages.messages.add(role=pb.ROLE_ASSISTANT, content=text)
        return request

    assert turn(agent, continued("twen")).text in ("ty-one", "ty-two")
    failed = error(agent, continued("thirty"))
    assert failed.code() == grpc.StatusCode.INVALID_ARGUMENT and "to be continued" in failed.details()


def test_what_cannot_be_held_is_refused_with_its_field(agent):
    def field(form, says, change=None):
        request = asked(**form)
        if change:
            change(request)
        failed = error(agent, request)
        assert failed.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert says in failed.details(), failed.details()
        (violation,) = detail(failed, error_details_pb2.BadRequest).field_violations
        return violation.field

    assert field({}, "names no form") == "format"
    assert field({"json_schema": '{"properties": {"a": {"not": {}}}}'}, "/properties/a/not cannot be held") == (
        "format.json_schema")
    assert field({"json_schema": '{"items":' * 5_000}, "nested deeper than 64") == "format.json_schema"
    assert field({"json_schema": " " * 100_000}, "has 100000 bytes") == "format.json_schema"
    assert field({"grammar": 'root ::= "a\nb'}, "line 2, column 2") == "format.grammar"
    assert field({"grammar": "root ::= root"}, "begins with itself") == "format.grammar"
    assert field({"choice": pb.Choices()}, "is empty") == "format.choice.texts"
    assert field({"choice": pb.Choices(texts=["a", ""])}, "has 0 bytes") == "format.choice.texts[1]"
    assert field({"choice": pb.Choices(texts=["a"] * 2_000)}, "more than 1024") == "format.choice.texts"
    assert field({"json": pb.Json()}, "ends", lambda request: setattr(request.stopping, "ignore_end_of_turn", True)) == (
        "stopping.ignore_end_of_turn")

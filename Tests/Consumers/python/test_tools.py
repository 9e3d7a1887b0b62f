"""Tools, their calls and results, and messages in parts, with a backend whose calls are known; and who refuses what."""

import json

import grpc
import pytest
import tools
from agent import Agent
from consumer import LENGTH, STOP, connect, detail, first_failure, pb, read_turn, rpc, run
from google.rpc import error_details_pb2

CALLED = pb.FINISH_REASON_TOOL_CALLS


@pytest.fixture(scope="module")
def agent():
    with Agent() as started:
        yield started


def conversation(*contents):
    request = pb.GenerateRequest(model="echo")
    for index, content in enumerate(contents):
        request.messages.messages.add(role=pb.ROLE_ASSISTANT if index % 2 else pb.ROLE_USER, content=content)
    return request


def turn(agent, *requests):
    """The last of some turns on one stream."""

    async def scenario():
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Chat()
            for request in requests:
                await call.write(pb.ChatRequest(generate=request))
                told = await read_turn(call)
            await call.done_writing()
            return told

    return run(scenario())


def refused(agent, request):
    async def scenario():
        async with connect(agent) as channel:
            error, events = await first_failure(rpc.InferenceStub(channel).Generate(request))
            assert not events
            return error

    return run(scenario())


def test_a_tool_is_called_and_its_result_goes_on(agent):
    request = tools.add(conversation("please look for 'Zürich' 🦊"), "find", "look")
    told = turn(agent, request)
    calls = tools.Calls(told)
    assert calls.names == ["look"] and calls.arguments == [{"text": "please look for 'Zürich' 🦊"}]
    assert told.finished.reason == CALLED and not told.text
    assert len(told.pieces) == told.usage.completion_tokens > 3, "the call comes as it is made"

    request.messages.messages.add(role=pb.ROLE_ASSISTANT, tool_calls=calls.calls, reasoning="Let me look.")
    request.messages.messages.add(role=pb.ROLE_TOOL, tool_call_id=calls.calls[0].id, content="It rains.")
    after = turn(agent, request)
    assert after.text and after.finished.reason == STOP and not tools.Calls(after).calls


def test_several_calls_or_one_or_a_certain_one_or_none(agent):
    def names(text, **options):
        told = turn(agent, tools.add(conversation(text), "find", "look", **options))
        called = tools.Calls(told).names
        assert told.finished.reason == (CALLED if called else STOP)
        return called

    assert names("look and find") == ["find", "look"]
    assert names("look and find", parallel_calls=False) == ["find"]
    assert names("find", choice=pb.TOOL_CHOICE_NONE) == []
    assert names("hello") == []
    assert names("hello", choice=pb.TOOL_CHOICE_REQUIRED) == ["find"]
    assert names("find", choice=pb.TOOL_CHOICE_REQUIRED, required_tool="look") == ["look"]


def test_a_call_that_is_cut_off_does_not_look_whole(agent):
    request = tools.add(conversation("find"), "find")
    request.stopping.max_tokens = 2
    told = turn(agent, request)
    assert told.finished.reason == LENGTH
    (call,) = tools.Calls(told).calls
    with pytest.raises(json.JSONDecodeError):
        json.loads(call.arguments)


def test_the_parts_of_a_message_are_the_message(agent):
    whole = conversation("once upon a time")
    parts = conversation("")
    for text in ("once upon", " a", "", " time"):
        parts.messages.messages[0].parts.add(text=text)
    assert turn(agent, whole, parts).text == turn(agent, whole).text


def test_a_picture_is_refused_by_the_name_of_what_is_lacking(agent):
    request = conversation("")
    request.messages.messages[0].parts.add(text="What is this?")
    request.messages.messages[0].parts.add(image=pb.Media(media_type="image/png", data=bytes(1 << 20)))
    error = refused(agent, request)
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED and "lacks the capability 'images'" in error.details()


def test_capabilities_are_told(agent):
    async def scenario():
        async with connect(agent) as channel:
            (model,) = (await rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest())).models
            assert {"tools", "parts"} <= set(model.capabilities) and "images" not in model.capabilities

    run(scenario())


@pytest.mark.parametrize(
    "field, change",
    [
        ("tools.tools", lambda request: tools.add(request, *(f"t{number}" for number in range(10_000)))),
        ("tools.tools[0].name", lambda request: tools.add(request, "x" * 129)),
        ("tools.tools[1].name", lambda request: tools.add(request, "find", "find")),
        ("tools.tools", lambda request: tools.add(request, "find", schema={"description": "x" * (1 << 20)})),
        (
            "tools.tools[0].parameters ('find')",
            lambda request: request.tools.tools.add(name="find", parameters='{"a":' * 10_000),
        ),
        (
            "tools.tools[0].parameters ('find')",
            lambda request: request.tools.tools.add(name="find", parameters='{"type": object}'),
        ),
        ("tools.choice", lambda request: tools.add(request, "find", choice=9)),
        (
            "tools.required_tool",
            lambda request: tools.add(request, "find", choice=pb.TOOL_CHOICE_REQUIRED, required_tool="look"),
        ),
        ("messages[0].role", lambda request: request.messages.messages[0].MergeFrom(pb.Message(role=5))),
        (
            "messages[1].tool_call_id",
            lambda request: request.messages.messages.add(role=pb.ROLE_TOOL, tool_call_id="nobody", content="rain"),
        ),
        (
            "messages[1].tool_calls[0].arguments",
            lambda request: request.messages.messages.add(
                role=pb.ROLE_ASSISTANT, tool_calls=[pb.ToolCall(id="a", name="find", arguments="no")]
            ),
        ),
    ],
)
def test_what_is_wrong_is_named_at_once(agent, field, change):
    request = conversation("find")
    change(request)
    error = refused(agent, request)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    (violation,) = detail(error, error_details_pb2.BadRequest).field_violations
    assert violation.field == field, error.details()

"""Responses in the background, by OpenAI's client: computed whether or not anybody reads them, and read from where their
reader wants it. Answers are echo's, whose tokens are known beforehand."""

import json
import threading

import httpx
import openai
import pytest
from agent import Agent, wait_until
from test_http import BRIDGE, PROMPT, Bridged, ClosedHTTPAgent

pytestmark = pytest.mark.skipif(not BRIDGE.exists(), reason="this installation has no HTTP bridge")


class BackgroundAgent(Bridged, Agent):
    def __init__(self):
        models = [
            {"id": "echo"},
            {"id": "paced", "options": {"tokens_per_second": 200}},
            {"id": "one", "maxSequences": 1, "options": {"tokens_per_second": 200}},
        ]
        super().__init__({"echo": {"models": models}}, options=("--http", "127.0.0.1:0"))

    def __enter__(self):
        super().__enter__()
        return self.find()


@pytest.fixture(scope="module")
def agent():
    with BackgroundAgent() as started:
        yield started


def ask(model="paced", tokens=60, **fields):
    return dict(model=model, input=PROMPT, max_output_tokens=tokens, extra_body={"seed": 7}, **fields)


def until(client, response, *statuses):
    def look():
        found = client.responses.retrieve(response.id)
        return found if found.status in statuses else None

    return wait_until(look, f"a response is {statuses}")


def streamed(lines):
    """The events of a stream, each with its id."""
    number = None
    for line in lines:
        if line.startswith("id: "):
            number = int(line[4:])
        elif line.startswith("data: ") and line != "data: [DONE]":
            event = json.loads(line[6:])
            assert event["sequence_number"] == number
            yield event


def text_of(events):
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


def test_a_response_is_computed_without_a_reader_and_asked_for_later(agent):
    client = agent.openai()
    whole = client.responses.create(**ask(tokens=300))
    begun = client.responses.create(**ask(tokens=300, background=True))
    assert begun.status in ("queued", "in_progress") and begun.background
    over = until(client, begun, "incomplete", "completed")
    assert (over.output_text, over.status, over.usage) == (whole.output_text, whole.status, whole.usage)
    assert over.id == begun.id and over.model_dump()["store"] is True
    # As often as it is wanted, until it is deleted.
    assert client.responses.retrieve(begun.id).output_text == whole.output_text
    client.responses.delete(begun.id)
    with pytest.raises(openai.NotFoundError) as refusal:
        client.responses.retrieve(begun.id)
    assert "no response" in refusal.value.message and "background" in refusal.value.message


def test_a_reader_that_lost_its_stream_comes_back_behind_the_last_event_that_it_has(agent):
    client = agent.openai()
    whole = client.responses.create(**ask())
    body = {**ask(), "background": True, "stream": True}
    body.update(body.pop("extra_body"))
    events = []
    with httpx.stream("POST", f"{agent.base}/v1/responses", json=body, timeout=30) as answer:
        for event in streamed(answer.iter_lines()):
            events.append(event)
            if len(text_of(events).split()) == 10:
                break
    assert [event["type"] for event in events[:3]] == ["response.created", "response.queued", "response.in_progress"]
    id = events[0]["response"]["id"]
    # A browser's way, which is cut too, and the client's.
    headers = {"last-event-id": str(events[-1]["sequence_number"])}
    with httpx.stream("GET", f"{agent.base}/v1/responses/{id}", headers=headers, timeout=30) as answer:
        for event in streamed(answer.iter_lines()):
            events.append(event)
            if len(text_of(events).split()) == 20:
                break
    rest = client.responses.retrieve(id, stream=True, starting_after=events[-1]["sequence_number"])
    events += [event.model_dump() for event in rest]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert text_of(events) == whole.output_text and events[-1]["type"] == "response.incomplete"
    # From the start, at any time later, and the same.
    again = [event.model_dump() for event in client.responses.retrieve(id, stream=True)]
    assert [event["type"] for event in again] == [event["type"] for event in events]
    assert text_of(again) == whole.output_text
    assert list(client.responses.retrieve(id, stream=True, starting_after=len(events) - 1)) == []


def test_two_readers_of_one_response_get_the_same(agent):
    client = agent.openai()
    begun = client.responses.create(**ask(tokens=100, background=True))
    read = {}

    def reader(name):
        read[name] = [event.model_dump() for event in agent.openai().responses.retrieve(begun.id, stream=True)]

    threads = [threading.Thread(target=reader, args=(name,)) for name in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert read[0] == read[1] and len(text_of(read[0]).split()) == 100


def test_a_cancelled_response_is_computed_no_more_and_does_not_look_whole(agent):
    client = agent.openai()
    begun = client.responses.create(**ask(tokens=100_000, background=True))
    waits = client.responses.create(**ask("one", tokens=100_000, background=True))
    behind = client.responses.create(**ask("one", background=True))
    assert behind.status == "queued"
    with httpx.stream("GET", f"{agent.base}/v1/responses/{begun.id}?stream=true", timeout=30) as answer:
        events = []
        with pytest.raises(httpx.RemoteProtocolError):
            for event in streamed(answer.iter_lines()):
                if event["type"] == "response.output_text.delta" and len(events) == 10:
                    assert client.responses.cancel(begun.id).status == "cancelled"
                events.append(event)
    assert events[-1]["type"] == "response.failed" and events[-1]["response"]["status"] == "cancelled"
    assert client.responses.retrieve(begun.id).status == "cancelled"
    agent.wait_idle("paced")
    # Cancelled twice it stays what it is, and one that waits is cancelled too.
    assert client.responses.cancel(begun.id).status == "cancelled"
    assert client.responses.cancel(waits.id).status == "cancelled"
    assert until(client, behind, "incomplete").output_text
    # To delete one ends it as well.
    deleted = client.responses.create(**ask(tokens=100_000, background=True))
    client.responses.delete(deleted.id)
    agent.wait_idle("paced")


def test_what_cannot_be_is_refused_at_once(agent):
    client = agent.openai()
    with pytest.raises(openai.NotFoundError):
        client.responses.create(**ask("nobody", background=True))
    with pytest.raises(openai.BadRequestError, match="stored until"):
        client.responses.create(**ask(background=True, store=False))
    with pytest.raises(openai.BadRequestError, match="only a response in the background"):
        client.responses.create(**ask(store=True))
    with pytest.raises(openai.BadRequestError, match="max_output_tokens"):
        client.responses.create(**ask(tokens=0, background=True))
    for path, status, words in (
        ("resp_nobody", 404, "no response"), ("resp_nobody?stream=maybe", 400, "true or false"),
        ("resp_nobody?starting_after=1", 400, "needs stream=true"), ("resp_nobody?stream=true&starting_after=-1", 400, "whole number"),
        ("resp_nobody?after=1", 400, "unknown here"), ("resp_nobody/input_items", 404, "there is no"),
    ):
        answer = httpx.get(f"{agent.base}/v1/responses/{path}")
        assert answer.status_code == status and words in answer.json()["error"]["message"], answer.text
    assert httpx.put(f"{agent.base}/v1/responses/resp_x").status_code == 405
    assert httpx.post(f"{agent.base}/v1/responses/resp_x/cancel").status_code == 404


def test_as_many_as_may_are_stored_and_the_oldest_that_are_over_make_room(agent):
    client = agent.openai()
    first = client.responses.create(**ask("echo", tokens=1, background=True))
    until(client, first, "incomplete")
    for _ in range(64):
        last = client.responses.create(**ask("echo", tokens=1, background=True))
        until(client, last, "incomplete")
    assert client.responses.retrieve(last.id).status == "incomplete"
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def test_a_response_belongs_to_the_key_that_asked_for_it():
    with ClosedHTTPAgent() as agent:
        def client(key):
            return openai.OpenAI(base_url=f"{agent.base}/v1", api_key=key, max_retries=0, timeout=30)

        own, other = client(agent.first_key), client(agent.create("other"))
        begun = own.responses.create(**ask("echo", background=True))
        until(own, begun, "incomplete")
        for method in (other.responses.retrieve, other.responses.cancel, other.responses.delete):
            with pytest.raises(openai.NotFoundError):
                method(begun.id)
        assert own.responses.retrieve(begun.id).status == "incomplete"
        with pytest.raises(openai.AuthenticationError):
            client("none").responses.create(**ask("echo", background=True))

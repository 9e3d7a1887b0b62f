"""LiteLLM against the HTTP bridge, through the three protocols that it translates to. Answers are echo's. It uses what it has
with it, and reaches no other machine."""

import ipaddress
import json
import os
import sys

# Read when it is imported.
os.environ |= {
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_MODE": "PRODUCTION",
}
reached = set()


def hear(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        reached.add(arguments[1][0])
    if event == "socket.getaddrinfo":
        reached.add(arguments[0])


sys.addaudithook(hear)

import echo
import litellm
import pytest
from test_http import LOOK, HTTPAgent

litellm.telemetry = False
litellm.suppress_debug_info = True
# Of a model that it does not know it makes a stream itself, out of the whole response.
litellm.register_model({"openai/echo": {"litellm_provider": "openai", "mode": "chat", "supports_native_streaming": True}})
# Its own classes and the newest pydantic do not agree on all fields.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
PROVIDERS = ["openai", "ollama_chat", "anthropic"]
TALK = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "what is warm?"}]
TOOLS = [{"type": "function", "function": LOOK}]


@pytest.fixture(scope="module")
def agent():
    with HTTPAgent() as started:
        yield started
    hosts = reached - {"localhost"}
    assert hosts and all(ipaddress.ip_address(host).is_loopback for host in hosts), hosts


def to(agent, provider, model="echo", **options):
    base = f"{agent.base}/v1" if provider == "openai" else agent.base
    return dict(model=f"{provider}/{model}", api_base=base, api_key="none", num_retries=0, timeout=30, **options)


def test_the_same_text_whole_and_in_pieces_through_every_provider(agent):
    texts = set()
    for provider in PROVIDERS:
        ask = to(agent, provider, messages=TALK, max_tokens=20)
        whole = litellm.completion(**ask)
        pieces = list(litellm.completion(**ask, stream=True, stream_options={"include_usage": True}))
        text = whole.choices[0].message.content
        assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == text
        for usage in (whole.usage, pieces[-1].usage):
            assert usage.completion_tokens == 20
            assert usage.total_tokens == usage.prompt_tokens + 20
        texts.add((text, whole.usage.prompt_tokens))
    assert len(texts) == 1, texts


def test_responses_say_the_same(agent):
    chat = litellm.completion(**to(agent, "openai", messages=TALK, max_tokens=20)).choices[0].message.content
    ask = to(agent, "openai", instructions="be brief", input="what is warm?", max_output_tokens=20)
    whole = litellm.responses(**ask)
    assert whole.output_text == chat
    assert (whole.status, whole.usage.output_tokens) == ("incomplete", 20)
    events = list(litellm.responses(**ask, stream=True))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == chat
    assert events[-1].type == "response.incomplete"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_tools_are_called_and_answered(agent, provider):
    # Ollama's protocol cannot ask for a call.
    choice = {} if provider == "ollama_chat" else {"tool_choice": "required"}
    ask = to(agent, provider, messages=TALK, tools=TOOLS, max_tokens=400, **choice)
    said = litellm.completion(**ask).choices[0]
    if choice:
        assert said.finish_reason == "tool_calls"
        call = said.message.tool_calls[0].function
        assert call.name == "look" and set(json.loads(call.arguments)) == {"text"}
        pieces = list(litellm.completion(**ask, stream=True))
        calls = [call for piece in pieces for call in piece.choices[0].delta.tool_calls or []]
        assert json.loads("".join(one.function.arguments for one in calls if one.index == 0)) == json.loads(call.arguments)
    call = {"id": "call1", "type": "function", "function": {"name": "look", "arguments": '{"text": "Rome"}'}}
    talk = [
        *TALK,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call1", "content": "fine in Rome"},
    ]
    assert litellm.completion(**to(agent, provider, messages=talk, tools=TOOLS, max_tokens=5)).usage.completion_tokens == 5


def test_a_form_is_kept(agent):
    schema = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    for provider in ("openai", "ollama_chat"):
        said = litellm.completion(**to(agent, provider, messages=TALK, response_format=form, max_tokens=2_000))
        assert isinstance(json.loads(said.choices[0].message.content)["count"], int)


def test_completions_and_vectors(agent):
    prompt = "what is warm"
    said = litellm.text_completion(**to(agent, "openai", prompt=prompt, max_tokens=9, seed=3))
    assert said.choices[0].text == "".join(echo.WORDS[token] for token in echo.token_ids(3, prompt, 9))
    one, other = (litellm.embedding(**to(agent, provider, input=["one", "two"])).data for provider in ("openai", "ollama"))
    assert [len(entry["embedding"]) for entry in one] == [64, 64]
    for left, right in zip(one, other, strict=True):
        assert left["embedding"] == pytest.approx(right["embedding"], abs=1e-6)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_errors_have_the_right_class(agent, provider):
    # It has one class for all that Ollama says.
    missing, wrong = litellm.NotFoundError, litellm.BadRequestError
    if provider == "ollama_chat":
        missing = wrong = litellm.APIConnectionError
    with pytest.raises(missing, match="none"):
        litellm.completion(**to(agent, provider, "none", messages=TALK, max_tokens=5))
    with pytest.raises(wrong, match="temperature"):
        litellm.completion(**to(agent, provider, messages=TALK, max_tokens=5, temperature=9))

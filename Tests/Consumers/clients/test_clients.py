"""Programs that people build with, against the HTTP bridge: LangChain's three integrations, and `llm` with its plugins. They are
many packages, so only `Scripts/test clients` runs them. Answers are echo's, whose tokens are known beforehand."""

import json
import os
import subprocess
import sys

import echo
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from test_http import HTTPAgent

TALK = [SystemMessage("be brief"), HumanMessage("what is warm?")]


@pytest.fixture(scope="module")
def agent():
    with HTTPAgent() as started:
        yield started


def openai(agent, **options):
    # The Responses protocol knows no seed, and this host takes one.
    return ChatOpenAI(
        base_url=f"{agent.base}/v1", api_key="none", model="echo", max_retries=0, extra_body={"seed": 3}, **options)


def clients(agent):
    """The same model through three protocols, each with a text of 20 tokens."""
    return [
        openai(agent, max_tokens=20),
        openai(agent, max_tokens=20, use_responses_api=True),
        ChatOllama(base_url=agent.base, model="echo", seed=3, num_predict=20),
    ]


def test_the_same_text_whole_and_in_pieces_through_every_integration(agent):
    texts = set()
    for client in clients(agent):
        whole = client.invoke(TALK)
        pieces = list(client.stream(TALK))
        text = whole.text
        assert text and "".join(piece.text for piece in pieces) == text
        assert whole.usage_metadata["output_tokens"] == 20
        texts.add(text)
    assert len(texts) == 1, texts


def test_anthropics_integration_answers_and_streams(agent):
    client = ChatAnthropic(base_url=agent.base, api_key="none", model="echo", max_tokens=20, max_retries=0)
    whole = client.invoke(TALK)
    assert whole.usage_metadata["output_tokens"] == 20
    assert "".join(piece.text for piece in client.stream(TALK)) == whole.text


def test_tools_are_called_and_answered(agent):
    @tool
    def weather(town: str) -> str:
        """The weather of a town."""
        return f"fine in {town}"

    for client in (openai(agent, max_tokens=200), ChatOllama(base_url=agent.base, model="echo", seed=3, num_predict=200)):
        bound = client.bind_tools([weather])
        said = bound.invoke([HumanMessage("what is the weather")])
        assert isinstance(said, AIMessage)
        for call in said.tool_calls:
            assert call["name"] == "weather"
        talk = [
            HumanMessage("what is the weather"),
            AIMessage("", tool_calls=[{"name": "weather", "args": {"town": "Rome"}, "id": "call1"}]),
            ToolMessage("fine in Rome", tool_call_id="call1"),
        ]
        assert bound.invoke(talk).text


def test_a_form_is_kept(agent):
    schema = {
        "title": "answer", "type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"],
        "additionalProperties": False,
    }
    held = openai(agent, max_tokens=2_000).with_structured_output(schema, method="json_schema", strict=True)
    assert isinstance(held.invoke(TALK)["count"], int)


def test_completions_and_vectors(agent):
    client = OpenAI(base_url=f"{agent.base}/v1", api_key="none", model="echo", max_tokens=9, seed=3, max_retries=0)
    prompt = "what is warm"
    assert client.invoke(prompt) == "".join(echo.WORDS[token] for token in echo.token_ids(3, prompt, 9))
    vectors = OpenAIEmbeddings(
        base_url=f"{agent.base}/v1", api_key="none", model="echo", check_embedding_ctx_length=False, max_retries=0
    ).embed_documents(["one", "two"])
    others = OllamaEmbeddings(base_url=agent.base, model="echo").embed_documents(["one", "two"])
    assert len(vectors) == 2 and len(vectors[0]) == 64
    for one, other in zip(vectors, others):
        assert one == pytest.approx(other, abs=1e-6)


def test_the_command_llm_with_its_plugins(agent, tmp_path):
    (tmp_path / "extra-openai-models.yaml").write_text(
        json.dumps([{"model_id": "warm", "model_name": "echo", "api_base": f"{agent.base}/v1", "api_key_name": "none"}]))
    environment = {
        **os.environ, "LLM_USER_PATH": str(tmp_path), "OLLAMA_HOST": agent.base, "OPENAI_API_KEY": "none",
        "ANTHROPIC_API_KEY": "none",
    }

    def llm(*arguments):
        ran = subprocess.run(
            [os.path.join(os.path.dirname(sys.executable), "llm"), *arguments], env=environment, capture_output=True,
            text=True, timeout=120)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    streamed = llm("-m", "warm", "-o", "seed", "3", "-o", "max_tokens", "20", "what is warm?")
    assert llm("-m", "warm", "--no-stream", "-o", "seed", "3", "-o", "max_tokens", "20", "what is warm?") == streamed
    # Models with the same digest, and echo has no weights, are one with several names to it.
    assert any("echo" in line for line in llm("models", "list").splitlines() if line.startswith("Ollama: "))
    ollama = llm("-m", "ollama/echo", "-o", "seed", "3", "-o", "num_predict", "20", "what is warm?")
    assert ollama.strip() == streamed.strip()

"""gRPC-Web, as pages speak it: by a client that is written here from the protocol's description (grpc/doc/PROTOCOL-WEB.md), and
by sonora, beside gRPC."""

import base64
import struct

import grpc
import httpx
import pytest
import sonora.client
from consumer import Turn, pb, rpc
from test_http import BRIDGE, PROMPT, HTTPAgent, reference

pytestmark = pytest.mark.skipif(not BRIDGE.exists(), reason="this installation has no HTTP bridge")
PAGE = "https://page.example"


@pytest.fixture(scope="module")
def agent():
    with HTTPAgent("--http-origin", PAGE) as started:
        yield started


def framed(message):
    return struct.pack(">BI", 0, len(message)) + message


class Frames:
    """The frames of a body, as they come; of a text each piece of base64 has its own padding."""

    def __init__(self, text):
        self.text, self.pending, self.bytes = text, b"", b""

    def take(self, piece):
        if self.text:
            self.pending += piece
            while len(self.pending) >= 4:
                self.bytes += base64.b64decode(self.pending[:4], validate=True)
                self.pending = self.pending[4:]
        else:
            self.bytes += piece
        while len(self.bytes) >= 5:
            flag, count = struct.unpack(">BI", self.bytes[:5])
            if len(self.bytes) < 5 + count:
                return
            yield flag, self.bytes[5 : 5 + count]
            self.bytes = self.bytes[5 + count :]


def call(agent, method, request, text=False, **headers):
    """The answer's head, its messages, and its trailers, which are in the head where there is no message."""
    kind = "application/grpc-web-text+proto" if text else "application/grpc-web+proto"
    body = request if isinstance(request, bytes) else framed(request.SerializeToString())
    fields = {"content-type": kind, "x-grpc-web": "1", **{k.replace("_", "-"): v for k, v in headers.items()}}
    content = base64.b64encode(body) if text else body
    messages, trailers, frames = [], None, Frames(text)
    with httpx.stream("POST", f"{agent.base}/hearth.v1.Inference/{method}", content=content, headers=fields) as answer:
        assert answer.status_code == 200 and answer.headers["content-type"] == kind
        for piece in answer.iter_raw():
            for flag, payload in frames.take(piece):
                assert trailers is None, "a frame after the trailers"
                if flag == 0x80:
                    trailers = dict(line.split(": ", 1) for line in payload.decode().split("\r\n") if line)
                else:
                    assert flag == 0
                    messages.append(payload)
    assert frames.bytes == frames.pending == b""
    if trailers is None:
        assert not messages, "a body without trailers"
        trailers = answer.headers
    return answer.headers, messages, trailers


def question(tokens=12):
    request = pb.GenerateRequest(model="echo")
    request.messages.messages.add(role=pb.ROLE_USER, content=PROMPT)
    request.sampling.seed = 7
    request.stopping.max_tokens = tokens
    return request


@pytest.mark.parametrize("text", [False, True])
def test_a_page_gets_what_grpc_gives(agent, text):
    expected = reference(agent, lambda request: None)
    _, messages, trailers = call(agent, "Generate", question(), text)
    turn = Turn()
    for message in messages:
        turn.receive(pb.ChatEvent.FromString(message))
    assert turn.is_over and turn.text == expected.text and turn.tokens == 12
    assert trailers["grpc-status"] == "0"
    _, (models,), trailers = call(agent, "ListModels", pb.ListModelsRequest(), text)
    with grpc.insecure_channel(agent.address) as channel:
        assert pb.ListModelsResponse.FromString(models) == rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest())
    assert trailers["grpc-status"] == "0"


class StockChannel(sonora.client.WebChannel):
    """sonora's, for stubs that grpcio-tools makes today, which name one thing more."""

    def unary_unary(self, *arguments, _registered_method, **named):
        return super().unary_unary(*arguments, **named)

    def unary_stream(self, *arguments, _registered_method, **named):
        return super().unary_stream(*arguments, **named)

    def stream_stream(self, *arguments, _registered_method, **named):
        return super().stream_stream(*arguments, **named)


def test_a_stock_client_gets_what_grpc_gives(agent):
    expected = reference(agent, lambda request: None)
    turn = Turn()
    with StockChannel(agent.base + "/") as channel:
        stub = rpc.InferenceStub(channel)
        assert [model.id for model in stub.ListModels(pb.ListModelsRequest()).models] == ["echo", "other"]
        for event in stub.Generate(question()):
            turn.receive(event)
        with pytest.raises(grpc.RpcError) as refused:
            stub.CountTokens(pb.GenerateRequest(model="none", text=PROMPT))
    assert turn.is_over and turn.text == expected.text
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


def test_what_is_refused_says_so_in_the_head(agent):
    for method, request, code, told in [
        ("Generate", pb.GenerateRequest(model="none", text=PROMPT), 5, "none"),
        ("Chat", pb.ChatRequest(), 12, "Generate"),
        ("Nothing", b"\0\0\0\0\0", 12, "Nothing"),
        ("CountTokens", b"\0\0\0\0\5abc", 13, "5 bytes"),
        ("CountTokens", b"\1\0\0\0\0", 12, "compressed"),
        ("CountTokens", b"\0\0\0\0\1\xff", 3, ""),
    ]:
        head, messages, _ = call(agent, method, request)
        assert not messages and (head["grpc-status"], told in head.get("grpc-message", "")) == (str(code), True), head
    head, _, _ = call(agent, "ListModels", pb.ListModelsRequest(), grpc_timeout="never")
    assert head["grpc-status"] == "13"
    path = f"{agent.base}/hearth.v1.Inference/ListModels"
    assert httpx.post(path, content=framed(b""), headers={"content-type": "application/grpc-web+json"}).status_code == 415
    assert httpx.get(path).status_code == 405


def test_a_deadline_and_the_end_of_a_client_end_the_call(agent):
    _, messages, trailers = call(agent, "Generate", question(1_000_000), grpc_timeout="300m")
    assert messages and trailers["grpc-status"] == "4"
    agent.wait_idle("echo", 10)
    fields = {"content-type": "application/grpc-web+proto"}
    content = framed(question(1_000_000).SerializeToString())
    with httpx.stream(
        "POST", f"{agent.base}/hearth.v1.Inference/Generate", content=content, headers=fields
    ) as answer:
        assert next(answer.iter_raw())
    agent.wait_idle("echo", 10)


def test_a_page_comes_back_to_its_turn(agent):
    expected = reference(agent, lambda request: None, tokens=400)
    request = question(400)
    request.resumable_for.seconds = 60
    request.backend_options["tokens_per_second"] = "200"
    events, frames = [], Frames(False)
    fields = {"content-type": "application/grpc-web+proto"}
    path, content = f"{agent.base}/hearth.v1.Inference/Generate", framed(request.SerializeToString())
    with httpx.stream("POST", path, content=content, headers=fields) as answer:
        for piece in answer.iter_raw():
            events += [pb.ChatEvent.FromString(payload) for _, payload in frames.take(piece)]
            if len(events) > 20:
                break
    asked = pb.ResumeRequest(resume_token=events[0].resumable.resume_token, after=events[-1].seq)
    _, messages, trailers = call(agent, "Resume", asked)
    events += [pb.ChatEvent.FromString(message) for message in messages]
    assert trailers["grpc-status"] == "0" and events[-1].usage.completion_tokens == 400
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert "".join(event.delta.text for event in events) == expected.text


def test_pages_of_allowed_sites_may_call_and_others_not(agent):
    path = f"{agent.base}/hearth.v1.Inference/Generate"
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,x-grpc-web,x-run"}
    preflight = httpx.options(path, headers={"origin": PAGE, **asked})
    assert preflight.status_code == 204 and preflight.headers["access-control-allow-methods"] == "POST"
    assert preflight.headers["access-control-allow-headers"] == asked["access-control-request-headers"]
    head, _, _ = call(agent, "ListModels", pb.ListModelsRequest(), origin=PAGE)
    assert head["access-control-allow-origin"] == PAGE
    assert {"grpc-status", "grpc-message"} <= set(head["access-control-expose-headers"].split(", "))
    foreign = {"origin": "https://evil.example", "content-type": "application/grpc-web+proto"}
    assert httpx.options(path, headers={**foreign, **asked}).status_code == 403
    assert httpx.post(path, content=framed(b""), headers=foreign).status_code == 403

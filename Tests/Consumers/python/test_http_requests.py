"""How the HTTP bridge reads requests: as it must, in one way, from whoever may send them, and with bounds."""

import contextlib
import gzip
import json
import resource
import socket

import httpx
import pytest
from test_http import BRIDGE, HTTPAgent, user

pytestmark = pytest.mark.skipif(not BRIDGE.exists(), reason="this installation has no HTTP bridge")
CONNECTIONS_MAX = 1_024


@pytest.fixture(scope="module")
def agent():
    with HTTPAgent("--http-origin", "https://page.example") as started:
        yield started


def test_a_request_has_a_bound(agent):
    # Of the body, whether or not it says how long it is.
    long = json.dumps({"model": "echo", "messages": user("warm " * 900_000)}).encode()
    assert len(long) > 4 << 20
    for content in (long, iter([long[: 1 << 20]] * 5)):
        try:
            answer = httpx.post(f"{agent.base}/v1/chat/completions", content=content)
            assert answer.status_code == 413 and "4194304" in answer.text
        except (httpx.WriteError, httpx.ReadError):
            # The connection was ended while the rest was sent.
            pass
    head = httpx.get(f"{agent.base}/v1/models", headers={"x-filler": "a" * 40_000})
    assert head.status_code == 400
    # And the bridge goes on.
    assert httpx.get(f"{agent.base}/v1/models").status_code == 200


@pytest.mark.waits
def test_a_client_that_sends_no_request_is_let_go(agent):
    with socket.create_connection((agent.host, agent.port)) as silent:
        silent.settimeout(30)
        silent.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n")
        # Others are served meanwhile.
        assert httpx.get(f"{agent.base}/v1/models").status_code == 200
        assert silent.recv(1) == b""


def test_clients_without_a_whole_request_do_not_keep_others_out(agent):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    half = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {agent.host}\r\nContent-Length: 100\r\n\r\n{{".encode()
    whole = f"GET /api/version HTTP/1.1\r\nHost: {agent.host}\r\n\r\n".encode()
    with contextlib.ExitStack() as open_:
        ask = {"model": "echo", "messages": user(), "stream": True, "max_tokens": 2_000}
        answer = open_.enter_context(httpx.stream("POST", f"{agent.base}/v1/chat/completions", json=ask, timeout=60))
        lines = answer.iter_lines()
        next(lines)
        # More than there are places: without their body, after an answer, and both.
        for number in range(CONNECTIONS_MAX + 100):
            stranger = open_.enter_context(socket.create_connection((agent.host, agent.port), timeout=20))
            stranger.sendall((half, whole, whole + half)[number % 3])
        assert httpx.get(f"{agent.base}/v1/models", timeout=20).status_code == 200
        assert [line for line in lines if line][-1] == "data: [DONE]"


def test_a_client_that_waits_with_its_body_is_told_to_go_on(agent):
    ask = json.dumps({"model": "echo", "messages": user(), "max_tokens": 1}).encode()

    def head(length):
        return (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {agent.host}\r\nContent-Length: {length}\r\n"
            "Expect: 100-continue\r\n\r\n"
        ).encode()

    with socket.create_connection((agent.host, agent.port), timeout=20) as connection:
        # Not one byte of the body is sent before.
        connection.sendall(head(len(ask)))
        told = b"HTTP/1.1 100 Continue\r\n\r\n"
        assert connection.recv(len(told), socket.MSG_WAITALL) == told
        connection.sendall(ask)
        assert connection.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
    # A body that would be refused need not be sent at all.
    with socket.create_connection((agent.host, agent.port), timeout=20) as connection:
        connection.sendall(head(5 << 20))
        assert connection.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 413"


def test_requests_share_a_connection(agent):
    with httpx.Client(base_url=agent.base) as client:
        head = client.head("/v1/models")
        assert head.status_code == 200 and head.content == b"" and int(head.headers["content-length"]) > 0
        assert client.get("/v1/models").json()["object"] == "list"
    # Sent at once, they are answered in their order.
    ask = f"GET /api/version HTTP/1.1\r\nHost: {agent.host}\r\n\r\nGET / HTTP/1.1\r\nHost: {agent.host}\r\n"
    with socket.create_connection((agent.host, agent.port)) as connection:
        connection.sendall((ask + "Connection: close\r\n\r\n").encode())
        answers = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.index(b'"version"') < answers.index(b"Hearth lends")


def answer_to(agent, text):
    """The first head and all that comes until the bridge closes the connection."""
    with socket.create_connection((agent.host, agent.port), timeout=20) as connection:
        connection.sendall(text.replace("HOST", f"Host: {agent.host}").replace("\n", "\r\n").encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    return int(answer.split()[1]), answer.count(b"HTTP/1.1 "), answer


def test_a_request_is_read_in_one_way_or_not_at_all(agent):
    body = json.dumps({"model": "echo", "messages": user(), "max_tokens": 1})
    size, second = len(body), "GET /api/version HTTP/1.1\nHOST\n\n"
    chat = "POST /v1/chat/completions HTTP/1.1\nHOST\n"
    chunked = f"{size:x}\n{body}\n0\n\n"
    for text in [
        # Two lengths, and what would be a second request to who reads the other one.
        f"{chat}Content-Length: 4\nTransfer-Encoding: chunked\n\n{chunked}{second}",
        f"{chat}Transfer-Encoding: chunked\nContent-Length: 4\n\n{chunked}{second}",
        f"{chat}Content-Length: {size}\nContent-Length: 5\n\n{body}{second}",
        f"{chat}Content-Length: {size}, {size}\n\n{body}{second}",
        f"{chat}Content-Length: +{size}\n\n{body}",
        f"{chat}Content-Length : {size}\n\n{body}",
        f"{chat}Transfer-Encoding:\n chunked\n\n{chunked}{second}",
        f"{chat}Transfer-Encoding: chunked, identity\n\n{chunked}{second}",
        "GET /api/version HTTP/1.1\nHOST\nX: a\0b\n\n",
        "GET /api/version HTTP/1.1\nHOST\n" + "X: 1\n" * 200 + "\n",
        "\x16\x03\x01\n\n",
    ]:
        status, answers, answer = answer_to(agent, text)
        assert (status, answers) == (400, 1), text
        assert "no request of HTTP/1.1" in json.loads(answer.split(b"\r\n\r\n")[1])["error"]["message"]
    for text in [
        f"{chat}Transfer-Encoding: chunked\n\n1000000000000004b\n{body}\n0\n\n",
        f"{chat}Transfer-Encoding: chunked\n\n-1\n{body}\n0\n\n",
    ]:
        assert answer_to(agent, text)[:2] == (400, 1), text
    for coding in ("xchunked", "gzip, chunked"):
        assert answer_to(agent, f"{chat}Transfer-Encoding: {coding}\n\n{chunked}{second}")[:2] == (415, 1)
    # One host, wherever it stands.
    last = "Connection: close\n\n"
    assert answer_to(agent, f"GET /api/version HTTP/1.1\nHOST\nHost: evil.example\n{last}")[0] == 400
    assert answer_to(agent, f"GET http://evil.example/api/version HTTP/1.1\nHOST\n{last}")[0] == 421
    assert answer_to(agent, f"GET {agent.base}/api/version HTTP/1.1\nHost: evil.example\n{last}")[0] == 200
    # A connection that is to end does, and what comes behind is no request.
    for head in ["GET /api/version HTTP/1.0\nHOST", "GET /api/version HTTP/1.1\nHOST\nConnection: TE, Close\nTE: trailers"]:
        assert answer_to(agent, f"{head}\n\n{second}")[:2] == (200, 1)
    old = f"POST /v1/chat/completions HTTP/1.0\nHOST\nTransfer-Encoding: chunked\n\n{chunked}{second}"
    assert answer_to(agent, old)[1] == 1


def test_what_is_wrong_with_a_request_is_told(agent):
    ask = json.dumps({"model": "echo", "messages": user(), "max_tokens": 1}).encode()

    def told(method, path, status, **options):
        answer = httpx.request(method, agent.base + path, **options)
        assert answer.status_code == status, answer.text
        return answer.headers, answer.json()["error"]["message"]

    packed = {"content": gzip.compress(ask), "headers": {"content-encoding": "gzip"}}
    assert "'gzip'" in told("POST", "/v1/chat/completions", 415, **packed)[1]
    assert "empty" in told("POST", "/v1/chat/completions", 400)[1]
    headers, message = told("GET", "/v1/chat/completions", 405)
    assert headers["allow"] == "POST" and "takes POST, not GET" in message
    assert told("PUT", "/hearth/v1/keys", 405)[0]["allow"] == "GET, POST"
    for path, meant in [
        ("/chat/completions", "/v1/chat/completions"), ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("//v1/models/", "/v1/models"), ("/v1/api/chat", "/api/chat"),
    ]:
        assert f"did you mean '{meant}'?" in told("POST", path, 404)[1]
    assert "did you mean" not in told("GET", "/v1/nothing", 404)[1]


def test_pages_of_other_sites_may_not_call(agent):
    def ask(method="GET", path="/v1/models", **headers):
        return httpx.request(method, agent.base + path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    assert ask(host="evil.example").status_code == 421
    assert ask(host=f"localhost:{agent.port}").status_code == 200
    assert ask(origin="https://evil.example").status_code == 403
    assert ask(origin="null").status_code == 403
    assert ask("OPTIONS", origin="https://evil.example").status_code == 403
    assert ask(origin=agent.base).status_code == 200
    allowed = ask(origin="https://page.example")
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://page.example"
    preflight = ask("OPTIONS", "/v1/chat/completions", origin="https://page.example")
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-methods"] == "POST"
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in ask().headers

"""HTTP beyond loopback: TLS with certificates that openssl(1) has made, by clients that know nothing of hearth."""

import contextlib
import json
import resource
import shutil
import socket
import ssl
import subprocess

import echo
import httpx
import openai
import pytest
from agent import Agent, wait_until
from certificates import new_pair
from closed_agent import ClosedAgent
from test_certificates import authorities, in_file
from test_http import BRIDGE, PROMPT, Bridged

pytestmark = pytest.mark.skipif(not BRIDGE.exists(), reason="this installation has no HTTP bridge")
NAMES = ["subjectAltName=DNS:localhost,DNS:hearth.test,DNS:*.wild.test,IP:127.0.0.1"]
# The most that are open at once.
CONNECTIONS_MAX = 1_024


class OpenHTTPAgent(Bridged, ClosedAgent):
    """One whose HTTP other machines can reach."""

    def __init__(self, pair, authority):
        options = ["--tls-certificate", pair[1], "--tls-key", pair[0], "--http", "0.0.0.0:0"]
        super().__init__(options=options, authority=authority[1])

    def __enter__(self):
        super().__enter__()
        self.find()
        self.host = "127.0.0.1"
        self.context = ssl.create_default_context(cafile=self.authority)
        return self

    def client(self):
        headers = {"authorization": f"Bearer {self.first_key}"}
        return httpx.Client(base_url=self.base, verify=self.context, headers=headers, timeout=60)

    def connect(self, context=None, **options):
        plain = socket.create_connection((self.host, self.port), timeout=20)
        return (context or self.context).wrap_socket(plain, server_hostname="localhost", **options)

    def shown(self):
        """The certificate that a new handshake gets."""
        with self.connect() as secured:
            return ssl.DER_cert_to_PEM_cert(secured.getpeercert(True))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """An agent, its certificate's files, and the authority that signed it."""
    folder = tmp_path_factory.mktemp("https")
    for place in (folder, *folder.parents):
        if place.stat().st_mode & 0o077 == 0:
            place.chmod(0o755)
    authority = new_pair(folder, "authority", "authority")
    used = folder / "used.key", folder / "used.pem"
    put(new_pair(folder, "first", "localhost", NAMES, authority), used)
    with OpenHTTPAgent(used, authority) as agent:
        yield agent, used, authority


def put(pair, used):
    for source, target in zip(pair, used):
        temporary = target.with_suffix(".new")
        shutil.copy(source, temporary)
        temporary.rename(target)


def completion(tokens=12, **more):
    return {"model": "echo", "prompt": PROMPT, "seed": 7, "max_tokens": tokens, **more}


def expected(tokens=12):
    return "".join(echo.WORDS[token] for token in echo.token_ids(7, PROMPT, tokens))


def test_a_stock_client_speaks_https(served):
    agent, _, _ = served
    with httpx.Client(verify=agent.context) as http:
        client = openai.OpenAI(base_url=f"{agent.base}/v1", api_key=agent.first_key, http_client=http, max_retries=0)
        assert client.completions.create(**completion()).choices[0].text == expected()
        pieces = list(client.completions.create(**completion(stream=True)))
        assert "".join(piece.choices[0].text for piece in pieces if piece.choices) == expected()
    with agent.connect() as secured:
        assert secured.version() == "TLSv1.3"


def test_every_request_needs_a_key_and_a_name_of_the_certificate(served):
    agent, _, _ = served
    with agent.client() as client:
        assert client.get("/v1/models").status_code == 200
        for host, status in [
            ("hearth.test", 200), ("a.wild.test", 200), ("127.0.0.1", 200), ("a.b.wild.test", 421), ("evil.test", 421)
        ]:
            assert client.get("/v1/models", headers={"host": host}).status_code == status, host
        for headers in ({"authorization": ""}, {"authorization": "Bearer sk-other"}):
            assert client.get("/v1/models", headers=headers).status_code == 401


def test_what_is_no_https_is_refused(served):
    agent, _, authority = served
    plain = httpx.get(f"http://{agent.host}:{agent.port}/v1/models")
    assert plain.status_code == 400 and "https://" in plain.text

    def fails(**changes):
        context = ssl.create_default_context(cafile=changes.pop("cafile", authority[1]))
        for name, value in changes.items():
            getattr(context, name)(value) if callable(getattr(context, name)) else setattr(context, name, value)
        with pytest.raises(ssl.SSLError):
            agent.connect(context)

    fails(cafile=None)
    fails(maximum_version=ssl.TLSVersion.TLSv1_2)
    fails(set_alpn_protocols=["h2"])
    context = ssl.create_default_context(cafile=authority[1])
    context.set_alpn_protocols(["h2", "http/1.1"])
    with agent.connect(context) as secured:
        assert secured.selected_alpn_protocol() == "http/1.1"


def test_a_certificate_is_renewed_under_a_stream(served, tmp_path):
    agent, used, authority = served
    bridge, before = agent.bridge(), agent.shown()
    second = new_pair(tmp_path, "second", "localhost", [NAMES[0] + ",DNS:later.test"], authority)
    with agent.client() as client:
        with client.stream("POST", "/v1/completions", json=completion(5_000, stream=True)) as answer:
            lines = answer.iter_lines()
            text = json.loads(next(lines).removeprefix("data: "))["choices"][0]["text"]
            put(second, used)
            wait_until(lambda: agent.shown() == in_file(second) != before, "the other certificate is shown")
            with agent.client() as other:
                assert other.get("/v1/models", headers={"host": "later.test"}).status_code == 200
            data = [line.removeprefix("data: ") for line in lines if line]
            assert data.pop() == "[DONE]"
            text += "".join(choice["text"] for line in data for choice in json.loads(line)["choices"])
            assert text == expected(5_000)
        # On the connection with the earlier certificate.
        assert client.get("/v1/models").status_code == 200
    assert agent.bridge() == bridge, "the bridge was not started again"


def test_half_open_handshakes_do_not_keep_others_out(served):
    agent, _, _ = served
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    hello, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        agent.context.wrap_bio(hello, outgoing, server_hostname="localhost").do_handshake()
    hello = outgoing.read()
    with contextlib.ExitStack() as open_, agent.client() as client:
        with client.stream("POST", "/v1/completions", json=completion(5_000, stream=True)) as answer:
            lines = answer.iter_lines()
            next(lines)
            # More than there are places: some say nothing, some a part of the first message, some wait after it.
            for number in range(CONNECTIONS_MAX + 100):
                stranger = open_.enter_context(socket.create_connection((agent.host, agent.port), timeout=20))
                stranger.sendall((b"", hello[:100], hello)[number % 3])
            with agent.client() as other:
                assert other.get("/v1/models").status_code == 200
            assert [line for line in lines if line][-1] == "data: [DONE]"


def test_a_stream_that_is_cut_does_not_look_finished(served):
    agent, _, _ = served

    def ask(secured, body):
        content = json.dumps(body).encode()
        secured.sendall(
            f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {agent.first_key}\r\n"
            f"Connection: close\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content
        )

    with agent.connect(suppress_ragged_eofs=False) as secured:
        ask(secured, completion())
        # To the close_notify, or it would raise.
        assert b"200 OK" in b"".join(iter(lambda: secured.recv(65_536), b""))
    with agent.connect(suppress_ragged_eofs=False) as secured:
        ask(secured, completion(100_000_000, stream=True))
        assert secured.recv(12)
        # What it runs on ends soon, and nothing takes its place.
        (agent.backend_folder / "echo").rename(agent.folder / "away")
        with pytest.raises(ssl.SSLEOFError):
            while secured.recv(65_536):
                pass
        (agent.folder / "away").rename(agent.backend_folder / "echo")
    agent.wait_ready("echo")


def test_clients_show_a_certificate_where_grpc_asks_for_one(authorities):
    folder, ours, theirs, host = authorities
    pairs = {
        "laptop": new_pair(folder, "laptop", "laptop", (), ours),
        "stranger": new_pair(folder, "stranger", "stranger", (), ours),
        "foreign": new_pair(folder, "foreign", "laptop", (), theirs),
    }
    options = ["--tls-certificate", host[1], "--tls-key", host[0], "--tls-client-authority", ours[1]]
    options += ["--tls-client-subject", "laptop", "--tls", "--http", "127.0.0.1:0"]

    class Shown(Bridged, Agent):
        pass

    with Shown(plaintext=False, options=options) as agent:
        agent.find()

        def models(name):
            context = ssl.create_default_context(cafile=ours[1])
            if name:
                context.load_cert_chain(pairs[name][1], pairs[name][0])
            return httpx.get(f"{agent.base}/v1/models", verify=context, timeout=30)

        # On loopback no key is asked for.
        assert models("laptop").status_code == 200
        refused = models("stranger")
        assert refused.status_code == 403 and "stranger" in refused.text and "--tls-client-subject" in refused.text
        for name in ("foreign", None):
            with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
                models(name)


@pytest.mark.parametrize(
    ("options", "told"),
    [(["--plaintext"], "plaintext is refused on http"), ([], "hearth key create")],
)
def test_other_machines_are_not_served_without_tls_and_keys(options, told, tmp_path):
    agent = Agent(plaintext=False, options=["--http", "0.0.0.0:0", *options])
    try:
        ended = subprocess.run([str(part) for part in agent.command], capture_output=True, text=True, timeout=60)
        assert ended.returncode != 0 and told in ended.stderr, ended
    finally:
        agent.clean_up()

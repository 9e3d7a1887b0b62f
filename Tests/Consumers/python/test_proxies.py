"""Behind HAProxy and nginx, with the very configurations of Docs/proxies: nothing of a stream is lost, held back or hidden."""

import asyncio
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import echo
import grpc
import pytest
from agent import Agent, wait_until
from certificates import new_pair
from closed_agent import ClosedAgent
from consumer import CANCELLED, OWN_CONNECTION, detail, failure, first_failure, pb, read_turn, rpc, run
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

CONFIGURATIONS = pathlib.Path(__file__).resolve().parents[3] / "Docs/proxies"
ENDLESS = {"max_tokens": 1_000_000, "tokens_per_second": 100}

# TLS to the proxy, TLS to the agent.
WAYS = {
    "haproxy": (True, False),
    "haproxy without TLS": (False, False),
    "haproxy to TLS": (True, True),
    "haproxy passing TLS through": (True, True),
    "nginx": (True, False),
    "nginx without TLS": (False, False),
    "nginx to TLS": (True, True),
}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def replaced(text, old, new):
    assert old in text, f"the configuration no longer has {old!r}"
    return text.replace(old, new)


def chosen(text, start):
    """With the commented line that begins so instead of the one that has the same first word."""
    word = start.split()[0]
    text, changed = re.subn(rf"^( *)({word} .*)$", r"\1# \2", text, flags=re.M)
    assert changed == 1, f"one line of {word}"
    return uncommented(text, start)


def uncommented(text, start):
    text, changed = re.subn(rf"^( *)# ({re.escape(start)}.*)$", r"\1\2", text, flags=re.M)
    assert changed, f"a commented line {start}"
    return text


def program(name):
    """Where it is: not every user's PATH names the folders of servers."""
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    return found or pytest.skip(f"{name} is not there: Scripts/packages test installs it")


class Proxy:
    """HAProxy or nginx on a loopback port before an agent, as an ordinary process in a folder of its own."""

    def __init__(self, way, agent):
        self.way, self.agent = way, agent
        self.has_tls, self.agent_has_tls = WAYS[way]

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hearth-proxy-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        if self.agent_has_tls:
            shutil.copy(self.agent.state / "certificate.pem", self.folder / "agent.pem")
        self.key, self.certificate = new_pair(
            self.folder, "proxy", "localhost", ["subjectAltName=DNS:localhost,IP:127.0.0.1"]
        )
        passes = "through" in self.way
        self.trusted = (self.folder / "agent.pem" if passes else self.certificate).read_bytes()
        self.command = (self.haproxy if "haproxy" in self.way else self.nginx)()
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(
            [str(part) for part in self.command], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        wait_until(self.accepts, f"{self.way} accepts")
        self.address = f"localhost:{self.port}"
        return self

    def haproxy(self):
        passes = "through" in self.way
        text = (CONFIGURATIONS / ("haproxy-passthrough.cfg" if passes else "haproxy.cfg")).read_text()
        if not passes:
            pair = self.folder / "hearth.pem"
            pair.write_bytes(self.certificate.read_bytes() + self.key.read_bytes())
            if not self.has_tls:
                text = replaced(chosen(text, "bind :50050"), "bind :50050", f"bind 127.0.0.1:{self.port}")
            if self.agent_has_tls:
                text = chosen(text, "server agent 127.0.0.1:50051 ssl")
            text = replaced(text, "/etc/haproxy/", f"{self.folder}/")
        text = text.replace("bind :443", f"bind 127.0.0.1:{self.port}")
        path = self.folder / "haproxy.cfg"
        path.write_text(replaced(text, "127.0.0.1:50051", self.agent.address))
        return [program("haproxy"), "-db", "-f", path]

    def nginx(self):
        text = (CONFIGURATIONS / "nginx.conf").read_text()
        if not self.has_tls:
            text = replaced(chosen(text, "listen 50050"), "listen 50050", f"listen 127.0.0.1:{self.port}")
        if self.agent_has_tls:
            text = uncommented(chosen(text, "grpc_pass grpcs:"), "grpc_ssl_")
        text = text.replace("listen 443", f"listen 127.0.0.1:{self.port}")
        text = replaced(text, "/etc/nginx/", f"{self.folder}/")
        (self.folder / "hearth.pem").write_bytes(self.certificate.read_bytes())
        (self.folder / "hearth.key").write_bytes(self.key.read_bytes())
        (self.folder / "hearth.conf").write_text(replaced(text, "127.0.0.1:50051", self.agent.address))
        # What Debian's own nginx.conf does around the files of conf.d.
        places = "\n".join(
            f"{kind}_temp_path {self.folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        path = self.folder / "nginx.conf"
        path.write_text(
            f"daemon off;\nworker_processes 1;\npid {self.folder}/pid;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{places}\ninclude {self.folder}/hearth.conf;\n}}\n"
        )
        return [program("nginx"), "-p", self.folder, "-e", "stderr", "-c", path]

    def accepts(self):
        assert self.process.poll() is None, f"{self.way} ended:\n{(self.folder / 'log').read_text()}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def kill(self):
        """Ends it as a crash would; a worker of nginx dies with its master here."""
        workers = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.process.kill()
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(worker), signal.SIGKILL)
        self.process.wait()

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.kill()
        self.log.close()
        if error[0] is not None:
            print(f"--- {self.way} said\n{(self.folder / 'log').read_text()[-4000:]}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def channel(self):
        """A connection of a consumer's own to the proxy."""
        if not self.has_tls:
            return grpc.aio.insecure_channel(self.address, options=OWN_CONNECTION)
        return grpc.aio.secure_channel(
            self.address, grpc.ssl_channel_credentials(self.trusted), options=OWN_CONNECTION
        )

    @property
    def authorization(self):
        return [("authorization", f"Bearer {self.agent.first_key}")]


@contextlib.contextmanager
def behind(way, *options):
    with ClosedAgent(tls=WAYS[way][1], options=options) as agent, Proxy(way, agent) as proxy:
        yield proxy


@pytest.fixture(scope="module", params=WAYS)
def proxy(request):
    """One for all tests that leave agent and proxy as they were."""
    with behind(request.param) as made:
        yield made
        made.agent.wait_idle("echo")


def test_tokens_pass_one_by_one_in_several_turns_of_one_stream(proxy):
    async def scenario():
        async with proxy.channel() as channel:
            call = rpc.InferenceStub(channel).Chat(metadata=proxy.authorization)
            # Falls silent and never ends: whatever a proxy held back would never come.
            await call.write(pb.ChatRequest(generate=echo.request("one", silent_at=1, max_tokens=9, ids=True)))
            turn = await read_turn(call, until=lambda turn: turn.tokens == 1)
            assert proxy.agent.number("echo", "running") == 1
            await call.write(pb.ChatRequest(cancel=pb.Cancel()))
            assert (await read_turn(call, turn)).finished.reason == CANCELLED
            request = echo.request("two", max_tokens=20, tokens_per_second=200, ids=True)
            await call.write(pb.ChatRequest(generate=request))
            turn = await read_turn(call)
            echo.check(turn, request)
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            assert await call.code() == grpc.StatusCode.OK

    run(scenario())


def test_a_cancelled_call_and_one_past_its_deadline_stop_the_computation(proxy):
    async def scenario():
        async with proxy.channel() as channel:
            stub = rpc.InferenceStub(channel)
            call = stub.Generate(echo.request("cut", **ENDLESS), metadata=proxy.authorization)
            await read_turn(call, until=lambda turn: turn.tokens >= 3)
            assert proxy.agent.number("echo", "running") == 1
            call.cancel()
            await asyncio.to_thread(proxy.agent.wait_idle, "echo")
            call = stub.Generate(echo.request("late", **ENDLESS), metadata=proxy.authorization, timeout=1)
            error, events = await first_failure(call)
            assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            assert "delta" in [event.WhichOneof("event") for event in events]
            await asyncio.to_thread(proxy.agent.wait_idle, "echo")
            left = stub.Generate(echo.request("left", **ENDLESS), metadata=proxy.authorization)
            await read_turn(left, until=lambda turn: turn.tokens >= 3)
        # The connection closed with the call in progress.
        await asyncio.to_thread(proxy.agent.wait_idle, "echo")

    run(scenario())


def test_a_refusal_keeps_its_code_its_words_and_its_details(proxy):
    async def scenario():
        async with proxy.channel() as channel:
            stub = rpc.InferenceStub(channel)
            name = "100 % ü \U0001f525\nreally"
            error = await failure(stub.CountTokens(pb.GenerateRequest(model=name, text="x"), metadata=proxy.authorization))
            assert error.code() == grpc.StatusCode.NOT_FOUND and name in error.details()
            request = echo.request("hot", max_tokens=1)
            request.sampling.temperature = 3
            error, events = await first_failure(stub.Generate(request, metadata=proxy.authorization))
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and not events
            (violation,) = detail(error, error_details_pb2.BadRequest).field_violations
            assert violation.field == "sampling.temperature"
            # After the first tokens, in trailers that come long after the headers.
            crash = echo.request("fault", max_tokens=50, fault="overloaded", fault_at=5)
            error, events = await first_failure(stub.Generate(crash, metadata=proxy.authorization))
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
            assert "delta" in [event.WhichOneof("event") for event in events]
            # What is too long is cut, with a character that is no ASCII.
            error = await failure(channel.unary_unary(f"/{'x' * 3_000}/Chat")(b"", metadata=proxy.authorization))
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED and error.details().endswith("x…")
            error = await failure(channel.unary_unary("/hearth.v1.Missing/Chat")(b"", metadata=proxy.authorization))
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED

    run(scenario())


def test_metadata_passes_whatever_its_name_and_up_to_the_agents_own_limit(proxy):
    async def scenario():
        async with proxy.channel() as channel:
            stub, question = rpc.InferenceStub(channel), pb.ListModelsRequest()
            error = await failure(stub.ListModels(question))
            assert error.code() == grpc.StatusCode.UNAUTHENTICATED and "hearth key create" in error.details()
            odd = [("some-bin", bytes(range(256))), ("some_name", "a"), ("some.name", "b"), ("some", "text, with commas")]
            large = [(f"large-{n}", "y" * 4_000) for n in range(6)]
            for metadata in ([], odd, large, [("large", "y" * 24_000)]):
                answer = await stub.ListModels(question, metadata=[*proxy.authorization, *metadata])
                assert [model.id for model in answer.models] == ["echo"]
            # What is beyond the agent's limit has reached it when it says so, whatever its name.
            for name in ("large", "large_name", "large.name"):
                error = await failure(stub.ListModels(question, metadata=[*proxy.authorization, (name, "y" * 36_000)]))
                assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error

    run(scenario())


def test_large_messages_pass_compressed_or_not(proxy):
    async def scenario():
        async with proxy.channel() as channel:
            request = echo.request("word " * 300_000)
            for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
                counted = await rpc.InferenceStub(channel).CountTokens(
                    request, metadata=proxy.authorization, compression=compression
                )
                assert counted.tokens == 300_000

    run(scenario())


def test_health_is_told_without_a_key_and_watched(proxy):
    async def scenario():
        async with proxy.channel() as channel:
            health = health_pb2_grpc.HealthStub(channel)
            asked = health_pb2.HealthCheckRequest(service="echo")
            assert (await health.Check(asked)).status == health_pb2.HealthCheckResponse.SERVING
            watch = health.Watch(asked)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            watch.cancel()

    run(scenario())


def test_many_consumers_stream_at_once(proxy):
    async def scenario():
        channels = [proxy.channel() for _ in range(8)]

        async def one(number):
            request = echo.request(f"stream {number}", max_tokens=30, tokens_per_second=30, ids=True)
            call = rpc.InferenceStub(channels[number % 8]).Generate(request, metadata=proxy.authorization)
            echo.check(await read_turn(call), request)

        await asyncio.gather(*(one(number) for number in range(160)))
        for channel in channels:
            await channel.close()

    run(scenario())


def test_no_two_consumers_share_a_connection_to_the_agent(proxy):
    async def scenario():
        channels = [proxy.channel() for _ in range(3)]
        # A proxy may share a connection once it has served a consumer's first call.
        for channel in [*channels, *channels]:
            await rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest(), metadata=proxy.authorization)
        request = echo.request("one of three", **ENDLESS)
        calls = [rpc.InferenceStub(channel).Generate(request, metadata=proxy.authorization) for channel in channels]
        for call in calls:
            await read_turn(call, until=lambda turn: turn.tokens > 0)
        status = json.loads(proxy.agent.command_line("status", "--state", proxy.agent.state, "--json"))
        assert int(status["openConnections"]) >= 3, status
        for channel in channels:
            await channel.close()

    run(scenario())


@pytest.mark.parametrize("way", WAYS)
def test_streams_that_are_open_when_the_agent_stops_end_well(way):
    async def scenario(proxy):
        async with proxy.channel() as channel:
            stub = rpc.InferenceStub(channel)
            request = echo.request("last words", max_tokens=100, tokens_per_second=50, ids=True)
            call = stub.Chat(metadata=proxy.authorization)
            await call.write(pb.ChatRequest(generate=request))
            turn = await read_turn(call, until=lambda turn: turn.tokens >= 3)
            proxy.agent.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(wait_until, lambda: "stopping" in proxy.agent.log(), "the agent drains")
            await call.done_writing()
            turn = await read_turn(call, turn)
            assert turn.tokens == 100
            echo.check(turn, request)
            assert await call.read() is grpc.aio.EOF
            assert await call.code() == grpc.StatusCode.OK
            assert await asyncio.to_thread(proxy.agent.process.wait, 20) == 0
            error = await failure(stub.ListModels(pb.ListModelsRequest(), metadata=proxy.authorization))
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error

    with behind(way) as proxy:
        run(scenario(proxy))


@pytest.mark.parametrize("way", WAYS)
def test_connections_that_grow_old_lose_no_call(way):
    async def scenario(proxy):
        channels = [proxy.channel() for _ in range(4)]
        over, whole = asyncio.Event(), 0

        async def one_after_another(number):
            nonlocal whole
            while not over.is_set():
                request = echo.request(f"stream {number}", seed=whole, max_tokens=6, tokens_per_second=30, ids=True)
                call = rpc.InferenceStub(channels[number % 4]).Generate(request, metadata=proxy.authorization)
                echo.check(await read_turn(call), request)
                whole += 1

        # While connections are made, a proxy may make one for each call.
        seen = set()

        def connections():
            """How many have been seen so far, by the port that the proxy used (proc(5))."""
            served = f":{int(proxy.agent.address.rpartition(':')[2]):04X}"
            rows = [line.split()[1:4] for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
            seen.update(remote for local, remote, state in rows if local.endswith(served) and state == "01")
            return len(seen)

        async with asyncio.TaskGroup() as group:
            for number in range(16):
                group.create_task(one_after_another(number))
            await asyncio.to_thread(wait_until, lambda: whole >= 32, "every consumer has been served twice")
            first = connections()
            await asyncio.to_thread(
                wait_until, lambda: connections() >= first + 8, "others take the place of the first connections", 60, 0.2
            )
            over.set()
        print(f"{whole} streams were whole on {len(seen)} connections")
        for channel in channels:
            await channel.close()

    with behind(way, "--max-connection-age", 2, "--max-connection-age-grace", 10) as proxy:
        run(scenario(proxy))


@pytest.mark.parametrize("way", WAYS)
def test_a_proxy_that_dies_leaves_nothing_running(way):
    async def scenario(proxy):
        channels = [proxy.channel() for _ in range(2)]
        request = echo.request("gone", **ENDLESS)
        calls = [rpc.InferenceStub(channels[n % 2]).Generate(request, metadata=proxy.authorization) for n in range(6)]
        turns = [await read_turn(call, until=lambda turn: turn.tokens >= 3) for call in calls]
        assert proxy.agent.number("echo", "running") == 6
        proxy.kill()
        await asyncio.to_thread(proxy.agent.wait_idle, "echo")
        for call, turn in zip(calls, turns):
            error = await failure(read_turn(call, turn))
            assert error.code() == grpc.StatusCode.UNAVAILABLE
        for channel in channels:
            await channel.close()

    with behind(way) as proxy:
        run(scenario(proxy))

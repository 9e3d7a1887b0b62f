"""Certificates: those of clients, and those of the host, replaced while it serves."""

import asyncio
import shutil
import signal
import socket
import ssl
import subprocess

import echo
import grpc
import pytest
from agent import PREFIX, Agent, wait_until
from certificates import new_pair, openssl
from consumer import OWN_CONNECTION, eventually, failure, pb, read_turn, rpc, run


@pytest.fixture
def authorities(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    # Those that pytest has made for its own user only.
    for place in (folder, *folder.parents):
        if place.stat().st_mode & 0o077 == 0:
            place.chmod(0o755)
    names = ["subjectAltName=DNS:localhost,IP:127.0.0.1"]
    ours, theirs = (new_pair(folder, name, name) for name in ("ours", "theirs"))
    return folder, ours, theirs, new_pair(folder, "host", "localhost", names, ours)


def serving(host, *options):
    return Agent(plaintext=False, options=["--tls-certificate", host[1], "--tls-key", host[0], *options])


def shown(agent, client=None):
    """The certificate that a new handshake gets."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host, _, port = agent.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as secured:
            return ssl.DER_cert_to_PEM_cert(secured.getpeercert(True))


def in_file(pair):
    return ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(pair[1].read_text()))


def test_a_client_shows_a_certificate_of_the_authority_and_of_an_allowed_subject(authorities):
    folder, ours, theirs, host = authorities
    clients = {
        "common": new_pair(folder, "common", "laptop", (), ours),
        "dns": new_pair(folder, "dns", "x", ["subjectAltName=DNS:render.example"], ours),
        "uri": new_pair(folder, "uri", "y", ["subjectAltName=URI:spiffe://example/batch"], ours),
        "unlisted": new_pair(folder, "unlisted", "stranger", (), ours),
        "foreign": new_pair(folder, "foreign", "laptop", (), theirs),
        "selfmade": new_pair(folder, "selfmade", "laptop"),
    }
    subjects = ["laptop", "render.example", "spiffe://example/batch"]
    options = ["--tls-client-authority", ours[1]]
    for subject in subjects:
        options += ["--tls-client-subject", subject]

    def channel(agent, name):
        parts = {"root_certificates": ours[1].read_bytes()}
        if name:
            key, certificate = clients[name]
            parts.update(private_key=key.read_bytes(), certificate_chain=certificate.read_bytes())
        return grpc.aio.secure_channel(
            agent.address, grpc.ssl_channel_credentials(**parts), options=OWN_CONNECTION
        )

    async def scenario(agent):
        for name in ("common", "dns", "uri"):
            async with channel(agent, name) as open_channel:
                request = echo.request(name, max_tokens=5, ids=True)
                echo.check(await read_turn(rpc.InferenceStub(open_channel).Generate(request)), request)
        async with channel(agent, "unlisted") as open_channel:
            error = await failure(rpc.InferenceStub(open_channel).ListModels(pb.ListModelsRequest(), timeout=20))
            assert error.code() == grpc.StatusCode.PERMISSION_DENIED and "stranger" in error.details()
        for name in ("foreign", "selfmade", None):
            async with channel(agent, name) as open_channel:
                error = await failure(rpc.InferenceStub(open_channel).ListModels(pb.ListModelsRequest(), timeout=20))
                assert error.code() == grpc.StatusCode.UNAVAILABLE, name

    with serving(host, *options) as agent:
        run(scenario(agent))


def test_the_command_line_shows_a_certificate_and_says_what_is_wrong_with_one(authorities):
    folder, ours, theirs, host = authorities
    key, certificate = new_pair(folder, "person", "person", (), ours)
    foreign = new_pair(folder, "outsider", "person", (), theirs)
    locked = folder / "locked.key"
    openssl("pkcs8", "-topk8", "-in", key, "-passout", "pass:secret", "-out", locked)
    missing = folder / "missing.pem"

    def hearth(*words):
        command = [str(PREFIX / "bin/hearth"), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def shows(certificate, key):
        return ["--tls-certificate", certificate, "--tls-key", key]

    with serving(host, "--tls-client-authority", ours[1], "--tls-client-subject", "person") as agent:
        known = ["--to", agent.address, "--authorities", ours[1]]
        answer = hearth("models", *known, *shows(certificate, key))
        assert answer.returncode == 0 and "echo" in answer.stdout, answer.stderr
        fingerprint = openssl("x509", "-in", host[1], "-noout", "-fingerprint", "-sha256").split("=")[1].strip()
        string = f"hearth://{agent.address}?fingerprint=sha256:{fingerprint}"
        answer = hearth("chat", "--to", string, *shows(certificate, key), "--max-tokens", 5, "Hello")
        assert answer.returncode == 0 and answer.stdout.strip(), answer.stderr
        for words, code, told in (
            ([], 69, "--tls-certificate"),
            (shows(foreign[1], foreign[0]), 69, "--tls-client-authority"),
            (shows(certificate, key)[:2], 64, "belong together"),
            (shows(missing, key), 64, str(missing)),
            (shows(certificate, missing), 64, str(missing)),
            (shows(certificate, foreign[0]), 64, str(foreign[0])),
            (shows(certificate, locked), 64, "not encrypted"),
        ):
            answer = hearth("models", *known, *words)
            assert answer.returncode == code and told in answer.stderr, (words, answer)
            assert not answer.stdout


def test_tls_1_2_is_spoken_only_where_the_owner_accepts_it(authorities):
    folder, _, _, host = authorities

    def speaks(agent, version):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["h2"])
        name, _, port = agent.address.rpartition(":")
        with socket.create_connection((name, int(port)), timeout=20) as plain:
            try:
                with context.wrap_socket(plain) as secured:
                    return secured.selected_alpn_protocol() == "h2"
            except ssl.SSLError:
                return False

    with serving(host) as agent:
        assert speaks(agent, ssl.TLSVersion.TLSv1_3) and not speaks(agent, ssl.TLSVersion.TLSv1_2)
    with serving(host, "--tls-minimum", "1.2") as agent:
        assert speaks(agent, ssl.TLSVersion.TLSv1_3) and speaks(agent, ssl.TLSVersion.TLSv1_2)


def test_a_certificate_is_replaced_under_streams_and_none_is_lost(authorities):
    folder, ours, _, first = authorities
    names = ["subjectAltName=DNS:localhost,IP:127.0.0.1"]
    second, third = (new_pair(folder, name, "localhost", names, ours) for name in ("second", "third"))
    used = folder / "used.key", folder / "used.pem"
    credentials = grpc.ssl_channel_credentials(ours[1].read_bytes())

    def put(pair):
        for source, target in zip(pair, used):
            temporary = target.with_suffix(".new")
            shutil.copy(source, temporary)
            temporary.rename(target)

    async def scenario(agent):
        channels = [grpc.aio.secure_channel(agent.address, credentials, options=OWN_CONNECTION) for _ in range(8)]
        requests = [echo.request(f"stream {n}", max_tokens=400, tokens_per_second=50, ids=True) for n in range(24)]
        calls = [rpc.InferenceStub(channels[n % 8]).Generate(request) for n, request in enumerate(requests)]
        turns = [await read_turn(call, until=lambda turn: turn.tokens > 0) for call in calls]
        reading = [asyncio.create_task(read_turn(call, turn)) for call, turn in zip(calls, turns)]

        async def until_shown(pair):
            await asyncio.to_thread(wait_until, lambda: shown(agent) == in_file(pair), f"{pair[1]} is shown")

        await until_shown(first)
        put(second)
        await until_shown(second)
        # A pair that does not fit is told of, and not used.
        shutil.copy(third[1], used[1])
        await asyncio.to_thread(wait_until, lambda: "the certificate in use stays" in agent.log(), "it is told of")
        assert shown(agent) == in_file(second)
        put(third)
        agent.process.send_signal(signal.SIGHUP)
        await until_shown(third)
        assert not any(task.done() for task in reading), "the streams ended before the certificates were replaced"
        for turn, request in zip(await asyncio.gather(*reading), requests):
            assert turn.tokens == 400
            echo.check(turn, request)
        for channel in channels:
            await channel.close()

    put(first)
    with serving(used) as agent:
        run(scenario(agent))


def test_streams_begin_and_end_all_the_time_while_certificates_are_replaced_and_none_is_lost(authorities):
    folder, ours, _, first = authorities
    names = ["subjectAltName=DNS:localhost,IP:127.0.0.1"]
    pairs = [first, *(new_pair(folder, f"replacement-{n}", "localhost", names, ours) for n in range(5))]
    used = folder / "served.key", folder / "served.pem"
    credentials = grpc.ssl_channel_credentials(ours[1].read_bytes())
    over = asyncio.Event()
    whole = {"old": 0, "new": 0}

    def put(pair):
        for source, target in zip(pair, used):
            temporary = target.with_suffix(".new")
            shutil.copy(source, temporary)
            temporary.rename(target)

    async def stream(channel, number):
        request = echo.request(f"stream {number}", seed=sum(whole.values()), max_tokens=8, tokens_per_second=10, ids=True)
        turn = await read_turn(rpc.InferenceStub(channel).Generate(request))
        assert turn.tokens == 8
        echo.check(turn, request)

    async def on_an_old_connection(channel, number):
        while not over.is_set():
            await stream(channel, number)
            whole["old"] += 1

    async def on_new_connections(agent, number):
        while not over.is_set():
            async with grpc.aio.secure_channel(agent.address, credentials, options=OWN_CONNECTION) as channel:
                await stream(channel, number)
            whole["new"] += 1

    async def replacements(agent):
        for pair in pairs[1:]:
            put(pair)
            await asyncio.to_thread(wait_until, lambda: shown(agent) == in_file(pair), f"{pair[1]} is shown")
            before = dict(whole)
            await eventually(
                lambda: whole["old"] >= before["old"] + 70 and whole["new"] >= before["new"] + 30,
                "every connection had a stream since", interval=0.05)
        over.set()

    async def scenario(agent):
        channels = [grpc.aio.secure_channel(agent.address, credentials, options=OWN_CONNECTION) for _ in range(7)]
        async with asyncio.TaskGroup() as group:
            for number in range(70):
                group.create_task(on_an_old_connection(channels[number % 7], number))
            for number in range(30):
                group.create_task(on_new_connections(agent, 70 + number))
            group.create_task(replacements(agent))
        for channel in channels:
            await channel.close()
        print(f"{whole} streams were whole")

    put(first)
    options = ["--tls-certificate", used[1], "--tls-key", used[0]]
    with Agent({"echo": {"models": [{"id": "echo", "maxSequences": 200}]}}, plaintext=False, options=options) as agent:
        run(scenario(agent))

"""`hearth pull`: from a registry, an address or a file into the folder of models, whatever breaks off on the way."""

import base64
import json
import os
import pathlib
import shutil
import signal
import socketserver
import subprocess
import tempfile
import threading

import pytest
import registry as play
from agent import PREFIX, Agent, descendants, is_alive, wait_until
from certificates import new_pair
from registry import DOCKER_LICENCE, DOCKER_WEIGHTS, Registry, digest_of
from terminal import Terminal, plain

HEARTH = str(PREFIX / "bin/hearth")
MEBIBYTE = 1 << 20
WEIGHTS = os.urandom(9 * MEBIBYTE + 12_345)
SMALL = os.urandom(100_000)
LICENCE = b"The Fox Licence\n\n  Version 1.0\nYou may.\n" + b"More.\n" * 1000


@pytest.fixture(scope="module")
def hub():
    registry = Registry()
    registry.large = registry.push("ai/fox", "1B-Q4_0", [(DOCKER_WEIGHTS, WEIGHTS)])
    registry.small = registry.push("ai/fox", "latest", [(DOCKER_WEIGHTS, SMALL)])
    yield registry
    registry.close()


@pytest.fixture(autouse=True)
def as_new(hub):
    hub.forget()


def environment(folder, **variables):
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "HOME": str(folder), **variables}


def command(folder, *words):
    return [HEARTH, "pull", *map(str, words), "--models", str(folder / "models")]


def pull(folder, *words, **variables):
    return subprocess.run(
        command(folder, *words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        env=environment(folder, **variables),
    )


def pulled(folder, *words, **variables):
    answer = pull(folder, *words, **variables)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def files(folder):
    """The names in the folder of models, hidden ones and what is on its way left out."""
    return sorted(path.name for path in (folder / "models").iterdir() if not path.name.startswith("."))


def interrupted(folder, hub, source, count, number=signal.SIGINT):
    """Pulls until so many bytes more have come, and sends a signal then; what the command wrote, and its exit code."""
    pause = play.Pause(count)
    hub.tricks = [pause]
    process = subprocess.Popen(
        command(folder, source), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(folder),
    )
    assert pause.reached.wait(20)
    # What was sent has arrived once the part has grown.
    part = lambda: sum(path.stat().st_size for path in folder.glob("models/.pull/*.part"))
    wait_until(lambda: part() >= sum_of(hub), "the bytes are in the part")
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    pause.count = 0
    return process.returncode, output + errors


def sum_of(hub):
    return hub.sent


def test_ten_lost_connections_cost_only_what_is_missing(hub, tmp_path):
    hub.tricks = [play.cut(700_000 + 31 * number) for number in range(10)]
    said = pulled(tmp_path, hub.large)
    assert said.endswith("fox-1b:q4_0 is here; hearth run fox-1b\n")
    assert (tmp_path / "models/fox-1B-Q4_0.gguf").read_bytes() == WEIGHTS
    assert len(hub.ranges) == 11 and hub.sent == len(WEIGHTS)
    assert not list(tmp_path.glob("models/.pull/*"))


def test_ten_ended_commands_cost_only_what_is_missing(hub, tmp_path):
    for number in range(10):
        code, said = interrupted(tmp_path, hub, hub.large, 800_000 + number)
        assert code == 130 and "same command goes on" in said, said
        assert files(tmp_path) == []
    pulled(tmp_path, hub.large)
    assert (tmp_path / "models/fox-1B-Q4_0.gguf").read_bytes() == WEIGHTS
    assert hub.sent == len(WEIGHTS)


def test_a_command_that_is_killed_leaves_nothing_that_runs_and_what_has_arrived(hub, tmp_path):
    code, _ = interrupted(tmp_path, hub, hub.large, 5 * MEBIBYTE, signal.SIGKILL)
    assert code == -signal.SIGKILL
    # It ends by itself once it hears of that, and gives the part free.
    wait_until(lambda: pull(tmp_path, hub.large).returncode == 0, "pulled", interval=0.1)
    assert (tmp_path / "models/fox-1B-Q4_0.gguf").read_bytes() == WEIGHTS
    assert hub.sent == len(WEIGHTS)


def test_a_damaged_disk_costs_only_what_is_damaged(hub, tmp_path):
    interrupted(tmp_path, hub, hub.large, 8 * MEBIBYTE + 1000)
    (part,) = tmp_path.glob("models/.pull/*.part")
    with open(part, "r+b") as file:
        file.seek(1_000_000)
        file.write(bytes([WEIGHTS[1_000_000] ^ 1]))
    hub.forget()
    said = pulled(tmp_path, hub.large)
    assert "not on the disk as they arrived" in said
    assert (tmp_path / "models/fox-1B-Q4_0.gguf").read_bytes() == WEIGHTS
    # The range that was damaged, and what had not come; a range is somewhat longer than 4 MiB.
    assert len(hub.ranges) == 2 and hub.ranges[0].startswith("bytes=0-")
    assert hub.sent < len(WEIGHTS) - 3 * MEBIBYTE


def test_a_whole_with_another_digest_is_fetched_once_more_and_only_once(hub, tmp_path):
    hub.tricks = [play.damage(5)]
    said = pulled(tmp_path, hub.large)
    assert "it is fetched once more" in said and hub.sent == 2 * len(WEIGHTS)
    assert (tmp_path / "models/fox-1B-Q4_0.gguf").read_bytes() == WEIGHTS
    (tmp_path / "models/fox-1B-Q4_0.gguf").unlink()
    hub.tricks = [play.damage(5), play.damage(5)]
    answer = pull(tmp_path, hub.large)
    assert answer.returncode == 1 and "twice" in answer.stderr and digest_of(WEIGHTS) in answer.stderr
    assert files(tmp_path) == [] and not list(tmp_path.glob("models/.pull/*"))


def test_a_server_that_gives_no_parts_is_asked_for_the_whole(hub, tmp_path):
    interrupted(tmp_path, hub, hub.large, 3 * MEBIBYTE)
    hub.ignores_ranges = True
    assert "from its beginning" in pulled(tmp_path, hub.large)
    assert (tmp_path / "models/fox-1B-Q4_0.gguf").read_bytes() == WEIGHTS


def test_a_server_that_never_answers_ends_it_after_six_attempts_with_a_remedy(hub, tmp_path):
    hub.tricks = [play.refuse(503, Retry_After="0")] * 5
    pulled(tmp_path, hub.small, "--as", "five")
    hub.tricks = [play.cut(50_000), *[play.refuse(503, Retry_After="0")] * 6]
    answer = pull(tmp_path, hub.small)
    assert answer.returncode == 75 and "run the same command to go on" in answer.stderr
    pulled(tmp_path, hub.small)
    assert hub.ranges[-1] == f"bytes=50000-{len(SMALL) - 1}"


def test_the_storage_never_sees_what_the_registry_is_told(hub, tmp_path):
    source = hub.push("private/fox", "latest", [(DOCKER_WEIGHTS, SMALL)])
    hub.private["private/fox"] = "me:a secret: yes"
    answer = pull(tmp_path, source)
    assert answer.returncode == 1 and f"docker login {hub.address}" in answer.stderr
    (tmp_path / "docker").mkdir()
    auth = base64.b64encode(b"me:a secret: yes").decode()
    (tmp_path / "docker/config.json").write_text(json.dumps({"auths": {hub.address: {"auth": auth}}}))
    pulled(tmp_path, source, DOCKER_CONFIG=str(tmp_path / "docker"))
    assert [asked[2] for asked in hub.asked] == [None]
    # The same from a helper, as the file of podman and skopeo names it.
    helper = tmp_path / "bin/docker-credential-fox"
    helper.parent.mkdir()
    answer = json.dumps({"Username": "me", "Secret": "a secret: yes"})
    helper.write_text(f"#!/bin/sh\nread server\n[ \"$1 $server\" = 'get {hub.address}' ] || exit 1\necho '{answer}'\n")
    helper.chmod(0o755)
    (tmp_path / "auth.json").write_text(json.dumps({"credHelpers": {hub.address: "fox"}}))
    variables = {"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"), "PATH": f"{helper.parent}:{os.environ['PATH']}"}
    pulled(tmp_path, source, "--as", "again", **variables)
    # A token for everybody needs none of it; one that is no longer good is asked for anew.
    hub.private["private/fox"] = None

    def let_expire(handler, content, first, last):
        hub.tokens += 1
        return play.cut(1000)(handler, content, first, last)

    hub.tricks = [let_expire]
    pulled(tmp_path, source, "--as", "third")
    hub.basic["basic/fox"] = "me:a secret: yes"
    source = hub.push("basic/fox", "latest", [(DOCKER_WEIGHTS, SMALL)])
    assert "to everybody" in pull(tmp_path, source).stderr
    hub.basic["basic/fox"] = "me:another"
    answer = pull(tmp_path, source, DOCKER_CONFIG=str(tmp_path / "docker"))
    assert answer.returncode == 1 and "to 'me'" in answer.stderr and "log in anew" in answer.stderr
    hub.basic["basic/fox"] = "me:a secret: yes"
    pulled(tmp_path, source, "--as", "fourth", DOCKER_CONFIG=str(tmp_path / "docker"))
    assert {asked[2] for asked in hub.asked} == {None}


def test_a_registry_with_tls_is_believed_only_with_its_certificate(hub, tmp_path):
    key, certificate = new_pair(tmp_path, "registry", "127.0.0.1", ["subjectAltName=IP:127.0.0.1"])
    address = hub.serve_tls(certificate, key)
    answer = pull(tmp_path, f"{address}/ai/fox")
    assert answer.returncode == 1 and "SSL_CERT_FILE" in answer.stderr
    # Its blobs lie behind an address without TLS, to which no redirect leads.
    answer = pull(tmp_path, f"{address}/ai/fox", SSL_CERT_FILE=str(certificate))
    assert answer.returncode == 1 and "http" in answer.stderr and hub.asked == []


def test_the_licence_is_shown_first_and_kept_and_what_is_left_out_is_told(hub, tmp_path):
    source = hub.push("library/fox", "135m", [
        ("application/vnd.ollama.image.model", SMALL), ("application/vnd.ollama.image.license", LICENCE),
        ("application/vnd.ollama.image.template", b"{{ .Prompt }}"), ("application/vnd.ollama.image.params", b"{}"),
    ])
    said = pulled(tmp_path, source)
    assert said.index("The Fox Licence\n  Version 1.0\n  You may.\n") < said.index("fox-135m.gguf, 97.6 KiB")
    assert "Left out: a chat template in Go's language, parameters." in said
    assert files(tmp_path) == ["fox-135m.gguf", "fox-135m.license.txt"]
    assert (tmp_path / "models/fox-135m.license.txt").read_bytes() == LICENCE


def test_the_parts_of_a_model_get_names_that_belong_together(hub, tmp_path):
    parts = [os.urandom(1000 + number) for number in range(3)]
    named = [(DOCKER_WEIGHTS, parts[number], f"x-0000{number + 1}-of-00003.gguf") for number in (1, 2, 0)]
    assert "big:q8_0 is here" in pulled(tmp_path, hub.push("ai/big", "Q8_0", named))
    assert files(tmp_path) == [f"big-Q8_0-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    for number, part in enumerate(parts, 1):
        assert (tmp_path / f"models/big-Q8_0-0000{number}-of-00003.gguf").read_bytes() == part


def test_what_an_image_is_not_is_told(hub, tmp_path):
    manifest = json.loads(hub.manifests["ai/fox", "latest"])
    inner = hub.manifests["ai/fox", "latest"]
    index = {"schemaVersion": 2, "manifests": [
        {"mediaType": play.MANIFEST, "digest": digest_of(inner), "size": len(inner)}]}
    pulled(tmp_path, hub.put("ai/fox", "index", index))
    pulled(tmp_path, f"{hub.address}/ai/fox@{digest_of(inner)}", "--as", "by-digest")
    other = b'{"schemaVersion":2,"layers":[]}'
    hub.manifests["ai/fox", digest_of(other)] = inner
    refusals = {
        f"{hub.address}/ai/none:latest": "manifest unknown",
        f"{hub.address}/ai/fox@{digest_of(other)}": "a manifest whose digest is",
        hub.push("ai/image", "1", [("application/vnd.oci.image.layer.v1.tar+gzip", b"x")]): "layer.v1.tar+gzip",
        hub.put("ai/one", "1", {**manifest, "schemaVersion": 1}): "schema 2",
        hub.push("ai/huge", "1", [(DOCKER_WEIGHTS, b"x")], sizes=[1 << 45]): "needs 32.0 TiB",
        hub.push("ai/longer", "1", [(DOCKER_WEIGHTS, b"xyz")], sizes=[7]): "3 bytes, and 7 were announced",
    }
    for source, words in refusals.items():
        answer = pull(tmp_path, source)
        assert answer.returncode == 1 and words in answer.stderr, answer.stderr
        assert answer.stderr.count("\n") == 1
    assert files(tmp_path) == ["by-digest.gguf", "fox-index.gguf"]


def test_a_file_that_is_there_stays(hub, tmp_path):
    pulled(tmp_path, hub.small)
    hub.forget()
    assert "was here already" in pulled(tmp_path, hub.small)
    assert hub.asked == []
    (tmp_path / "models/fox.gguf").write_bytes(b"mine")
    answer = pull(tmp_path, hub.small)
    assert answer.returncode == 1 and "--as" in answer.stderr
    assert (tmp_path / "models/fox.gguf").read_bytes() == b"mine"
    assert "wolf:mine is here; hearth run wolf:mine" in pulled(tmp_path, hub.small, "--as", "wolf:mine")
    assert json.loads((tmp_path / "models/wolf.mine.json").read_text()) == {"id": "wolf:mine"}


def test_an_address_is_taken_with_its_digest(hub, tmp_path):
    name = "files/My%20Fox.Q4_0.gguf"
    hub.blobs[name] = WEIGHTS
    address = f"http://{hub.storage}/{name}"
    digest = digest_of(WEIGHTS).removeprefix("sha256:")
    code, said = interrupted(tmp_path, hub, f"{address}#sha256={digest}", 2 * MEBIBYTE)
    assert code == 130
    assert "my-fox:q4_0 is here" in pulled(tmp_path, address, "--sha256", digest)
    assert hub.ranges == [None, f"bytes={2 * MEBIBYTE}-"] and hub.sent == len(WEIGHTS)
    assert (tmp_path / "models/My Fox.Q4_0.gguf").read_bytes() == WEIGHTS
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    answer = pull(tmp_path, address + "#sha256=" + "00" * 32, "--as", "other")
    assert hub.asked[-1][2] == "Basic " + base64.b64encode(b"me:secret").decode()
    assert answer.returncode == 1 and "twice" in answer.stderr
    answer = pull(tmp_path, f"http://{hub.storage}/none#sha256={digest}")
    assert answer.returncode == 1 and "there is nothing at" in answer.stderr


def test_a_file_is_copied(tmp_path):
    (tmp_path / "Fox.Q4_0.gguf").write_bytes(SMALL)
    assert "fox:q4_0 is here" in pulled(tmp_path, tmp_path / "Fox.Q4_0.gguf")
    assert (tmp_path / "models/Fox.Q4_0.gguf").read_bytes() == SMALL
    answer = pull(tmp_path, tmp_path / "Fox.Q4_0.gguf", "--sha256", "00" * 32)
    assert answer.returncode == 1 and "--sha256" in answer.stderr
    answer = pull(tmp_path, tmp_path / "none.gguf")
    assert answer.returncode == 1 and "No such file" in answer.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be others")
def test_who_else_brings_models_to_a_service_brings_what_it_can_read(hub):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hearth-pull-"))
    try:
        folder.chmod(0o755)
        models, service, member = folder / "models", 65_534, 65_533
        models.mkdir()
        os.chown(models, service, service)
        models.chmod(0o2775)
        for name, who in {
            "service": {"user": service, "group": service, "extra_groups": []},
            "member": {"user": member, "group": member, "extra_groups": [service]}, "root": {},
        }.items():
            answer = subprocess.run(
                command(folder, hub.small, "--as", name), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=60, env=environment(folder), umask=0o077, **who,
            )
            assert answer.returncode == 0, answer.stderr
            facts = (models / f"{name}.gguf").stat()
            assert facts.st_gid == service and facts.st_mode & 0o777 == 0o644
            assert facts.st_uid == (member if name == "member" else service)
    finally:
        shutil.rmtree(folder)


def test_a_source_that_cannot_be_understood_is_told_with_the_remedy(tmp_path):
    for words, remedy in {
        ("fox:1b",): "docker.io/ai/fox:1b", ("https://host.example/x.gguf",): "#sha256=HEX",
        ("http://host.example/x.gguf", "--sha256", "00" * 32): "https://", ("h.example/fox", "--as", "a b"): "--as",
    }.items():
        answer = pull(tmp_path, *words)
        assert answer.returncode == 64 and remedy in answer.stderr


def test_a_proxy_is_asked_and_not_for_this_machine(hub, tmp_path):
    seen = []

    class Proxy(socketserver.StreamRequestHandler):
        def handle(self):
            seen.append(self.rfile.readline().decode())
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        proxy = f"http://127.0.0.1:{server.server_address[1]}"
        variables = {"https_proxy": proxy, "http_proxy": proxy}
        answer = pull(tmp_path, "registry.example/fox", **variables)
        assert answer.returncode == 75 and seen == ["CONNECT registry.example:443 HTTP/1.1\r\n"]
        pulled(tmp_path, hub.small, **variables)
        assert len(seen) == 1
        server.shutdown()


def test_two_pulls_of_one_model_do_not_write_to_one_file(hub, tmp_path):
    pause = play.Pause(1000)
    hub.tricks = [pause]
    first = subprocess.Popen(
        command(tmp_path, hub.small), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment(tmp_path))
    assert pause.reached.wait(20)
    answer = pull(tmp_path, hub.small)
    assert answer.returncode == 75 and "under way" in answer.stderr
    pause.go_on.set()
    assert first.communicate(timeout=30)[0] and first.returncode == 0


def test_a_terminal_shows_how_far_it_is(hub, tmp_path):
    pause = play.Pause(4 * MEBIBYTE)
    hub.tricks = [pause]
    terminal = Terminal(*command(tmp_path, hub.large)[1:], variables={"HOME": tmp_path})
    assert pause.reached.wait(20)
    terminal.read_until("[####")
    pause.go_on.set()
    assert terminal.end() == 0
    text = plain(terminal.text)
    assert "%" in text and "9.0 MiB" in text and "fox-1b:q4_0 is here" in text


# An agent does the work, and tells everybody who asks.


@pytest.fixture(scope="module")
def agent():
    running = Agent({"echo": {"serves": ["gguf"], "memoryMebibytes": 100}})
    if os.getuid() == 0:
        shutil.chown(running.model_folder, "nobody")
    with running:
        yield running


def start(agent, *words):
    return subprocess.Popen(
        [HEARTH, "pull", *map(str, words), "--state", str(agent.state)], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )


def models(agent):
    return agent.command_line("models", "--to", agent.address, "--state", agent.state)


def test_its_models_say_what_is_on_its_way_and_then_it_is_one(agent, hub):
    pause = play.Pause(5 * MEBIBYTE)
    hub.tricks = [pause]
    command = start(agent, hub.large)
    wait_until(lambda: f"{hub.large} is on its way, 5" in models(agent), "on its way", interval=0.1)
    assert f"{hub.large} is on its way, 5" in agent.command_line("ps", "--state", agent.state)
    for words in (["models", "--to", agent.address], ["ps"]):
        (line,) = agent.command_line(*words, "--state", agent.state, "--json").splitlines()
        assert json.loads(line)["pull"]["source"] == hub.large
    pause.go_on.set()
    said, errors = command.communicate(timeout=30)
    assert command.returncode == 0 and said.endswith("fox-1b:q4_0 is here; hearth run fox-1b\n"), errors
    wait_until(lambda: "fox-1b:q4_0" in agent.backends(), "served")
    assert "on its way" not in models(agent)
    # Whoever brings a file brings it to the same place.
    path = agent.folder / "wolf.gguf"
    path.write_bytes(SMALL)
    command = start(agent, path)
    assert command.wait(30) == 0 and (agent.model_folder / "wolf.gguf").read_bytes() == SMALL


def test_the_parts_of_a_model_are_one_model_of_the_agent(agent, hub):
    named = [(DOCKER_WEIGHTS, os.urandom(1000 + number), f"x-0000{number}-of-00002.gguf") for number in (2, 1)]
    command = start(agent, hub.push("ai/bear", "Q8_0", named), "--as", "bear:mine")
    assert command.communicate(timeout=30)[0].endswith("bear:mine is here; hearth run bear:mine\n")
    wait_until(lambda: "bear:mine" in agent.backends(), "served")


def test_it_ends_with_whoever_asked_for_it(agent, hub):
    def pulling():
        names = {pid: pathlib.Path(f"/proc/{pid}/comm").read_text().strip() for pid in descendants(agent.pid)}
        return [pid for pid, name in names.items() if name == "hearth-pull"]

    hub.tricks = [play.Pause(1000)]
    command = start(agent, hub.small)
    (pid,) = wait_until(pulling, "it runs")
    command.kill()
    command.communicate()
    wait_until(lambda: not is_alive(pid), "it has ended")
    wait_until(lambda: "ai/fox" not in models(agent), "forgotten")


def test_its_refusals_reach_the_command(agent, hub):
    command = start(agent, f"{hub.address}/ai/none")
    _, errors = command.communicate(timeout=30)
    assert command.returncode == 1 and "manifest unknown" in errors
    pauses = [play.Pause(1000) for _ in range(4)]
    hub.tricks = list(pauses)
    commands = []
    for number in range(4):
        content = os.urandom(5000 + number)
        commands.append(start(agent, hub.push(f"ai/many{number}", "latest", [(DOCKER_WEIGHTS, content)])))
    assert all(pause.reached.wait(20) for pause in pauses)
    command = start(agent, hub.small, "--as", "fifth")
    _, errors = command.communicate(timeout=30)
    assert command.returncode == 1 and "on their way already" in errors
    for pause in pauses:
        pause.go_on.set()
    assert [command.wait(30) for command in commands] == [0] * 4

"""What a request can ask, by a client of Debian's gRPC for Go; see ../go/consumer.go for the cases."""

import os
import pathlib
import shutil
import subprocess

import pytest
from agent import Agent

SOURCES = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ["HEARTH_CONSUMER_WORK"]) / "go"
LIBRARIES = pathlib.Path("/usr/share/gocode")

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("go", "protoc", "protoc-gen-go", "protoc-gen-go-grpc")))
    or not (LIBRARIES / "src/google.golang.org/grpc").exists(),
    reason="Go or its gRPC library is missing: run Scripts/packages go",
)


@pytest.fixture(scope="module")
def consumer():
    protos, generated = SOURCES.parents[1] / "Protos", BUILD / "src"
    generated.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ, "GO111MODULE": "off", "GOCACHE": str(BUILD / "cache"), "GOPATH": f"{BUILD}:{LIBRARIES}"
    }  # fmt: skip
    for command in (
        ["protoc", f"-I{protos}", f"--go_out={generated}", f"--go-grpc_out={generated}", "hearth/v1/inference.proto"],
        ["go", "build", "-o", BUILD / "consumer", SOURCES / "go/consumer.go"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
    return BUILD / "consumer"


@pytest.fixture(scope="module")
def agent():
    with Agent() as started:
        yield started


@pytest.mark.parametrize("case", ["tools", "form", "sampling", "choices", "vectors", "prompts"])
def test_a_go_client(consumer, agent, case):
    done = subprocess.run([consumer, agent.address, case], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr

"""The same contract by a client of Debian's gRPC C++ library; see ../cpp/consumer.cpp for the cases."""

import os
import pathlib
import shutil
import subprocess

import pytest
from agent import Agent

SOURCE = pathlib.Path(__file__).resolve().parents[1] / "cpp"
BUILD = pathlib.Path(os.environ["HEARTH_CONSUMER_WORK"]) / "cpp"

pytestmark = pytest.mark.skipif(
    subprocess.run(["pkg-config", "--exists", "grpc++"], check=False).returncode != 0
    or not shutil.which("grpc_cpp_plugin"),
    reason="Debian's libgrpc++-dev or protobuf-compiler-grpc is missing: run Scripts/packages test",
)


@pytest.fixture(scope="module")
def consumer():
    for command in (["cmake", "-S", SOURCE, "-B", BUILD, "-G", "Ninja"], ["cmake", "--build", BUILD]):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return BUILD / "consumer"


@pytest.fixture(scope="module")
def agent():
    with Agent() as started:
        yield started


@pytest.mark.parametrize("case", ["turns", "hundred", "cancel", "deadline", "not_found", "models"])
def test_a_cpp_client(consumer, agent, case):
    done = subprocess.run([consumer, agent.address, case], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    agent.wait_idle("echo")

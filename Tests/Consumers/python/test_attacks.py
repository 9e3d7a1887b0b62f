"""One attack after the other on the same `hearth serve`, with an honest stream and its owner's questions beside each.

Each is told in a line: the largest gap of the honest stream and the most that the agent worked in one, its rate without
and beside, for how much of the time it did not stand still for others; how often the owner was answered, and how late;
the agent's memory and processor time.
"""

import os
import time

import pytest
from agent import SANITIZED, Agent, is_alive, peak_kibibytes, processor_seconds, reset_peak, resident_kibibytes, wait_until
from attack import FLOOD_KIBIBYTES_MAX, SHARE_KEPT_MIN, Honest, times_met
from attacks_of_calls import CALLS
from attacks_of_frames import FRAMES
from attacks_of_messages import MESSAGES
from attacks_of_strangers import STRANGERS
from closed_agent import ClosedAgent
from honest import RATE

ATTACKS = [*MESSAGES, *FRAMES, *CALLS, *STRANGERS]
SECONDS = float(os.environ.get("HEARTH_ATTACK_SECONDS", "0.6"))
KEYS = int(os.environ.get("HEARTH_KEYS", "100000"))
MANY = {"models": [{"id": "echo", "maxSequences": 256}]}
# A stream of a hundred tokens a second has some in each of these while it is served.
SLOT_SECONDS = 0.1


class Arena:
    """One agent for attack after attack, and another one after an attack that it has not stood."""

    def __init__(self, make):
        self.make, self.agent, self.honest = make, None, None

    def ready(self):
        if self.agent is None:
            self.agent = self.make()
            self.agent.__enter__()
            key = fill_with_keys(self.agent) if isinstance(self.agent, ClosedAgent) else None
            self.honest = Honest(self.agent, key, asks_as_owner=True)
            wait_until(lambda: self.honest.answers, "the owner is answered")
            self.resident = resident_kibibytes(self.agent.pid)
        return self.agent, self.honest

    def leave(self):
        """What is left is whole, and the agent ends as it should."""
        if self.agent is None:
            return
        agent, self.agent = self.agent, None
        grown = lambda: resident_kibibytes(agent.pid) - self.resident
        try:
            wait_until(lambda: SANITIZED or grown() < FLOOD_KIBIBYTES_MAX, "what the attacks took is given back", 10)
        finally:
            print(f"after all attacks {grown()} KiB more are resident than before")
            self.honest.finish()
            agent.__exit__(None, None, None)

    def give_up(self):
        """After a failure: the next attack finds another agent."""
        if self.agent is None:
            return
        agent, self.agent = self.agent, None
        if self.honest:
            self.honest.process.kill()
        agent.process.kill()
        agent.process.wait()
        print(f"--- the agent's log\n{agent.log()[-6000:]}")
        agent.clean_up()


def fill_with_keys(agent):
    """Adds keys that nobody uses, as many as an agent can have; gives the first one, which is in force all along."""
    agent.add_unused_keys(KEYS - 1)
    wait_until(lambda: f"keys read again: {KEYS}\n" in agent.log(), "the keys are read")
    return agent.first_key


@pytest.fixture(scope="module")
def arenas():
    made = {"open": Arena(lambda: Agent({"echo": MANY})), "closed": Arena(ClosedAgent)}
    yield made
    for arena in made.values():
        arena.leave()


class Clock:
    """True while an attack is to go on; what it must do first is done whatever the time."""

    def __init__(self):
        self.restart()

    def restart(self):
        self.began = time.monotonic()

    def __call__(self, at_least=False):
        return at_least or time.monotonic() - self.began < SECONDS


class Beside:
    """What an honest stream and the owner noticed between two moments, each with the agent's work so far.

    The stream stands still where it has nothing for longer than a slot while the agent works. That is held against the
    part of the time that the agent would have had by itself: what the machine gives to others meanwhile is not its fault.
    """

    def __init__(self, honest, began, ended):
        ran, waited = ended[1] - began[1], ended[2] - began[2]
        own = ran / (ran + waited) if ran > 0 else 1
        arrivals = [arrival for arrival in honest.arrivals if began[0] <= arrival[1] <= ended[0]]
        seconds, points = ended[0] - began[0], [began[:2], *(arrival[1:] for arrival in arrivals), ended[:2]]
        gaps = [(after[0] - before[0], after[1] - before[1]) for before, after in zip(points, points[1:])]
        self.gap = max(time for time, _ in gaps)
        self.work = max(work for _, work in gaps)
        self.share = 1 - sum(work for time, work in gaps if time > SLOT_SECONDS) / (seconds * own)
        self.rate = (arrivals[-1][0] - arrivals[0][0]) / seconds if arrivals else 0
        times = [answered - asked for asked, answered, _ in honest.answers if answered >= began[0] and asked <= ended[0]]
        self.answers, self.slowest = len(times), max(times, default=0)


def attacked(agent, honest, attack):
    # What had to wait before may still come in at once.
    without = min(honest.rate(tokens=15), RATE)
    met = times_met(agent, attack.limit) if attack.limit else 0
    before = resident_kibibytes(agent.pid)
    was_reset, peak_before = reset_peak(agent.pid), peak_kibibytes(agent.pid)
    began = time.monotonic(), *processor_seconds(agent.pid)
    note = attack.run(agent, Clock())
    ended = time.monotonic()
    assert is_alive(agent.pid), "the agent is gone"
    # What it still works off belongs to the attack.
    honest.wait_for(3, 60)
    wait_until(lambda: honest.answers[-1][0] > ended, "the owner is answered", 60)
    wait_until(lambda: honest.answers[-1][2] == (1, 1), "the honest stream alone is left", 30)
    over = time.monotonic(), *processor_seconds(agent.pid)
    beside = Beside(honest, began, over)
    peak = peak_kibibytes(agent.pid)
    worst = (peak if was_reset or peak > peak_before else resident_kibibytes(agent.pid)) - before
    print(
        f"{attack.name}: gap {beside.gap * 1000:.0f} ms with {beside.work * 1000:.0f} ms of work, {without:.0f} ->"
        f" {beside.rate:.0f} tokens/s, {beside.share:.0%} of the time; owner {beside.answers} answers,"
        f" {beside.slowest * 1000:.0f} ms at most; {worst} KiB more at worst, {resident_kibibytes(agent.pid) - before} after;"
        f" {(over[1] - began[1]) / (over[0] - began[0]):.0%} of a core in {over[0] - began[0]:.1f} s; {note}"
    )
    if not SANITIZED:
        assert worst < attack.kibibytes
        assert beside.rate >= SHARE_KEPT_MIN * without and beside.share >= SHARE_KEPT_MIN
    assert beside.answers > 0
    if attack.limit:
        assert times_met(agent, attack.limit) > met


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_leaves_an_honest_stream_its_share(arenas, attack):
    arena = arenas[attack.arena]
    try:
        agent, honest = arena.ready()
        attacked(agent, honest, attack)
    except BaseException:
        arena.give_up()
        raise

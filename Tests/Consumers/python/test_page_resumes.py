"""The page's answers when their connections are lost: in a headless Chromium, behind a proxy that cuts. Answers are echo's,
whose tokens are known beforehand, so a text that goes on has each of them once."""

import json
import os
import signal

import httpx
import pytest
from agent import Agent, wait_until
from browser import Browser
from closed_agent import ClosedAgent
from cutter import Cutter
from test_http import Bridged
from test_page import BRIDGE, answer_of, answers, ask, choose, until_whole

pytestmark = pytest.mark.skipif(not BRIDGE.exists(), reason="this installation has no HTTP bridge")

LOST = "document.querySelector('.answer .lost')"
SHOWN = "document.querySelector('.answer .prose').innerText"
PROMPT = "Go on."


MODELS = {"echo": {"models": [{"id": "paced", "options": {"tokens_per_second": 100}}]}}


class PacedAgent(Bridged, Agent):
    def __init__(self):
        super().__init__(MODELS, options=("--http", "127.0.0.1:0"))

    def __enter__(self):
        super().__enter__()
        return self.find()


class ClosedPacedAgent(Bridged, ClosedAgent):
    """One that asks for keys."""

    def __init__(self):
        super().__init__(MODELS, options=("--http", "127.0.0.1:0"), tls=False)

    def __enter__(self):
        super().__enter__()
        return self.find()


@pytest.fixture(scope="module")
def agent():
    with PacedAgent() as started:
        yield started


@pytest.fixture(scope="module")
def browser():
    started = Browser()
    yield started
    started.close()


@pytest.fixture
def cutter(agent):
    with Cutter(agent.base.removeprefix("http://")) as started:
        yield started


@pytest.fixture
def page(browser, cutter):
    browser.size(1280)
    browser.open(f"http://{cutter.address}")
    browser.until("document.querySelector('#model').options.length === 1")
    yield browser
    browser.open("about:blank")


def begin(page, tokens, characters=100):
    """Asks, and returns once so much of the answer is shown."""
    choose(page, model="paced", seed="7", max_tokens=str(tokens))
    ask(page, PROMPT)
    page.until(f"{SHOWN}.length > {characters}")


def check_whole(page, tokens):
    until_whole(page)
    assert answers(page) == [answer_of(PROMPT, count=tokens)]
    assert page.text(".answer .facts").startswith(f"{tokens} tokens · ")
    assert "broke off" not in page.text(".answer") and not page.evaluate(f"Boolean({LOST})")


def test_an_answer_whose_connection_is_cut_goes_on(page, agent, cutter):
    begin(page, 400)
    for length in (400, 800, 1200):
        page.until(f"{SHOWN}.length > {length}")
        assert cutter.cut() > 0
    check_whole(page, 400)
    agent.wait_idle("paced")


def test_while_no_host_is_there_the_page_says_so_and_comes_back(page, cutter):
    begin(page, 600)
    cutter.cut(stay_down=True)
    page.until(LOST)
    shown = page.evaluate(SHOWN)
    assert "come back" in page.text(".answer .lost") and "connection" in page.text("#spoken")
    assert page.text("#send") == "Stop"
    for width in (360, 1024, 2560):
        page.size(width)
        wide = "[document.documentElement, ...document.querySelectorAll('#scroll, .side')]"
        assert page.evaluate(f"{wide}.every((each) => each.scrollWidth <= each.clientWidth)"), width
    cutter.up()
    page.until(f"!{LOST}")
    page.until(f"{SHOWN}.length > {len(shown)}")
    check_whole(page, 600)


def test_another_network_is_noticed_at_once(page, cutter):
    begin(page, 600)
    cutter.hold()
    # The connection is dead, and nothing says so; the browser tells that it has another network.
    page.evaluate("dispatchEvent(new Event('online'))")
    page.until(LOST)
    cutter.cut()
    cutter.release()
    page.evaluate("dispatchEvent(new Event('online'))")
    check_whole(page, 600)


@pytest.mark.waits
def test_a_connection_on_which_nothing_comes_is_taken_for_lost(page, cutter):
    begin(page, 600)
    cutter.hold()
    page.until(LOST, seconds=90)
    cutter.cut()
    cutter.release()
    page.until(f"!{LOST}", seconds=60)
    check_whole(page, 600)


def test_calls_of_tools_survive_a_cut(page, agent, cutter):
    choose(page, model="paced", seed="7", max_tokens="200", system="x",
           tools='[{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]')
    words = " ".join(["look"] * 150)
    ask(page, words)
    page.until("document.querySelector('.call pre')?.innerText.length > 100")
    cutter.cut()
    until_whole(page)
    arguments = page.evaluate("document.querySelector('.call pre').innerText")
    whole = httpx.post(f"{agent.base}/v1/chat/completions", timeout=60, json={
        "model": "paced", "seed": 7, "max_tokens": 200,
        "messages": [{"role": "system", "content": "x"}, {"role": "user", "content": words}],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
    }).json()["choices"][0]["message"]["tool_calls"]
    assert [arguments] == [call["function"]["arguments"] for call in whole]
    assert page.evaluate("document.querySelectorAll('.results textarea').length") == 1


def stored(agent, page):
    """The ids of the responses that the page has asked for and the host still has."""
    ids = page.evaluate(
        "performance.getEntriesByType('resource').map((each) => each.name.match(/responses\\/(resp_[^?]+)/)?.[1]).filter(Boolean)")
    return [id for id in ids if httpx.get(f"{agent.base}/v1/responses/{id}").status_code != 404]


def test_nothing_is_computed_or_kept_for_a_page_that_does_not_want_it(page, agent, cutter):
    begin(page, 100_000)
    page.press("Escape")
    until_whole(page)
    assert "You stopped this answer." in page.text(".answer")
    agent.wait_idle("paced")
    # Also while there is no connection: it is told once there is one again.
    page.evaluate("document.querySelector('#new').click()")
    begin(page, 100_000)
    cutter.cut(stay_down=True)
    page.until(LOST)
    page.press("Escape")
    until_whole(page)
    assert agent.number("paced", "running") == 1
    cutter.up()
    page.evaluate("dispatchEvent(new Event('online'))")
    agent.wait_idle("paced")
    # One that is whole is kept in the browser, and nowhere else.
    page.evaluate("document.querySelector('#new').click()")
    begin(page, 40)
    check_whole(page, 40)
    wait_until(lambda: not stored(agent, page), "the host has forgotten the answers")


@pytest.mark.parametrize("leave", ["open", "reload", "close"])
def test_a_page_that_is_left_stops_the_computing(page, agent, browser, leave):
    begin(page, 100_000)
    assert agent.number("paced", "running") == 1
    if leave == "open":
        page.open("about:blank")
    elif leave == "reload":
        page.call("Page.reload")
    else:
        target = browser.call("Target.getTargetInfo")["targetInfo"]["targetId"]
        session, browser.session = browser.session, None
        other = browser.call("Target.createTarget", url="about:blank")["targetId"]
        browser.call("Target.closeTarget", targetId=target)
        browser.session = browser.call("Target.attachToTarget", targetId=other, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            browser.call(f"{domain}.enable")
    agent.wait_idle("paced")
    if leave == "reload":
        page.until("document.querySelector('.answer')?.innerText.includes('the page was closed')")


def test_a_key_goes_along(browser):
    with ClosedPacedAgent() as agent, Cutter(agent.base.removeprefix("http://")) as cutter:
        browser.open(f"http://{cutter.address}")
        browser.until("document.querySelector('#complaint')")
        browser.evaluate(f"document.querySelector('#access').value = {json.dumps(agent.first_key)}")
        browser.evaluate("document.querySelector('#access-form').requestSubmit()")
        browser.until("document.querySelector('#model').options.length === 1")
        begin(browser, 300)
        cutter.cut()
        check_whole(browser, 300)
        browser.evaluate("document.querySelector('#new').click()")
        begin(browser, 100_000)
        browser.open("about:blank")
        agent.wait_idle("paced")


def test_a_host_that_no_longer_has_the_answer_is_told_plainly(page, agent):
    begin(page, 100_000)
    before = agent.bridge()
    os.kill(before, signal.SIGKILL)
    until_whole(page)
    said = page.text(".answer .broken")
    assert "no longer has the rest of this answer" in said and "restarted" in said
    assert answer_of(PROMPT, count=2000).startswith(answers(page)[0].rsplit(" ", 1)[0]) and len(answers(page)[0]) > 100
    assert page.text(".answer .actions").split() == ["Copy", "Retry", "Continue"]
    agent.wait_idle("paced")
    # It can be continued, by the next bridge.
    choose(page, max_tokens="5")
    page.evaluate("[...document.querySelectorAll('.answer footer button')].find((each) => each.innerText === 'Continue').click()")
    page.until("document.querySelector('.answer footer').innerText.includes('the most tokens')")

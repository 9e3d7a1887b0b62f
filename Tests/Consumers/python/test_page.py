"""The page that the bridge shows to browsers, in a headless Chromium, as people use it. Answers are echo's, whose tokens are
known beforehand."""

import asyncio
import concurrent.futures
import json
import re

import echo
import httpx
import pytest
from agent import PREFIX, Agent, wait_until
from browser import Browser
from consumer import connect, pb, rpc, run

BRIDGE = PREFIX / "libexec/hearth/hearth-bridge"
pytestmark = pytest.mark.skipif(not BRIDGE.exists(), reason="this installation has no HTTP bridge")

BROWSERS = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
BYTES_MAX = 120_000


class PageAgent(Agent):
    """An agent with a bridge, and two models, so that there is one to choose."""

    def __init__(self):
        super().__init__({"echo": None, "other": None}, options=("--http", "127.0.0.1:0"))

    def __enter__(self):
        super().__enter__()
        self.base = f"http://{self.addresses[-1]}"
        wait_until(self.answers, "the bridge")
        return self

    def answers(self):
        try:
            return httpx.get(self.base).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def agent():
    with PageAgent() as started:
        yield started


@pytest.fixture(scope="module")
def browser():
    started = Browser()
    yield started
    started.close()


@pytest.fixture
def page(agent, browser):
    """The page as it is first seen. Whatever a test does, it asks no other host, and nothing on the console complains but
    what the test takes away."""
    browser.requests.clear()
    browser.complaints.clear()
    browser.size(1280)
    browser.open("about:blank")
    browser.call("Storage.clearDataForOrigin", origin=agent.base, storageTypes="all")
    browser.open(agent.base)
    # What is kept while the tab is open goes, too.
    browser.evaluate("sessionStorage.clear()")
    browser.until("document.querySelector('#model').options.length === 2")
    yield browser
    foreign = [each for each in browser.requests if not each.startswith((agent.base + "/", "about:", "blob:"))]
    assert foreign == []
    assert browser.complaints == []


def answer_of(prompt, seed=7, count=64):
    """What echo answers to a conversation of one message of the user, as it is shown."""
    return "".join(echo.WORDS[each] for each in echo.token_ids(seed, f"\x02{prompt}\0", count)).strip()


def answers(page):
    return page.evaluate("[...document.querySelectorAll('.answer .prose')].map((each) => each.innerText.trim())")


def choose(page, model="echo", **settings):
    page.evaluate(
        f"""(() => {{
          const set = (id, value) => {{
            const field = document.getElementById(id);
            field.value = value;
            field.dispatchEvent(new Event("change"));
          }};
          set("model", {json.dumps(model)});
          for (const [id, value] of Object.entries({json.dumps(settings)})) set(id, value);
        }})()"""
    )


def ask(page, prompt):
    page.evaluate("document.querySelector('#prompt').focus()")
    page.type(prompt)
    page.press("Enter")


def until_whole(page, count=1):
    page.until(
        f"document.querySelectorAll('.answer:not([aria-busy]) > footer .facts').length === {count}"
        " && document.querySelector('#send').textContent === 'Send'"
    )


def test_a_browser_gets_the_page_and_other_clients_their_text(agent):
    with httpx.Client(base_url=agent.base) as client:
        read_files(client)


def read_files(client):
    assert client.get("/").text == "Hearth lends language models here.\n"
    document = client.get("/", headers=BROWSERS)
    assert document.headers["content-type"] == "text/html; charset=utf-8"
    paths, seen, size = ["/"], set(), 0
    while paths:
        path = paths.pop()
        if path in seen:
            continue
        file = client.get(path, headers=BROWSERS)
        assert file.status_code == 200, path
        seen.add(path)
        size += len(file.content)
        policy = file.headers["content-security-policy"]
        for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "trusted-types 'none'"):
            assert part in policy
        assert "unsafe" not in policy
        assert file.headers["x-content-type-options"] == "nosniff"
        assert file.headers["referrer-policy"] == "no-referrer"
        assert file.headers["cache-control"] == "no-cache"
        held = client.get(path, headers={**BROWSERS, "If-None-Match": file.headers["etag"]})
        assert (held.status_code, held.content) == (304, b"")
        other = client.get(path, headers={**BROWSERS, "If-None-Match": '"another"'})
        assert other.content == file.content
        head = client.head(path, headers=BROWSERS)
        assert (head.content, head.headers["content-length"]) == (b"", str(len(file.content)))
        named = re.findall(r'(?:href|src)="(/[^"]+)"|from "(/[^"]+)"', file.text)
        paths += [each for pair in named for each in pair if each and each not in seen]
    assert len(seen) > 5 and size < BYTES_MAX
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|https?:", document.text)


def test_a_chat_streams_and_is_kept_in_the_browser(page, agent):
    choose(page, seed="7")
    ask(page, "What is <b>warm</b>?")
    until_whole(page)
    assert answers(page) == [answer_of("What is <b>warm</b>?")]
    assert page.text(".said .words") == "What is <b>warm</b>?"
    assert page.text(".answer .facts").startswith("64 tokens · ")
    assert page.focused() == "prompt"
    page.until("document.querySelector('#spoken').textContent.startsWith('The answer is whole')")

    page.open(agent.base)
    page.until("document.querySelectorAll('.answer').length === 1")
    assert answers(page) == [answer_of("What is <b>warm</b>?")]
    assert page.text("#titles [aria-current]") == "What is <b>warm</b>?"

    page.evaluate("document.querySelector('.said footer button').click()")
    assert page.evaluate("document.activeElement.value") == "What is <b>warm</b>?"
    page.evaluate("document.activeElement.select()")
    page.type("Who?")
    page.press("Enter")
    page.until(f"document.querySelector('.answer .prose')?.innerText.trim() === {json.dumps(answer_of('Who?'))}")
    until_whole(page)

    page.evaluate("[...document.querySelectorAll('#titles .actions button')].at(-1).click()")
    page.evaluate("document.querySelector('dialog[open] .main-button').click()")
    page.until("document.querySelectorAll('#titles li').length === 0")


def test_an_answer_is_stopped_and_goes_on(page):
    choose(page, max_tokens="1000000")
    ask(page, "Go on.")
    page.until("document.querySelector('.answer .prose').innerText.length > 100")
    page.press("Escape")
    until_whole(page)
    assert "You stopped this answer." in page.text(".answer footer")
    begun = page.evaluate("document.querySelector('.answer .prose').textContent.length")
    choose(page, max_tokens="5")
    button = "[...document.querySelectorAll('.answer footer button')].find((each) => each.innerText === 'Continue')"
    page.evaluate(f"{button}.click()")
    page.until("document.querySelector('.answer footer').innerText.includes('the most tokens')")
    assert page.evaluate("document.querySelector('.answer .prose').textContent.length") > begun
    assert page.evaluate("document.querySelectorAll('.answer').length") == 1


def test_what_goes_wrong_is_said(page):
    choose(page, temperature="1", tools='[{"type": "function"}]')
    ask(page, "Hi")
    until_whole(page)
    assert "tools" in page.text(".answer .broken")
    assert answers(page) == [""]
    page.complaints[:] = [each for each in page.complaints if "400" not in each]


def test_calls_of_tools_are_shown_and_answered(page):
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    choose(page, tools=json.dumps([tool]))
    ask(page, "look here")
    until_whole(page)
    assert page.text(".call").split() == ["Calls", "look", '{"text":"look', 'here"}']
    page.evaluate("document.querySelector('.results textarea').focus()")
    page.type("nothing")
    page.evaluate("document.querySelector('.results button').click()")
    until_whole(page, 2)
    assert len(answers(page)[1].split()) == 64


HOSTILE = """<img src=x onerror="alert(1)"> <script>alert(2)</script> <iframe src="https://example.org/"></iframe>

[one](javascript:alert(3)) [two](JaVaScRiPt:alert(4)) [three](data:text/html,x) [four](/v1/models) [five](//example.org)

![picture](https://example.org/x.png) <javascript:alert(5)> <a href="https://example.org" onclick="alert(6)">six</a>

| <img src=x> | b |
|---|---|
| [c](vbscript:x) | <svg onload=alert(7)> |

```<img src=x>
</code></pre><img src=x onerror=alert(8)>
```

- <style>*{display:none}</style>

[good](https://example.org/a_(b)?c=d&e "title") and <https://example.org/f> and https://example.org/g."""


def test_hostile_text_makes_no_element_and_no_request(page, agent):
    page.evaluate(
        f"""(async () => {{
          const {{ create, keep }} = await import("/page/conversations.js");
          const hostile = {json.dumps(HOSTILE)};
          const kept = create({{ model: "echo" }});
          kept.title = hostile.slice(0, 60);
          kept.messages = [
            {{ role: "user", content: hostile }},
            {{ role: "assistant", model: hostile, content: hostile, reasoning: hostile, end: "broken", error: hostile,
              calls: [{{ id: "1", name: hostile, arguments: hostile }}] }}];
          await keep(kept);
        }})()"""
    )
    page.open(agent.base)
    page.until("document.querySelectorAll('.answer').length === 1")
    tags = page.evaluate("[...new Set([...document.querySelectorAll('#messages *')].map((each) => each.localName))]")
    assert not {"img", "script", "iframe", "style", "svg", "object", "link"} & set(tags)
    links = page.evaluate("[...document.querySelectorAll('#messages a')].map((each) => [each.href, each.rel, each.target])")
    assert {rel for _, rel, _ in links} == {"noopener noreferrer nofollow"} and {to for *_, to in links} == {"_blank"}
    assert [address for address, *_ in links] == [
        "https://example.org/",
        "https://example.org/x.png",
        "https://example.org/",
        "https://example.org/a_(b)?c=d&e",
        "https://example.org/f",
        "https://example.org/g",
    ]
    handlers = "[...document.querySelectorAll('*')].some((each) => [...each.attributes].some((one) => /^on/.test(one.name)))"
    assert not page.evaluate(handlers)
    assert '<img src=x onerror="alert(1)">' in page.text(".answer .prose")


MARKDOWN = [
    ("**a** *b* ***c*** `d` ~~e~~ f_g_h 2 * 3", "p(strong,em,strong(em),code,del)"),
    ("# a\n## b\ntext\n---\n> c", "h3,h4,p,hr,blockquote(p)"),
    ("- a\n- b\n  1. c\n  2. d\n- e", "ul(li,li(ol(li,li)),li)"),
    ("3. a\n\n   b\n4. c", "ol(li(p,p),li)"),
    ("|a|b|\n|:-|-:|\n|c|d|", "div(table(thead(tr(th,th)),tbody(tr(td,td))))"),
    ("```js\na < b\n\n# c\n```\nd", "figure(figcaption(span,button),pre(code(span))),p"),
    ("a\nb", "p(br)"),
    ("**a `**` [b](https://example.org)", "p(code,a)"),
    ("*" * 5000 + "[" * 5000 + "`" * 5001 + "> " * 5000, "p"),
]


def test_markdown_is_the_same_however_it_is_cut(page):
    """Drawn at once, and in pieces of every small size, a text gives the same elements."""
    drawn = page.evaluate(
        f"""(async () => {{
          const {{ Markdown }} = await import("/page/markdown.js");
          const outline = (node) => [...node.children].map((each) =>
            each.localName + (each.children.length ? `(${{outline(each)}})` : "")).join();
          const all = [];
          for (const [text] of {json.dumps(MARKDOWN)}) {{
            for (const size of [text.length, 1, 3]) {{
              if (text.length / size > 2000) continue;
              const root = document.createElement("div");
              const markdown = new Markdown(root);
              for (let at = 0; at < text.length; at += size) markdown.add(text.slice(at, at + size));
              markdown.end();
              all.push([text, size, outline(root)]);
            }}
          }}
          return all;
        }})()"""
    )
    expected = dict(MARKDOWN)
    assert len(drawn) == 3 * (len(MARKDOWN) - 1) + 1
    for text, size, outline in drawn:
        assert outline == expected[text], (text, size)


@pytest.mark.parametrize("width", [360, 1024, 2560])
def test_nothing_is_wider_than_the_window(page, agent, width):
    choose(page, seed="7")
    ask(page, "x" * 300)
    until_whole(page)
    for dark in (False, True):
        page.size(width, dark=dark)
        wide = "[document.documentElement, ...document.querySelectorAll('#scroll, #host, .side')]"
        assert page.evaluate(f"{wide}.every((each) => each.scrollWidth <= each.clientWidth)")
    page.evaluate("location.hash = '#host'")
    page.until("document.querySelector('#owner-key')")
    assert page.evaluate(f"{wide}.every((each) => each.scrollWidth <= each.clientWidth)")


def status_code(agent, path, key):
    return httpx.get(agent.base + path, headers={"Authorization": f"Bearer {key}"}).status_code


def enter(page, key):
    page.evaluate("document.querySelector('#owner-key').focus()")
    page.evaluate("document.activeElement.select()")
    page.type(key)
    page.press("Enter")


def test_the_owner_has_the_machine_back(page, agent):
    guest = agent.command_line("key", "create", "--state", agent.state, "guest").strip()
    owner = agent.command_line("key", "create", "--state", agent.state, "--owner", "me").strip()
    # The agent looks at its keys each second.
    for path, key in (("/v1/models", guest), ("/hearth/v1/status", owner)):
        wait_until(lambda: status_code(agent, path, key) == 200, "the key is taken")
    page.evaluate("location.hash = '#host'")
    page.until("document.querySelector('#owner-key')")
    assert not [each for each in page.requests if "/hearth/" in each]
    for stranger, code in ((guest, 403), ("hearth_nobody", 401)):
        enter(page, stranger)
        page.until("document.querySelector('#owner-flaw').innerText")
        page.evaluate("document.querySelector('#owner-flaw').textContent = ''")
        assert page.complaints and all(str(code) in each for each in page.complaints)
        page.complaints.clear()
    enter(page, owner)
    page.until("document.querySelector('.state')?.innerText === 'Nothing is running.'")
    page.until("['echo', 'other'].every((each) => document.querySelector('.panels').innerText.includes(each))")
    for unload, pause in ((False, "frozen"), (True, "unloaded")):
        page.evaluate(f"document.querySelector('#give-memory-back').checked = {json.dumps(unload)}")
        page.evaluate("document.querySelector('#hold').focus()")
        page.press("Enter")
        page.until("document.querySelector('.state').innerText === 'The machine is yours.'")
        assert agent.status()["hold"]["pause"] == pause
        assert page.text("#hold") == "Lend the machine again" and page.focused() == "hold"
        page.press("Enter")
        page.until("document.querySelector('.state').innerText === 'Nothing is running.'")
        assert "hold" not in agent.status()
    agent.wait_ready("echo", "other")
    for width in (360, 1024, 2560):
        page.size(width)
        wide = "[document.documentElement, document.querySelector('#host')]"
        assert page.evaluate(f"{wide}.every((each) => each.scrollWidth <= each.clientWidth)"), width
    assert "none" not in page.evaluate("[...document.querySelectorAll('.plot svg')].map((each) => each.ariaLabel || 'none')")

    page.evaluate("document.querySelector('.fields').closest('details').open = true")
    page.evaluate("document.querySelector('.fields input').focus()")
    page.type("visitor")
    page.press("Enter")
    page.until("document.querySelector('.secret')")
    made = page.text(".secret")
    wait_until(lambda: status_code(agent, "/v1/models", made) == 200, "the key is taken")
    page.until("document.querySelector('[aria-label=\"Revoke visitor\"]')")
    page.evaluate("document.querySelector('[aria-label=\"Revoke visitor\"]').click()")
    page.press("Enter")
    page.until("!document.querySelector('[aria-label*=\"evoke visitor\"]')")
    wait_until(lambda: status_code(agent, "/v1/models", made) == 401, "the key is revoked")
    page.evaluate("document.querySelector('.about button').click()")
    assert page.focused() == "owner-key"


def test_the_owner_sees_for_whom_the_machine_works(page, agent):
    guest = agent.command_line("key", "create", "--state", agent.state, "visitor-7").strip()
    owner = agent.command_line("key", "create", "--state", agent.state, "--owner", "watcher").strip()
    for path, key in (("/v1/models", guest), ("/hearth/v1/status", owner)):
        wait_until(lambda: status_code(agent, path, key) == 200, "the key is taken")
    page.evaluate("location.hash = '#host'")
    page.until("document.querySelector('#owner-key')")
    enter(page, owner)
    page.until("document.querySelector('#turns')?.innerText.includes('nobody waits')")
    agent.command_line("pause", "--state", agent.state)
    body = {"model": "echo", "messages": [{"role": "user", "content": "quiet words"}], "max_tokens": 5}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        headers = {"Authorization": f"Bearer {guest}", "hearth-priority": "low"}
        asked = pool.submit(httpx.post, f"{agent.base}/v1/chat/completions", headers=headers, json=body, timeout=60)
        page.until("document.querySelector('#turns tbody th')")
        assert page.text("#turns tbody .name") == "visitor-7"
        assert page.text("#turns tbody th .hint") == "key · over HTTP · echo · low priority"
        assert page.text("#turns tbody td").startswith("waits, is next")
        assert "quiet words" not in page.text()
        # It is a table to who cannot see it.
        assert page.evaluate("document.querySelector('#turns caption').innerText")
        heads = "[...document.querySelectorAll('#turns th')].map((each) => each.scope)"
        assert page.evaluate(heads) == ["col", "col", "col", "row"]
        for width in (360, 1280):
            for dark in (False, True):
                page.size(width, dark=dark)
                wide = "[document.documentElement, ...document.querySelectorAll('#host, .turns')]"
                assert page.evaluate(f"{wide}.every((each) => each.scrollWidth <= each.clientWidth)"), width
        agent.command_line("resume", "--state", agent.state)
        assert asked.result().status_code == 200
    page.until("document.querySelector('#turns').innerText.includes('nobody waits')")


def test_the_owner_sees_who_may_come_back(page, agent):
    owner = agent.command_line("key", "create", "--state", agent.state, "--owner", "waiter").strip()
    wait_until(lambda: status_code(agent, "/hearth/v1/status", owner) == 200, "the key is taken")
    page.evaluate("location.hash = '#host'")
    page.until("document.querySelector('#owner-key')")
    enter(page, owner)
    page.until("document.querySelector('#turns')?.innerText.includes('nobody waits')")

    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            request = echo.request("quiet words", max_tokens=100_000, tokens_per_second=100)
            request.resumable_for.seconds = 60
            call = stub.Generate(request)
            token = (await call.read()).resumable.resume_token
            await call.read()
            call.cancel()
            row = "document.querySelector('#turns tbody th .hint').innerText"
            await asyncio.to_thread(page.until, f"document.querySelector('#turns tbody th') && {row}.includes('lost')")
            assert page.text("#turns tbody th .hint") == "without a key · gRPC · echo · connection lost, may come back"
            for width in (360, 1024, 2560):
                page.size(width)
                wide = "[document.documentElement, ...document.querySelectorAll('#host, .turns')]"
                assert page.evaluate(f"{wide}.every((each) => each.scrollWidth <= each.clientWidth)"), width
            ended = stub.Resume(pb.ResumeRequest(resume_token=token, cancel=True))
            async for _ in ended:
                pass

    run(scenario())
    page.until("document.querySelector('#turns').innerText.includes('nobody waits')")


def test_a_key_with_a_share_is_made_on_the_page(page, agent):
    owner = agent.command_line("key", "create", "--state", agent.state, "--owner", "giver").strip()
    wait_until(lambda: status_code(agent, "/hearth/v1/status", owner) == 200, "the key is taken")
    page.evaluate("location.hash = '#host'")
    page.until("document.querySelector('#owner-key')")
    enter(page, owner)
    page.until("document.querySelector('.fields')")
    page.evaluate("document.querySelector('.fields').closest('details').open = true")
    page.evaluate("document.querySelector('.fields input').focus()")
    page.type("team")
    page.tab_to("key-share")
    page.type("4")
    page.tab_to("key-priority")
    page.evaluate("document.activeElement.value = 'high'")
    page.evaluate("document.querySelector('.fields button').focus()")
    page.press("Enter")
    page.until("document.querySelector('.secret')")
    page.until("[...document.querySelectorAll('.facts')].some((each) => each.innerText.includes('a share of 4 · at most high priority'))")
    listed = agent.command_line("key", "list", "--state", agent.state, "--json").splitlines()
    (team,) = [key for key in map(json.loads, listed) if key["name"] == "team"]
    assert (team["share"], team["priority"]) == (4, "high")


def test_a_keyboard_is_enough(page):
    page.evaluate("document.activeElement.blur()")
    page.size(800)
    page.tab_to("show-history")
    page.press("Enter")
    page.until("document.querySelector('#history-dialog').open")
    page.tab_to("new")
    page.press("Escape")
    page.until("!document.querySelector('#history-dialog').open")
    assert page.focused() == "show-history"
    page.tab_to("show-settings")
    page.press("Enter")
    page.tab_to("seed")
    page.type("7")
    page.press("Escape")
    assert page.focused() == "show-settings"
    page.tab_to("prompt")
    page.type("a")
    page.press("Enter", shift=True)
    page.type("b")
    page.press("Enter")
    until_whole(page)
    assert answers(page) == [answer_of("a\nb")]
    page.tab_to("Retry")
    page.press("Enter")
    until_whole(page)
    assert answers(page) == [answer_of("a\nb")]
    page.tab_to("to-host")
    page.press("Enter")
    page.until("document.querySelector('#owner-key')")
    page.tab_to("owner-key")
    outlined = "getComputedStyle(document.activeElement).outlineStyle !== 'none'"
    assert page.evaluate(outlined)
    unnamed = """[...document.querySelectorAll('button, input, textarea, select, a, summary')].filter((each) =>
      !each.labels?.length && !each.ariaLabel && !each.innerText?.trim() && each.checkVisibility()).map((each) => each.outerHTML)"""
    assert page.evaluate(unnamed) == []

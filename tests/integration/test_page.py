"""The page in a real browser: headless Chromium, where the machine has one."""

import shutil

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from running_server import running

from search_r3.retrieval.corpus_index import CorpusIndex
from search_r3.retrieval.documents import Document
from search_r3.retrieval.index_building import build_index
from search_r3.server.application import make_application
from search_r3.server.settings import ServerSettings

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on PATH: apt-get install chromium"),
]

MARKUP = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script> sea"
DOCUMENTS = [Document(f"d{n}", text) for n, text in enumerate(["a tree", "the sea", MARKUP, "numbers"])]


@pytest.fixture(scope="module")
def index(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("index") / "index"
    build_index(folder, tiny, DOCUMENTS)
    return CorpusIndex.load(folder)


@pytest.fixture(scope="module")
def address(tiny, index):
    with running(make_application(ServerSettings(), tiny, index)) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """A fresh page; a script that fails, or a request that is refused, fails the test."""
    page = browser.new_context().new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("response", lambda response: faults.append(response.url) if response.status >= 400 else None)
    page.goto(address)
    yield page
    page.context.close()
    assert not faults


def names(page: Page, ranking: str) -> list[str]:
    return page.locator(f"#{ranking} .name").all_inner_texts()


def ask(page: Page, query: str, mode: str = "default") -> None:
    page.locator(f"input[value={mode}]").check()
    page.get_by_label("Query").fill(query)
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator("#status")).to_contain_text("4 documents in")


def test_the_ranking_is_the_indexs(page, tiny, index):
    """The order of the hits, of the query that is in the field."""
    ask(page, "the sea and the sun")
    assert names(page, "with") == [hit.doc_id for hit in index.search("the sea and the sun", 10, tiny)]
    expect(page.locator("#compared")).to_be_hidden()


def test_a_thought_and_without(page, tiny, index):
    """Both rankings, and how each hit moved; then the ranking after a thought of the reader's own."""
    query = "the sea and the sun"
    ask(page, query, "think")
    with_it = [hit.doc_id for hit in index.search(query, 10, tiny, reasoning="always")]
    without = [hit.doc_id for hit in index.search(query, 10, tiny, reasoning="never")]
    assert (names(page, "with"), names(page, "without")) == (with_it, without)
    [thought] = tiny.encode_query_with_thoughts([query], reasoning="always").thoughts
    assert page.get_by_label("Thought", exact=True).input_value() == thought.text
    moved = [without.index(doc_id) - rank for rank, doc_id in enumerate(with_it)]
    shown = page.locator("#with .up, #with .down").all_inner_texts()
    assert shown == [f"▲ {n}" if n > 0 else f"▼ {-n}" for n in moved if n]

    page.get_by_label("Thought", exact=True).fill("numbers of a list")
    page.get_by_role("button", name="Search with this thought").click()
    encoding = tiny.encode_query_with_thoughts([query], thoughts=["numbers of a list"])
    wanted = index.vectors.search(encoding.embeddings, 10, fingerprint=index.vectors.fingerprint)[0]
    expect(page.locator("#with .name")).to_have_text([hit.doc_id for hit in wanted])


def test_steps_show_what_was_read(page, tiny, index):
    """A line for each search, with the thought of each passage."""
    ask(page, "the sea and the sun", "steps")
    found = index.search_with_thoughts("the sea and the sun", 10, tiny, steps=2)
    lines = page.locator("#steps li").all_inner_texts()
    searches = [one for searches in found.steps for one in searches]
    assert len(lines) == len(searches)
    for line, one in zip(lines, searches, strict=True):
        assert (f"read {', '.join(one.read)};" in line) == bool(one.read)
    assert names(page, "with") == [hit.doc_id for hit in found.hits]
    expect(page.locator("#rethink")).to_be_hidden()  # it has a thought for each passage


def test_markup_is_text(page):
    """In a document, a query and a thought: it is shown, and nothing of it is run."""
    ask(page, MARKUP, "think")
    expect(page.locator("#with")).to_contain_text("<script>document.title='run'</script>")
    page.get_by_label("Thought", exact=True).fill(MARKUP)
    page.get_by_role("button", name="Search with this thought").click()
    expect(page.locator("#status")).to_contain_text("4 documents in")
    assert page.locator("#with img, #with script, #without img, #steps img").count() == 0
    assert page.title() == "Search-R3"


def test_the_address_keeps_the_search(page, address, browser):
    """Its query, mode, number of hits and BM25, opened in another window."""
    page.get_by_label("with BM25").check()
    page.get_by_label("hits").fill("3")
    page.locator("input[value=steps]").check()
    page.get_by_label("Query").fill("sea & sun #1")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator("#status")).to_contain_text("3 documents in")
    other = browser.new_context().new_page()
    other.goto(page.url)
    expect(other.locator("#status")).to_contain_text("3 documents in")
    assert other.get_by_label("Query").input_value() == "sea & sun #1"
    assert other.locator("input[value=steps]").is_checked() and other.get_by_label("with BM25").is_checked()
    assert names(other, "with") == names(page, "with")
    other.context.close()


def test_the_keyboard_is_enough(page):
    """A slash goes to the query, Enter searches, Escape leaves; all controls can be reached."""
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("red apple")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("4 documents in")
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name || document.activeElement.type"))
    assert {"submit", "mode", "hybrid", "k"} <= reached


def test_light_and_dark(page):
    """The colours follow the reader's setting, and text stands out in both (WCAG's 4.5 to 1)."""
    ask(page, "the sea", "think")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for selector in ("body", ".soft", "#with .hit header", "footer", "button"):
            ratio = page.evaluate(CONTRAST, selector) if page.locator(selector).count() else 21
            assert ratio >= 4.5, (scheme, selector, ratio)
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_failure_is_said(browser, tiny, tmp_path):
    """A server that asks for a key gets it from the reader; without an index it says what is missing."""
    (tmp_path / "keys").write_text("secret\n")
    with running(make_application(ServerSettings(api_key_file=tmp_path / "keys"), tiny)) as address:
        page = browser.new_context().new_page()
        page.goto(address)
        page.get_by_label("Query").fill("sea")
        page.keyboard.press("Enter")
        page.get_by_label("This server asks for a key").fill("secret")
        page.get_by_role("button", name="Use it").click()
        expect(page.locator("#status")).to_contain_text("There is no index")
        page.context.close()


CONTRAST = """selector => {
  const channel = (value) => {
    value /= 255;
    return value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
  };
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number);
    return .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  };
  const element = document.querySelector(selector);
  let behind = element;
  const background = (one) => getComputedStyle(one).backgroundColor;
  while (behind !== document.body && background(behind) === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
  const [a, b] = [light(getComputedStyle(element).color), light(background(behind))];
  return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
}"""
"""The ratio of contrast of an element's text (WCAG 2.2, the definitions of contrast ratio and luminance)."""

"""README and documentation: snippets run and print what is shown, links exist, sentences are short."""

import contextlib
import importlib.util
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documentation import PAGES, README, RECORDS, ROOT, blocks, name_of, snippets

from search_r3 import default_model_folder

# A snippet that cannot run here says so in its first line: `# needs: vllm`.
NEEDS = re.compile(r"# needs: (.+)\n")
HUB = "the Hugging Face Hub"


@pytest.fixture
def working_directory(tmp_path, monkeypatch, smollm2) -> Path:
    """A folder in which the names of the pages exist: path/to/model, and the checkout's toy set."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "path" / "to").mkdir(parents=True)
    (tmp_path / "path" / "to" / "model").symlink_to(default_model_folder())
    (tmp_path / "train").symlink_to(ROOT / "train")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if snippets(page)], ids=name_of)
def test_snippets_print_what_is_shown(page, working_directory, request) -> None:
    """In the page's order, in one namespace. Words exactly; numbers to 2e-4, for another CPU's rounding."""
    names: dict = {}
    request.addfinalizer(shut_ray_down)
    for code, shown in snippets(page):
        if missing(code):
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, name_of(page), "exec"), names)
        if shown is not None:
            number = re.compile(r"\d+\.\d+")
            assert number.sub("", printed.getvalue()) == number.sub("", shown), code
            assert [float(x) for x in number.findall(printed.getvalue())] == pytest.approx(
                [float(x) for x in number.findall(shown)], abs=2e-4
            ), code


def shut_ray_down() -> None:
    """A snippet that embeds with Ray leaves a cluster behind, as a user's session does."""
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


def missing(code: str) -> bool:
    """Whether a snippet says that it needs something which is not here."""
    needed = NEEDS.match(code)
    return needed is not None and (needed[1] == HUB or importlib.util.find_spec(needed[1]) is None)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_snippets_that_do_not_run_say_why(page) -> None:
    """They compile, and the module or the Hub that they name is one that they use."""
    for code, _ in snippets(page):
        compile(code, name_of(page), "exec")
        if needed := NEEDS.match(code):
            used = r'"[\w.-]+/[\w.-]+"' if needed[1] == HUB else rf"\b{re.escape(needed[1])}\b"
            assert re.search(used, code.removeprefix(needed[0])), code


def test_first_lines_say_what_a_reader_needs() -> None:
    """Install, snippet, printed output, table and links stand within the first 40 lines of 150 at most."""
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    head = "\n".join(lines[:40])
    for needed in ("pip install", "```python", "```text", "nDCG@10", "[Usage]"):
        assert needed in head


def test_the_training_run_is_a_configuration(tmp_path) -> None:
    """The TOML that a reader copies has no unknown key."""
    config = pytest.importorskip("search_r3.training.sft_config")
    [toml] = blocks(ROOT / "docs" / "training.md", "toml")
    (tmp_path / "my-run.toml").write_text(toml, encoding="utf-8")
    found = config.read_config(tmp_path / "my-run.toml")
    assert found.model.adapter is not None and list(found.data.sources) == ["mine"]


@pytest.mark.parametrize("page", [*PAGES, *RECORDS], ids=name_of)
def test_every_local_link_and_result_exists(page) -> None:
    """Links are relative to the page, files of results that are named in code to the repository."""
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", text):
        if not target.startswith("http"):
            linked = page.parent / target if target else page
            assert linked.exists(), target
            if anchor:
                assert anchor in anchors(linked), f"{target}#{anchor}"
    for path in re.findall(r"`((?:benchmarks|train|docs|tests|search_r3)/[\w./*-]+)`", text):
        assert list(ROOT.glob(path)), path


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *RECORDS], ids=name_of)
def test_sentences_are_short(page) -> None:
    """At most 30 words in a sentence of prose; code, tables and headings do not count."""
    for sentence in sentences(page.read_text(encoding="utf-8")):
        assert len(sentence.split()) <= 30, sentence


def sentences(text: str) -> list[str]:
    """The sentences of a page's prose; a list item and a line break between sentences end one too."""
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<!--.*?-->|<sub>.*?</sub>|^:::.*\n.*options:.*$", "", text, flags=re.MULTILINE)
    prose = []
    for paragraph in re.split(r"\n\s*\n|\n(?= *(?:[-*]|\d+\.) )", text):
        kept = [line for line in paragraph.splitlines() if not re.match(r"\s*(\||#|--8<--)", line)]
        prose += re.split(r"(?<=[.!?])\**\s+", re.sub(r"`[^`]*`", "code", " ".join(kept)))
    return prose


@pytest.mark.slow
def test_the_site_builds(tmp_path) -> None:
    """Strictly: a page outside of the navigation, a dead link or an unknown name is an error."""
    outcome = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "encode_query_with_thoughts" in (tmp_path / "site" / "api" / "index.html").read_text(
        encoding="utf-8"
    )

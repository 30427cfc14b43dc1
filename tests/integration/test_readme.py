"""The README's first snippet runs and prints what the README shows."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_first_snippet_prints_what_is_shown() -> None:
    """Words exactly; numbers to 2e-4, which leaves room for another CPU's rounding."""
    snippet, shown = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL).groups()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(snippet, {})
    number = re.compile(r"\d+\.\d+")
    assert number.sub("", printed.getvalue()) == number.sub("", shown)
    assert [float(x) for x in number.findall(printed.getvalue())] == pytest.approx(
        [float(x) for x in number.findall(shown)], abs=2e-4
    )


def snippet_with(words: str) -> str:
    [found] = [code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if words in code]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "result", "wanted"),
    [
        ("QdrantClient(", "found.points[0].payload['text']", "Asia is the largest continent by land area."),
        ("InMemoryVectorStore", "hits[0].page_content", "red sea"),
        (
            "VectorIndex(",
            "index.search(model.encode_query(['first']), k=1, fingerprint=fingerprint(model))[0][0].doc_id",
            "a",
        ),
        ("CorpusIndex.load", "hit.doc_id", "a"),
    ],
)
def test_snippets_that_need_the_default_model_find_what_they_should(
    words, result, wanted, tmp_path, monkeypatch, smollm2
) -> None:
    """A vector database, LangChain and our own index, with the names of the snippet before them."""
    monkeypatch.chdir(tmp_path)
    names = {
        "model": smollm2,
        "documents": ["Asia is the largest continent by land area.", "Paris is the capital of France."],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        exec(snippet_with(words), names)
    assert eval(result, names) == wanted


def test_first_lines_say_what_a_reader_needs() -> None:
    """Install, snippet, printed output, table and links stand within the first 40 lines."""
    head = "\n".join(README.splitlines()[:40])
    for needed in ("pip install", "```python", "```text", "nDCG@10", "[How it works]"):
        assert needed in head


def test_the_training_run_is_a_configuration(tmp_path) -> None:
    """The TOML that a reader copies has no unknown key."""
    config = pytest.importorskip("search_r3.training.sft_config")
    [toml] = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "my-run.toml").write_text(toml, encoding="utf-8")
    found = config.read_config(tmp_path / "my-run.toml")
    assert found.model.adapter is not None and list(found.data.sources) == ["mine"]


def test_every_local_link_exists() -> None:
    root = Path(__file__).parents[2]
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (root / target).exists(), target

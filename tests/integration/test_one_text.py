"""One record is one text: index, mteb, BEIR, training and Ray give a document the same token ids."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_r3 import fingerprint
from search_r3.cli import main
from search_r3.data.beir import read_beir
from search_r3.data.pairs import read_pairs, write_pairs
from search_r3.model.reasoning_transformer import ReasoningTransformer
from search_r3.retrieval.corpus_index import CorpusIndex

CORPUS = [
    {"_id": "titled", "title": "Ada", "text": "First programmer."},
    {"_id": "empty title", "title": "", "text": "No title here."},
    {"_id": "null title", "title": None, "text": "A null title."},
    {"_id": "blank title", "title": " \t\n", "text": "A blank title."},
    {"_id": "outer whitespace", "title": "  Sea ", "text": "\n  red and\n  blue\n"},
    {"_id": "untitled whitespace", "title": "", "text": "  def f():\n    return 1\n\n"},
    {"_id": "only a title", "title": " Sun ", "text": ""},
    {"_id": "non-ascii", "title": "東京\u3000", "text": "ß 首都\u2028é\u00a0"},
    {"_id": "title with a line break", "title": "one\ntwo", "text": "three"},
]
"""Records as a user has them."""

WANTED = {
    "titled": "Ada First programmer.",
    "empty title": "No title here.",
    "null title": "A null title.",
    "blank title": "A blank title.",
    "outer whitespace": "Sea  \n  red and\n  blue",
    "untitled whitespace": "def f():\n    return 1",
    "only a title": "Sun",
    "non-ascii": "東京\u3000 ß 首都\u2028é",
    "title with a line break": "one\ntwo three",
}
"""The text of every record, by hand."""

QUERIES = {"plain": "who was first?", "with whitespace": "  red\n sea \n", "non-ascii query": "ß 東京"}
"""A query is its own text, whitespace included, and a title of it is not read."""


def write_folder(folder: Path, split: str) -> Path:
    """The corpus as a folder in BEIR's format, in which every query judges every document."""
    (folder / "qrels").mkdir(parents=True)
    untitled = {"_id": "empty title", "text": "No title here."}  # the field may be missing as well
    rows = [untitled if row["_id"] == "empty title" else row for row in CORPUS]
    write_lines(folder / "corpus.jsonl", rows)
    write_lines(folder / "queries.jsonl", query_rows())
    judged = [f"{query}\t{document}\t1\n" for query in QUERIES for document in WANTED]
    (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(judged))
    return folder


def query_rows() -> list[dict[str, str]]:
    return [{"_id": key, "title": "Ada", "text": text} for key, text in QUERIES.items()]


def write_lines(path: Path, rows: list[dict]) -> Path:
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8", newline="")
    return path


def write_file(path: Path, rows: list[dict]) -> Path:
    """Records as the kind of file that the suffix says; a table has an empty cell for null."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix in (".csv", ".tsv"):
        with path.open("w", encoding="utf-8", newline="") as stream:
            table = csv.DictWriter(stream, list(rows[0]), delimiter="," if path.suffix == ".csv" else "\t")
            table.writeheader()
            table.writerows(rows)
    else:
        write_lines(path, rows)
    return path


class Recorder:
    """Token ids of every sequence that the model was given, by role."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[int, ...]]] = []

    def take(self, role: str) -> list[tuple[int, ...]]:
        """The sequences of a role since the last call, sorted; those of the other role are forgotten."""
        found = sorted(token_ids for seen_role, token_ids in self.seen if seen_role == role)
        self.seen.clear()
        return found


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    found = Recorder()
    preprocess = ReasoningTransformer.preprocess

    def recorded(self, inputs, prompt=None, *, task=None, **options):
        features = preprocess(self, inputs, prompt=prompt, task=task, **options)
        for ids, mask in zip(features["input_ids"], features["attention_mask"], strict=True):
            found.seen.append((self.role(task, prompt), tuple(ids[mask.bool()].tolist())))
        return features

    monkeypatch.setattr(ReasoningTransformer, "preprocess", recorded)
    return found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    """Run `search-r3 ...` in this process; it must succeed."""

    def call(*arguments: object) -> None:
        monkeypatch.setattr("sys.argv", ["search-r3", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_info:
            main()
        assert not exit_info.value.code

    return call


@pytest.fixture
def documents(tiny) -> dict[str, tuple[int, ...]]:
    """The token ids of every document, by its id."""
    encoder = tiny[0].prompt_encoder
    found = {
        doc_id: tuple(encoder.encode_document(text, max_tokens=128).token_ids)
        for doc_id, text in WANTED.items()
    }
    assert len(set(found.values())) == len(CORPUS)
    assert all(len(token_ids) < 128 for token_ids in found.values())
    return found


@pytest.fixture
def queries(tiny) -> list[tuple[int, ...]]:
    """The token ids of the queries, sorted."""
    encoder = tiny[0].prompt_encoder
    return sorted(
        tuple(encoder.encode_query(text, thought=(), max_tokens=128).token_ids) for text in QUERIES.values()
    )


def test_control_the_texts_differ_where_they_are_joined_otherwise(tiny, documents):
    """A line break between title and text, or whitespace left at the end, gives other token ids."""
    encoder = tiny[0].prompt_encoder
    for other in ("Ada\nFirst programmer.", "Ada  First programmer.", "Ada First programmer.\n"):
        assert tuple(encoder.encode_document(other, max_tokens=128).token_ids) != documents["titled"]


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".csv", ".tsv", ".parquet"])
def test_index_and_search(recorder, run, documents, queries, tiny_folder, tmp_path, suffix):
    """`search-r3 index`, `search` and `embed`, from every kind of file that has titles."""
    corpus = write_file(tmp_path / f"corpus{suffix}", CORPUS)
    asked = write_file(tmp_path / f"queries{suffix}", query_rows())
    run("index", corpus, tmp_path / "index", "--model", tiny_folder)
    assert recorder.take("document") == sorted(documents.values())
    assert CorpusIndex.load(tmp_path / "index").texts == WANTED
    run("search", tmp_path / "index", "--queries", asked)
    assert recorder.take("query") == queries
    run("embed", corpus, tmp_path / "documents.npy", "--model", tiny_folder)
    assert recorder.take("document") == sorted(documents.values())
    run("embed", asked, tmp_path / "queries.npy", "--model", tiny_folder, "--as", "query")
    assert recorder.take("query") == queries


def test_texts_without_fields(recorder, run, documents, tiny_folder, tmp_path):
    """A folder of text files, and a file of one text per line, hold untitled documents."""
    untitled = {row["_id"]: row["text"] for row in CORPUS if row["title"] == ""}
    assert len(untitled) == 2
    (tmp_path / "folder").mkdir()
    for name, text in untitled.items():
        (tmp_path / "folder" / f"{name}.txt").write_text(text)
    run("index", tmp_path / "folder", tmp_path / "files", "--model", tiny_folder)
    assert recorder.take("document") == sorted(documents[name] for name in untitled)
    (tmp_path / "lines.txt").write_text(" A null title. \nNo title here.\t\n")
    run("index", tmp_path / "lines.txt", tmp_path / "lines", "--model", tiny_folder)
    assert recorder.take("document") == sorted([documents["null title"], documents["empty title"]])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("harness", ["mteb", "beir"])
@pytest.mark.parametrize("titles", ["joined when read", "joined by the harness"])
def test_both_harnesses(recorder, documents, queries, tiny, tmp_path, harness, titles):
    """A task whose titles this package joined when it read them, and one whose titles mteb gets."""
    pytest.importorskip("mteb")
    pytest.importorskip("beir")
    from datasets import Dataset

    from search_r3.evaluation.mteb_tasks import folder_task
    from search_r3.evaluation.runner import run_beir, run_mteb
    from search_r3.evaluation.system import System

    task = folder_task(write_folder(tmp_path / "records", "test"))
    task.load_data()
    if titles == "joined by the harness":
        # mteb's own code does not take null: a dataset has an empty title there.
        columns = {
            "id": [row["_id"] for row in CORPUS],
            "title": [row["title"] or "" for row in CORPUS],
            "text": [row["text"] for row in CORPUS],
        }
        task.dataset["default"]["test"]["corpus"] = Dataset.from_dict(columns)
    recorder.seen.clear()
    system = System("tiny", tiny, "never")
    if harness == "mteb":
        run_mteb(system, task, cache_folder=tmp_path / "cache")
    else:
        run_beir(system, task)
    seen = list(recorder.seen)
    assert recorder.take("document") == sorted(documents.values())
    recorder.seen = seen
    assert recorder.take("query") == queries


def test_beirs_own_loader(recorder, documents, queries, tiny, tmp_path):
    """What BEIR reads goes to our encoder; BEIR has None for a null or missing title."""
    pytest.importorskip("beir")
    from beir.datasets.data_loader import GenericDataLoader

    from search_r3.evaluation.beir_encoder import BeirModel

    folder = write_folder(tmp_path / "records", "test")
    corpus, asked, _ = GenericDataLoader(str(folder)).load(split="test")
    assert [corpus[key]["title"] for key in ("empty title", "null title")] == [None, None]
    model = BeirModel(tiny, "never")
    model.encode_corpus(list(corpus.values()))
    assert recorder.take("document") == sorted(documents.values())
    model.encode_queries(list(asked.values()))
    assert recorder.take("query") == queries


def test_training(documents, queries, tiny, tmp_path):
    """A folder becomes pairs, examples and the sequences that a training step reads."""
    pytest.importorskip("pydantic")
    from search_r3.data.pair_import import read_pair_folder, read_pair_lines
    from search_r3.training.examples import draw_examples
    from search_r3.training.features import ExampleEncoder
    from search_r3.training.sft_config import DataConfig, SourceConfig

    folder = write_folder(tmp_path / "records", "train")
    task = read_beir(folder, split="train")
    assert task.corpus == WANTED
    assert task.queries == QUERIES
    write_pairs(read_pair_folder(folder, "mine", None), tmp_path / "mine.parquet")
    pairs = read_pairs(tmp_path / "mine.parquet")
    source = SourceConfig(examples=len(pairs), negatives=0)
    config = DataConfig(sources={"mine": source}, max_query_tokens=128, max_document_tokens=128)
    examples = draw_examples({"mine": pairs}, [], config, seed=0)
    batch = ExampleEncoder(tiny[0], config)([example.to_row() for example in examples])

    def sequences(name: str) -> set[tuple[int, ...]]:
        rows = zip(batch[f"{name}_input_ids"], batch[f"{name}_attention_mask"], strict=True)
        return {tuple(ids[mask.bool()].tolist()) for ids, mask in rows}

    assert sequences("positive") == set(documents.values())
    assert sequences("query") == set(queries)
    # The documents of a file of pairs have no titles.
    line = {"query": " q ", "positive": " a\n b\n", "negatives": ["\tc "]}
    [pair] = read_pair_lines(write_lines(tmp_path / "pairs.jsonl", [line]), "mine")
    assert (pair.query, pair.positive, pair.negatives) == (" q ", "a\n b", ("c",))


def test_ray(recorder, documents, tiny, tiny_folder):
    """A worker gets batches of the same columns that `search-r3 index` reads from Parquet."""
    pytest.importorskip("ray.data")
    from search_r3.integrations.ray import Embedder

    options = {"title_column": "title", "batch_size": 4, "threads": 1}
    worker = Embedder(str(tiny_folder), fingerprint(tiny), "_id", "text", **options)
    recorder.seen.clear()
    worker(pa.Table.from_pylist(CORPUS))
    assert recorder.take("document") == sorted(documents.values())

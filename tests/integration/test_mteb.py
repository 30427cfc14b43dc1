"""MTEB runs the model as it is: every mock task for text passes, and only retrieval queries think."""

import runpy
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from search_r3.model import batch_embedding
from search_r3.model import default as embedded_model

mteb = pytest.importorskip("mteb")

from mteb.mocks import ALL_MOCK_TASK_TEST_GRID  # noqa: E402
from mteb.models import SentenceTransformerEncoderWrapper  # noqa: E402
from mteb.results.task_result import TaskError, TaskResult  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny models are faster on one thread, and far faster where the cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def traffic(fresh_tiny, monkeypatch):
    """A wrapped model; the texts it read, by task; and the number of rows that thought, call by call."""
    texts, thinking = [], []
    module = fresh_tiny[0]
    preprocess, think = module.preprocess, batch_embedding.think

    def recorded_preprocess(inputs, prompt=None, *, task=None, **options):
        texts.extend((module.role(task, prompt), text) for text in inputs)
        return preprocess(inputs, prompt=prompt, task=task, **options)

    def recorded_think(model, input_ids, *args, **options):
        thinking.append(len(input_ids))
        return think(model, input_ids, *args, **options)

    monkeypatch.setattr(module, "preprocess", recorded_preprocess)
    monkeypatch.setattr(batch_embedding, "think", recorded_think)
    return SentenceTransformerEncoderWrapper(fresh_tiny), texts, thinking


@pytest.mark.filterwarnings("ignore")
def test_every_mock_task_for_text_passes(tiny, record_property, capsys):
    """mteb's own mock run: all text tasks pass, and those of other modalities are all that is left out."""
    wrapped = SentenceTransformerEncoderWrapper(tiny)
    assert wrapped.mteb_model_meta.modalities == ["text"]
    results = mteb.mock_run(wrapped)
    failed = {name: status.exception for name, status in results.items() if isinstance(status, TaskError)}
    assert failed == {}
    assert results.all_passed
    counts = Counter(
        "passed" if isinstance(status, TaskResult) else "left out" for _, status in results.items()
    )
    names = {task.metadata.name for task in ALL_MOCK_TASK_TEST_GRID}
    other = {
        task.metadata.name for task in ALL_MOCK_TASK_TEST_GRID if set(task.metadata.modalities) != {"text"}
    }
    assert counts["left out"] == len(other), counts
    assert counts["passed"] == len(names - other) >= 28, counts
    record_property("mteb_mock_tasks", dict(counts))
    with capsys.disabled():
        sys.stdout.write(f"\nmteb {mteb.__version__} mock tasks: {dict(counts)}\n")


def run(wrapped, name):
    task = next(task for task in ALL_MOCK_TASK_TEST_GRID if type(task).__name__ == name)
    result = mteb.evaluate(wrapped, [task], cache=None, raise_error=True, show_progress_bar=False)
    return task, result.task_results[0]


@pytest.mark.filterwarnings("ignore")
def test_queries_think_and_documents_do_not(traffic):
    """In a retrieval task every query is read as one and thinks, and every document is embedded directly."""
    wrapped, texts, thinking = traffic
    task, result = run(wrapped, "MockRetrievalTask")
    roles = Counter(role for role, _ in texts)
    wanted = Counter()
    for split in result.scores:
        wanted["query"] += task.expected_stats[split]["num_queries"]
        wanted["document"] += task.expected_stats[split]["num_documents"]
    assert roles == wanted
    assert sum(thinking) == wanted["query"] > 0
    queries = {text for role, text in texts if role == "query"}
    documents = {text for role, text in texts if role == "document"}
    assert not queries & documents
    assert not [text for text in queries | documents if text.startswith(("query: ", "document: "))]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["MockSTSTask", "MockClassificationTask", "MockClusteringTask"])
def test_symmetric_tasks_do_not_think(traffic, name):
    """Where there is no query (similarity, classification, clustering) nothing thinks."""
    wrapped, texts, thinking = traffic
    run(wrapped, name)
    assert {role for role, _ in texts} == {"document"}
    assert thinking == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reasoning", ["never", "always"])
def test_the_entry_for_mteb_scores_as_our_own_encoder(tiny, tiny_folder, built, tmp_path, reasoning):
    """What is ready for mteb's registry needs mteb and sentence-transformers alone, and scores the same."""
    from search_r3.evaluation.mteb_encoder import SearchR3Encoder
    from search_r3.evaluation.mteb_tasks import retrieval_task

    entry = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "search_r3_models.py"))
    meta = entry["search_r3_smollm2_135m"]
    assert meta.loader is entry["SearchR3Wrapper"] and meta.embed_dim == 576
    options = {"reasoning": reasoning, "max_reasoning_tokens": 3}
    models = [entry["SearchR3Wrapper"](str(tiny_folder), device="cpu", **options)]
    models.append(SearchR3Encoder(str(tiny_folder), model=tiny, **options))
    scores = [
        mteb.evaluate(model, retrieval_task("CodeDocMini"), cache=mteb.ResultCache(tmp_path / str(index)))
        .task_results[0]
        .get_score()
        for index, model in enumerate(models)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4) and scores[0] > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("name", ["smollm2", "gemma3"])
def test_the_entry_for_mteb_describes_the_model(name, request):
    """Numbers that are typed in the entry are the model's own; the card reads them there."""
    model = request.getfixturevalue(name)
    entry = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "search_r3_models.py"))
    meta = entry[{"smollm2": "search_r3_smollm2_135m", "gemma3": "search_r3_gemma3_270m"}[name]]
    weights = {name: tensor.numel() for name, tensor in model.named_parameters()}
    assert meta.n_parameters == sum(weights.values())
    assert meta.n_embedding_parameters == next(
        number for name, number in weights.items() if "embed_tokens" in name
    )
    assert meta.memory_usage_mb == round(4 * meta.n_parameters / 2**20)
    assert (meta.max_tokens, meta.embed_dim) == (model.max_seq_length, model.get_embedding_dimension())


def test_an_embedded_model_is_taken_by_its_name(tiny, tiny_folder, monkeypatch):
    """mteb wants a name with a slash; the revision is the model's fingerprint, as for a folder."""
    monkeypatch.setitem(embedded_model.EMBEDDED_MODELS, "default", lambda: tiny_folder)
    from search_r3.evaluation.mteb_encoder import SearchR3Encoder

    encoder = SearchR3Encoder("default", device="cpu")
    assert encoder.mteb_model_meta.name == "local/default"
    assert encoder.fingerprint == SearchR3Encoder(str(tiny_folder), model=tiny).fingerprint

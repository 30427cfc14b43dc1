"""Evaluation on the tiny model: the harnesses agree, arms never mix, the tasks say what they are."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from search_r3 import SentenceTransformer, fingerprint
from search_r3.data import catalogue
from search_r3.data.beir import write_beir
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import DataError, DataWarning, InvalidOptionError, ModelError
from search_r3.retrieval.metrics import measure

mteb = pytest.importorskip("mteb")
pytest.importorskip("beir")

from mteb.abstasks.task_metadata import TaskMetadata  # noqa: E402
from mteb.mocks.mock_tasks import MockRetrievalTask, MockSTSTask  # noqa: E402
from mteb.models import ModelMeta  # noqa: E402

from search_r3.evaluation import runner  # noqa: E402
from search_r3.evaluation.baselines import mean_pooled  # noqa: E402
from search_r3.evaluation.mteb_encoder import SearchR3Encoder, query_prompt  # noqa: E402
from search_r3.evaluation.mteb_tasks import OWN_TASKS, find_task, query_texts, retrieval_task  # noqa: E402
from search_r3.evaluation.runner import benchmark_task, run_arms, run_beir, run_mteb  # noqa: E402
from search_r3.evaluation.system import System, load_system, thinks  # noqa: E402

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def quiet():
    import datasets

    datasets.disable_progress_bars()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("arm", ["never", "always"])
def test_mteb_beir_and_pytrec_eval_agree(reference, tiny, built, tmp_path, arm):
    """Per query, mteb and BEIR give the nDCG@10 that pytrec_eval gives for this package's own search."""
    wanted = reference(tiny, built, reasoning=arm, max_reasoning_tokens=4)
    system = System("tiny", tiny, arm, max_reasoning_tokens=4)
    by_mteb = run_mteb(system, retrieval_task("CodeDocMini"), cache_folder=tmp_path).result
    by_beir = run_beir(system, retrieval_task("CodeDocMini")).result
    assert 0.05 < np.mean(list(wanted.values())) < 0.95
    assert by_mteb.per_query["ndcg_at_10"] == pytest.approx(wanted, abs=1e-4)
    for name, scores in by_mteb.per_query.items():
        assert by_beir.per_query[name] == pytest.approx(scores, abs=1e-4)
    assert by_mteb.harness == f"mteb {mteb.__version__}"
    assert by_beir.harness.startswith("beir 2.")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("harness", ["mteb", "beir"])
def test_a_folder_in_beirs_format_is_a_task(tiny, built, tmp_path, harness):
    """Anybody's folder is evaluated by its path, with the scores of the same data under a known name."""
    write_beir(built, tmp_path / "my-task")
    system = System("tiny", tiny, "never")
    tasks = [benchmark_task(str(tmp_path / "my-task")), retrieval_task("CodeDocMini")]
    found, wanted = (next(iter(run_arms(harness, system, ["never"], task, tmp_path))) for task in tasks)
    assert found.per_query == wanted.per_query
    assert (found.task, found.data_hash) == ("my-task", built.data_hash())
    (tmp_path / "my-task" / "queries.jsonl").unlink()
    with pytest.raises(DataError, match=r"queries\.jsonl"):
        benchmark_task(str(tmp_path / "my-task"))


def write_published(folder: Path) -> None:
    """A folder with what BEIR's published ones have: see the ids."""
    documents = {"1": "red apple", "2": "red apple tree", "3": "red sea", "4": "green tea", "5": "grey stone"}
    queries = {"1": "red apple", "2": "grey sky", "q": "green tea"}
    grades = {"1": {"2": 0, "3": 1, "gone": 1}, "2": {"5": 0}, "q": {"4": 2}}
    write_beir(RetrievalTask(queries, documents, grades), folder)


# Query 1 has the id and the text of document 1, which is left out. Ranking: 2 (0), 3 (1); "gone" is never
# found. DCG = 1/log2(3), IDCG = 1 + 1/log2(3); recall 1/2; first relevant rank 2.
# Query 2 has no relevant document: 0. Query q finds document 4 first: 1.
PUBLISHED = {
    "ndcg_at_10": {"1": 0.6309298 / 1.6309298, "2": 0.0, "q": 1.0},
    "recall_at_100": {"1": 0.5, "2": 0.0, "q": 1.0},
    "reciprocal_rank": {"1": 0.5, "2": 0.0, "q": 1.0},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("harness", ["mteb", "beir"])
def test_a_published_folder_has_the_scores_of_beir(tmp_path, harness):
    """Under both harnesses, worked out by hand; the mean is that of BEIR's own loader and evaluation."""
    from beir.datasets.data_loader import GenericDataLoader
    from beir.retrieval.evaluation import EvaluateRetrieval

    from search_r3.retrieval.bm25 import bm25_run

    write_published(tmp_path / "published")
    task = benchmark_task(str(tmp_path / "published"))
    [found] = run_arms(harness, System("bm25", None), [None], task, tmp_path)
    for measure_name, wanted in PUBLISHED.items():
        assert found.per_query[measure_name] == pytest.approx(wanted, abs=1e-6)
    corpus, queries, qrels = GenericDataLoader(str(tmp_path / "published")).load("test")
    run = bm25_run({key: document["text"] for key, document in corpus.items()}, queries)
    assert next(iter(run["1"])) == "1"  # the best match, were it not left out
    assert found.mean("ndcg_at_10") == pytest.approx(0.462284, abs=1e-6)
    assert EvaluateRetrieval.evaluate(qrels, run, [10])[0]["NDCG@10"] == pytest.approx(0.46228)


@pytest.mark.filterwarnings("ignore")
def test_harnesses_agree_on_a_published_folder_in_every_arm(tiny, tmp_path):
    """An embedder's runs, and those joined with BM25: neither has the document with the query's id."""
    write_published(tmp_path / "published")
    task = benchmark_task(str(tmp_path / "published"))
    system = System("tiny", tiny, "never")
    by_mteb, by_beir = (
        list(run_arms(harness, system, ["never"], task, tmp_path, hybrid=True))
        for harness in ("mteb", "beir")
    )
    assert [result.model for result in by_mteb] == ["tiny", "tiny-hybrid"]
    for first, second in zip(by_mteb, by_beir, strict=True):
        for name, scores in first.per_query.items():
            assert second.per_query[name] == pytest.approx(scores, abs=1e-4)
        assert first.per_query["recall_at_100"] == {"1": 0.5, "2": 0.0, "q": 1.0}
    # "red apple" is a query and a document: with it left out, no run has it.
    assert "1" not in run_mteb(system, task, cache_folder=tmp_path).run["1"]
    assert "1" not in run_beir(system, task).run["1"]


def test_a_published_folder_is_warned_of_once(tmp_path):
    """However often an evaluation reads it."""
    write_published(tmp_path / "published")
    with pytest.warns(DataWarning) as caught:
        task = benchmark_task(str(tmp_path / "published"))
        task.load_data()
        task.unload_data()
        task.load_data()
    [warning] = [one for one in caught if issubclass(one.category, DataWarning)]
    assert str(warning.message).split("\n- ")[1:] == [
        "judgements of documents that are not in the corpus: 1 (gone); such a document is never found, and "
        "is missed if it is relevant",
        "queries with the id of a document: 2 (1, 2); that document is left out of the query's results, as "
        "in BEIR",
        "queries without a relevant document: 1 (2); every measure gives them 0, as in BEIR and mteb",
    ]


@pytest.mark.parametrize("instructions", [None, ["answer briefly", None, " "]])
def test_query_texts_are_those_of_mteb(instructions):
    """A query is followed by its own instruction, which tasks of instruction retrieval have."""
    from datasets import Dataset
    from mteb._create_dataloaders import create_dataloader
    from mteb.types import PromptType

    columns = {"id": ["a", "b", "c"], "text": ["red sea", " blue ", "sun"]}
    wanted = {"a": "red sea", "b": " blue ", "c": "sun"}
    if instructions is not None:
        columns["instruction"] = instructions
        wanted = {"a": "red sea answer briefly", "b": " blue ", "c": "sun  "}
    queries = Dataset.from_dict(columns)
    assert query_texts(queries) == wanted
    # mteb's batches cannot hold a null: only the texts are compared.
    metadata = MockRetrievalTask().metadata
    loader = create_dataloader(queries, task_metadata=metadata, prompt_type=PromptType.query)
    assert list(loader.dataset["text"]) == list(wanted.values())


@pytest.mark.filterwarnings("ignore")
def test_bm25_agrees_in_both_harnesses(built, tmp_path):
    """BM25 scores the same through mteb, BEIR and `measure`, a query without a match counting 0."""
    from search_r3.retrieval.bm25 import bm25_run

    wanted = measure(built.qrels, bm25_run(built.corpus, built.queries, k=1000))
    for evaluation in (
        run_mteb(System("bm25", None), retrieval_task("CodeDocMini"), cache_folder=tmp_path),
        run_beir(System("bm25", None), retrieval_task("CodeDocMini")),
    ):
        result = evaluation.result
        for name, scores in result.per_query.items():
            assert scores == pytest.approx({query_id: by[name] for query_id, by in wanted.items()})
        assert result.per_query["ndcg_at_10"]["q11"] == 0.0
        assert result.mean("ndcg_at_10") > 0.5
        assert (result.arm, result.fingerprint, result.tokens_per_query) == (None, None, None)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("harness", ["mteb", "beir"])
def test_hybrid_results_join_the_run_with_bm25s(tiny, built, tmp_path, harness):
    """Each arm's result is followed by one of its run fused with BM25's; BM25 with itself is refused."""
    from search_r3.retrieval.bm25 import bm25_run
    from search_r3.retrieval.fusion import hybrid_fusion

    task, system = retrieval_task("CodeDocMini"), System("tiny", tiny, max_reasoning_tokens=4)
    found = list(run_arms(harness, system, ["never", "always"], task, tmp_path, hybrid=True))
    assert [(one.model, one.arm) for one in found] == [
        ("tiny", "always"), ("tiny-hybrid", "always"), ("tiny", "never"), ("tiny-hybrid", "never"),
    ]  # fmt: skip
    dense = run_beir(System("tiny", tiny, "never"), task).run
    lexical = bm25_run(built.corpus, built.queries, k=1000)
    wanted = measure(built.qrels, hybrid_fusion(dense, lexical))
    for query_id, score in found[3].per_query["ndcg_at_10"].items():
        assert score == pytest.approx(wanted[query_id]["ndcg_at_10"], abs=1e-6)
    assert found[3].per_query != found[2].per_query
    assert found[3].config["fused_with"] == "bm25" and "fused_with" not in found[2].config
    with pytest.raises(InvalidOptionError, match="joined with itself"):
        next(run_arms(harness, System("bm25", None), [None], task, tmp_path, hybrid=True))


@pytest.mark.filterwarnings("ignore")
def test_a_model_that_does_not_think_runs_without_an_arm(tiny_folder, built, tmp_path):
    """The mean-pooled LLM runs in both harnesses alike, under its own name; an arm for it is an error."""
    system = System("plain", mean_pooled(tiny_folder), batch_size=4)
    by_mteb = run_mteb(system, retrieval_task("CodeDocMini"), cache_folder=tmp_path).result
    by_beir = run_beir(system, retrieval_task("CodeDocMini")).result
    assert by_mteb.per_query["ndcg_at_10"] == pytest.approx(by_beir.per_query["ndcg_at_10"], abs=1e-4)
    assert by_mteb.thoughts is None
    lengths = [len(system.model.tokenizer(text).input_ids) for text in built.queries.values()]
    assert by_mteb.tokens_per_query == pytest.approx(np.mean(lengths))
    revision = fingerprint(system.model)[:16]
    assert (tmp_path / "results" / "local__plain" / revision / "CodeDocMini.json").is_file()
    with pytest.raises(ModelError, match="Got the arm 'always' for plain, wanted none"):
        run_mteb(
            System("plain", system.model, "always"), retrieval_task("CodeDocMini"), cache_folder=tmp_path
        )


def test_a_system_is_loaded_by_name(tiny_folder, tiny):
    """BM25, a folder, the same under another name, and its LLM mean-pooled; only the model thinks."""
    lexical, plain = load_system("bm25"), load_system(str(tiny_folder), seed=3)
    assert (lexical.name, lexical.model, thinks(lexical)) == ("bm25", None, False)
    assert (plain.name, plain.seed, thinks(plain)) == (tiny_folder.name, 3, True)
    assert fingerprint(plain.model) == fingerprint(tiny)
    half = load_system(str(tiny_folder), name="half", dtype="bfloat16")
    assert (half.name, half.model.dtype) == ("half", torch.bfloat16)
    pooled = load_system(str(tiny_folder), is_mean_pooled=True)
    assert (pooled.name, thinks(pooled)) == (f"{tiny_folder.name}-mean-pooled", False)
    with pytest.raises(InvalidOptionError, match="Got --mean-pooled for org/name, wanted a prepared model"):
        load_system("org/name", is_mean_pooled=True)


@pytest.mark.filterwarnings("ignore")
def test_a_result_says_what_was_thought_and_read(tiny, built, tmp_path):
    """Task, data, budget, thoughts and tokens of a result are those of the run."""
    system = System("tiny", tiny, "always", max_reasoning_tokens=4, instructions=True)
    task = retrieval_task("CodeDocMini")
    evaluation = run_mteb(system, task, cache_folder=tmp_path)
    result = evaluation.result
    assert (result.task, result.size, result.data_hash) == ("CodeDoc", "mini", built.data_hash())
    assert (result.arm, result.budget, result.config["instructions"]) == ("always", 4, True)
    assert result.fingerprint == fingerprint(tiny)
    prompt = "Given a description of a function, retrieve its Python source code\n"
    texts = list(built.queries.values())
    encoding = tiny.encode_query_with_thoughts(texts, max_reasoning_tokens=4, prompt=prompt)
    assert evaluation.thoughts == dict(zip(texts, encoding.thoughts, strict=True))
    lengths = [thought.length for thought in encoding.thoughts]
    assert result.thoughts.mean_tokens == pytest.approx(np.mean(lengths))
    encoder = tiny[0].prompt_encoder
    read = [
        len(encoder.encode_query(text, thought=thought, instruction=prompt, max_tokens=128).token_ids)
        for text, thought in zip(texts, encoding.thoughts, strict=True)
    ]
    assert result.tokens_per_query == pytest.approx(np.mean(read))
    assert result.seconds["total"] >= result.seconds["queries"] > 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("harness", ["mteb", "beir"])
def test_control_arms_work_with_the_thoughts_of_always(tiny, built, tmp_path, monkeypatch, harness):
    """In one call of several arms only `always` generates, and the controls have the length it thought."""
    calls = []
    encode = SentenceTransformer.encode_query_with_thoughts

    def counted(self, queries, *, thoughts=None, **options):
        if thoughts is None:
            calls.append(options["reasoning"])
        return encode(self, queries, thoughts=thoughts, **options)

    monkeypatch.setattr(SentenceTransformer, "encode_query_with_thoughts", counted)
    system = System("tiny", tiny, max_reasoning_tokens=4)
    arms = ["never", "empty", "random", "always", "repeat", "shuffled"]
    results = {
        result.arm: result
        for result in run_arms(harness, system, arms, retrieval_task("CodeDocMini"), tmp_path)
    }
    assert calls == ["always", "never"]
    assert results.keys() == set(arms)
    assert results["empty"].per_query == results["never"].per_query
    wanted = results["always"].thoughts.mean_tokens
    for arm in ("random", "repeat", "shuffled"):
        assert results[arm].thoughts.given == 1.0
        assert results[arm].thoughts.mean_tokens == pytest.approx(wanted)


def test_a_disagreement_with_the_harness_is_an_error(tiny, built, tmp_path, monkeypatch):
    """Scores that differ from the harness's own in the fourth decimal are not written down but refused."""
    system = System("tiny", tiny, "never")

    def flattering(qrels, run):
        scores = measure(qrels, run)
        for one in scores.values():
            one["ndcg_at_10"] = min(1.0, one["ndcg_at_10"] + 2e-4)
        return scores

    monkeypatch.setattr(runner, "measure", flattering)
    with pytest.raises(DataError, match=r"Got nDCG@10 = 0\.\d+ from mteb on CodeDocMini, wanted 0\.\d+"):
        run_mteb(system, retrieval_task("CodeDocMini"), cache_folder=tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_arms_and_budgets_never_share_a_cached_result(reference, tiny, built, tmp_path):
    """In one cache folder each arm, budget and instruction is evaluated on its own; a repeat is cached."""
    cache = mteb.ResultCache(tmp_path)
    settings = [
        {"reasoning": "never"},
        {"reasoning": "always"},
        {"reasoning": "always", "max_reasoning_tokens": 2},
        {"reasoning": "always", "instructions": True},
        {"reasoning": "random"},
        {"reasoning": "random", "seed": 1},
    ]
    scores = []
    for options in settings:
        encoder = SearchR3Encoder("local/tiny", model=tiny, **options)
        result = mteb.evaluate(encoder, retrieval_task("CodeDocMini"), cache=cache, show_progress_bar=False)
        ((part, encoded),) = encoder.encodings.items()
        assert part == ("CodeDocMini", "test", "default")
        assert encoded.queries == list(built.queries.values())
        scores.append(result.task_results[0].get_score())
    wanted = np.mean(list(reference(tiny, built, reasoning="never").values()))
    assert scores[0] == pytest.approx(wanted, abs=1e-4)
    wanted = np.mean(list(reference(tiny, built, reasoning="always").values()))
    assert scores[1] == pytest.approx(wanted, abs=1e-4)
    assert scores[0] != scores[1]
    again = SearchR3Encoder("local/tiny", model=tiny, reasoning="never")
    result = mteb.evaluate(again, retrieval_task("CodeDocMini"), cache=cache, show_progress_bar=False)
    assert again.encodings == {}
    assert result.task_results[0].get_score() == scores[0]


def test_another_checkpoint_is_another_revision(tiny_folder, tiny, tmp_path):
    """The same folder name with other weights has another revision, and a local folder is named as one."""
    folder = tmp_path / "tiny"
    changed = SentenceTransformer(tiny_folder, device="cpu")
    first = SearchR3Encoder(str(tiny_folder), device="cpu").mteb_model_meta
    changed[0].model.get_input_embeddings().weight.data[0, 0] += 1
    changed.save(str(folder), create_model_card=False)
    second = SearchR3Encoder(str(folder), device="cpu").mteb_model_meta
    assert first.name == second.name == "local/tiny"
    assert first.revision == fingerprint(tiny)[:16]
    assert second.revision == fingerprint(changed)[:16] != first.revision


@pytest.mark.filterwarnings("ignore")
def test_the_encoder_is_an_mteb_loader(reference, tiny_folder, tiny, built, tmp_path, monkeypatch):
    """A ModelMeta with the encoder as its loader runs in the arm of its experiment_kwargs."""
    monkeypatch.chdir(tiny_folder.parents[1])
    name = f"{tiny_folder.parent.name}/{tiny_folder.name}"
    meta = ModelMeta.create_empty(
        {
            "name": name,
            "revision": "1",
            "loader": SearchR3Encoder,
            "experiment_kwargs": {"reasoning": "never", "max_reasoning_tokens": 4},
        }
    )
    result = mteb.evaluate(
        meta, retrieval_task("CodeDocMini"), cache=mteb.ResultCache(tmp_path), show_progress_bar=False
    )
    wanted = np.mean(list(reference(tiny, built, reasoning="never").values()))
    assert result.task_results[0].get_score() == pytest.approx(wanted, abs=1e-4)
    folder = tmp_path / "results" / name.replace("/", "__") / "1" / "experiments"
    assert [path.name for path in folder.iterdir()] == ["max_reasoning_tokens_4__reasoning_never"]


@pytest.mark.filterwarnings("ignore")
def test_symmetric_tasks_do_not_think(tiny, monkeypatch):
    """Texts of a similarity task are read as documents: nothing thinks in any arm."""
    monkeypatch.setattr(SentenceTransformer, "encode_query", None)
    encoder = SearchR3Encoder("local/tiny", model=tiny, reasoning="always", instructions=True)
    mteb.evaluate(encoder, MockSTSTask(), cache=None, show_progress_bar=False)
    encoded = list(encoder.encodings.values())
    assert encoded
    assert all(part.query_encoding is None and part.document_seconds > 0 for part in encoded)


@pytest.mark.filterwarnings("ignore")
def test_instructions_go_before_queries_and_never_before_documents(fresh_tiny, built, monkeypatch):
    """With instructions on, every query has the task's and no document has one; off, nobody has."""
    seen = []
    module = fresh_tiny[0]
    preprocess = module.preprocess

    def recorded(inputs, prompt=None, *, task=None, **options):
        seen.append((task, prompt))
        return preprocess(inputs, prompt=prompt, task=task, **options)

    monkeypatch.setattr(module, "preprocess", recorded)
    instruction = "Given a description of a function, retrieve its Python source code\n"
    for instructions, wanted in ((True, instruction), (False, module.query_prompt)):
        encoder = SearchR3Encoder(
            "local/tiny", model=fresh_tiny, reasoning="never", instructions=instructions
        )
        seen.clear()
        mteb.evaluate(encoder, retrieval_task("CodeDocMini"), cache=None, show_progress_bar=False)
        assert set(seen) == {("query", wanted), ("document", module.document_prompt)}


def test_a_task_without_an_instruction_gets_none():
    """No general instruction is made up; a prompt of one string and one by role are both understood."""
    metadata = MockRetrievalTask.metadata
    prompts = {None: None, "find it ": "find it\n"}
    for prompt, wanted in prompts.items():
        assert query_prompt(metadata.model_copy(update={"prompt": prompt})) == wanted
    assert query_prompt(metadata.model_copy(update={"prompt": {"query": "a", "document": "b"}})) == "a\n"
    assert query_prompt(metadata.model_copy(update={"prompt": {"document": "b"}})) is None


def test_options_that_mteb_would_not_keep_apart_are_refused(tiny, built):
    """`encode_kwargs` do not reach mteb's cache key, so an arm in them is an error; so is an unknown arm."""
    encoder = SearchR3Encoder("local/tiny", model=tiny)
    with pytest.raises(InvalidOptionError, match=r"Got encode_kwargs \['reasoning'\]"):
        mteb.evaluate(
            encoder, retrieval_task("CodeDocMini"), cache=None, encode_kwargs={"reasoning": "never"}
        )
    with pytest.raises(InvalidOptionError, match="Got reasoning='sometimes'"):
        SearchR3Encoder("local/tiny", model=tiny, reasoning="sometimes")


@pytest.mark.parametrize("name", OWN_TASKS)
def test_the_tasks_say_what_they_are(name, monkeypatch):
    """Every task's metadata is filled and valid, names its pinned data, and carries the card's words."""
    monkeypatch.setattr(
        "search_r3.evaluation.mteb_tasks.expected_hash", lambda name, size: f"hash of {name} {size}"
    )
    card_name, size = OWN_TASKS[name]
    card = catalogue.TASKS[card_name]
    metadata = find_task(name).metadata
    assert metadata.is_filled()
    TaskMetadata.model_validate(metadata.model_dump())
    metadata._validate_metadata()
    assert name == (card_name if size == "full" else f"{card_name}Mini")
    assert metadata.dataset == {"path": f"search-r3/{card_name}", "revision": f"hash of {card_name} {size}"}
    assert metadata.prompt == {"query": card.instruction}
    assert all(text in metadata.description for text in (card.description, card.source, card.licence))
    assert card.judgements in metadata.description
    assert metadata.main_score == "ndcg_at_10"
    assert metadata.languages == ["eng"]


def test_unpinned_data_is_refused(built):
    """A task that is not built, or whose data has another hash, is no task."""
    with pytest.raises(DataError, match="Build the data: search-r3 data"):
        retrieval_task("HPOLay").load_data()
    folder = catalogue.task_folder("CodeDoc", "mini")
    queries = folder / "queries.jsonl"
    queries.write_text(queries.read_text().replace("unheard", "changed"))
    with pytest.raises(DataError, match="has the data hash"):
        retrieval_task("CodeDocMini").load_data()


def test_an_official_task_without_network_says_so(tiny, tmp_path):
    """An official task offline is one error that names the task and the Hub; an unknown one names ours."""
    for run in (
        lambda task: run_mteb(System("tiny", tiny, "never"), task, cache_folder=tmp_path),
        lambda task: run_beir(System("tiny", tiny, "never"), task),
    ):
        with pytest.raises(DataError, match=r"The task SciFact needs the Hugging Face Hub \(mteb/scifact\)"):
            run(benchmark_task("SciFact"))
    with pytest.raises(
        InvalidOptionError, match=r"Got the task 'SciFakt', wanted one of WikiTrivia, .*SciFact"
    ):
        benchmark_task("SciFakt")
    with pytest.raises(InvalidOptionError, match="Got STS12, a task of type STS, wanted a retrieval task"):
        benchmark_task("STS12")
    assert benchmark_task("MKQARetrieval").hf_subsets == ["en"]


def test_importing_the_package_does_not_import_the_harnesses():
    """`import search_r3` and its command line load neither mteb nor beir."""
    loaded = "bool({'mteb', 'beir', 'torch'} & set(sys.modules))"
    code = f"import sys, search_r3, search_r3.cli.app; sys.exit({loaded})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""The environment with an encoder whose weights are a matrix, so that every embedding is known."""

import numpy as np
import pytest

from search_r3.data.retrieval_task import RetrievalTask
from search_r3.errors import DataError, InvalidInputError
from search_r3.rl.document_embeddings import DocumentEmbeddings
from search_r3.rl.drift import measure_drift, reward_error
from search_r3.rl.environment import EnvironmentOptions, RetrievalEnvironment, neighbour_graph
from search_r3.rl.refresh import Frozen, Full, InBatch, NoRefresh, RefreshState, Selective
from search_r3.rl.rewards import dcg

N, D = 60, 8
TASK = RetrievalTask(
    {f"q{n}": f"query {n}" for n in range(10)},
    {f"d{n}": str(n) for n in range(N)},
    {f"q{n}": {f"d{n}": 2, f"d{n + 10}": 1, f"d{n + 20}": 0} for n in range(10)},
)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


class Weights:
    """An encoder of documents that are numbers; it counts what it encodes."""

    def __init__(self, seed=0):
        generator = np.random.default_rng(seed)
        self.table = generator.normal(size=(N, D))
        self.matrix = np.eye(D)
        self.generator = generator
        self.encoded = []

    def move(self, size=0.3):
        self.matrix = self.matrix + size * self.generator.normal(size=(D, D))

    def __call__(self, texts):
        self.encoded += texts
        return unit(self.table[list(map(int, texts))] @ self.matrix)

    def queries(self, ids):
        """Near to the answers, but not so near that every rank is 1."""
        rows = [int(query_id[1:]) for query_id in ids]
        return unit((self.table[rows] + 0.8 * self.generator.normal(size=(len(rows), D))) @ self.matrix)


def environment(policy, weights=None, seed=0, **options):
    weights = weights or Weights()
    options = {"neighbours": 4, "nearest": 6, "probe": 16, "probe_every": 0} | options
    return RetrievalEnvironment(TASK, weights, policy, EnvironmentOptions(**options), seed=seed), weights


def test_ranks_by_hand():
    """A rank counts what is as similar or more; ties count against."""
    documents = DocumentEmbeddings(np.array([[1, 0], [0, 1], [0.6, 0.8], [0.6, 0.8]], dtype=np.float32))
    [found] = documents.rankings(np.array([[0, 1]], dtype=np.float32), [{0: 1.0, 2: 2.0}])
    assert found.ranks.tolist() == [4, 3] and found.grades.tolist() == [1.0, 2.0]
    np.testing.assert_allclose(found.similarities, [0, 0.8], atol=1e-6)
    assert found.best_other == 1.0 and found.documents == 4
    [among] = documents.rankings(np.array([[0, 1]], dtype=np.float32), [{0: 1.0, 2: 2.0}], np.array([0, 1]))
    assert among.ranks.tolist() == [2] and among.documents == 2


def test_ranks_without_a_row_that_is_left_out():
    """A row that is left out for a query stands before nothing, among all rows or some."""
    table = np.array([[1, 0], [0, 1], [0.6, 0.8], [0.8, 0.6]], dtype=np.float32)
    rows = DocumentEmbeddings(table)
    queries = np.array([[0, 1]] * 2, dtype=np.float32)
    whole, part = rows.rankings(queries, [{3: 1.0}] * 2, None, [None, 1])
    assert (whole.ranks.tolist(), whole.documents) == ([3], 4)
    assert (part.ranks.tolist(), part.documents) == ([2], 3)
    assert (whole.best_other, part.best_other) == (pytest.approx(1.0), pytest.approx(0.8))
    [among] = rows.rankings(queries[:1], [{3: 1.0}], np.array([1, 3]), [1])
    assert (among.ranks.tolist(), among.documents) == ([1], 1)


def test_inverted_file_leaves_rows_out_too():
    """With every list probed it ranks as exact rows do."""
    table = unit(np.random.default_rng(1).normal(size=(64, D)))
    exact, inverted = DocumentEmbeddings(table), DocumentEmbeddings(table, exact_up_to=10, probes=32)
    relevant, left_out = [{5: 1.0, 9: 2.0}] * 3, [0, None, 2]
    for first, second in zip(
        *(rows.rankings(table[:3], relevant, None, left_out) for rows in (exact, inverted)), strict=True
    ):
        assert (first.ranks.tolist(), first.documents) == (second.ranks.tolist(), second.documents)
        assert first.best_other == pytest.approx(second.best_other)
    assert exact.rankings(table[:1], relevant[:1])[0].best_other == pytest.approx(1.0)
    assert inverted.rankings(table[:1], relevant[:1], None, [0])[0].best_other < 0.99


def test_the_document_of_the_same_id_is_neither_ranked_nor_a_negative():
    """As in an evaluation; for every other query it is a document like any other."""
    weights = Weights()
    task = RetrievalTask(
        {"d3": "3", "q": "three"}, {f"d{n}": str(n) for n in range(N)}, {"d3": {"d5": 1}, "q": {"d5": 1}}
    )
    world = RetrievalEnvironment(task, weights, NoRefresh(), EnvironmentOptions(neighbours=0))
    at_3 = np.stack([weights(["3"])[0]] * 2)
    same, other = world.rank(["d3", "q"], at_3)
    assert other.ranks[0] == same.ranks[0] + 1 and (same.documents, other.documents) == (N - 1, N)
    _, wrong = world.contrast(["d3", "q"], at_3, 2)
    assert wrong[1, 0] == 3 and 3 not in wrong[0] and 5 not in wrong
    assert wrong[0, 0] == wrong[1, 1]
    assert world.is_relevant(["d3", "q"], np.array([3, 5, 7])).tolist() == [
        [True, True, False],
        [False, True, False],
    ]


def test_a_collapsed_encoder_earns_nothing():
    """If all documents are alike, every relevant one is last."""
    documents = DocumentEmbeddings(np.tile(unit(np.ones((1, 4))), (50, 1)))
    [found] = documents.rankings(unit(np.ones((1, 4))), [{7: 1.0}])
    assert found.ranks.tolist() == [50]


def test_inverted_file_agrees_with_exact_search():
    """With every list probed the ranks within the depth are those of the exact search, also after changes."""
    generator = np.random.default_rng(0)
    vectors = unit(generator.normal(size=(2000, D)))
    exact = DocumentEmbeddings(vectors)
    inverted = DocumentEmbeddings(vectors, exact_up_to=100, probes=10_000, depth=2000)
    queries = unit(generator.normal(size=(20, D)))
    judged = [{int(row): 1.0} for row in generator.integers(0, 2000, 20)]
    for _ in range(2):
        for one, other in zip(
            exact.rankings(queries, judged), inverted.rankings(queries, judged), strict=True
        ):
            assert one.ranks.tolist() == other.ranks.tolist()
            assert one.best_other == pytest.approx(other.best_other, abs=1e-6)
        assert (exact.search(queries, 5) == inverted.search(queries, 5)).all()
        changed = generator.choice(2000, 500, replace=False)
        for documents in (exact, inverted):
            documents.overwrite(changed, unit(vectors[changed] + 0.5), 1)
    few = DocumentEmbeddings(vectors, exact_up_to=100, probes=10_000, depth=10)
    for one, other in zip(
        DocumentEmbeddings(vectors).rankings(queries, judged), few.rankings(queries, judged), strict=True
    ):
        assert other.ranks[0] == min(one.ranks[0], 11)  # beyond the depth it is known to be beyond


def test_refreshing_everything_is_rebuilding():
    """After a full refresh embeddings, graph and rankings are those of a new environment."""
    moving, weights = environment(Full())
    weights.move()
    queries = weights.queries(TASK.queries)
    report = moving.refresh(list(TASK.queries), queries, 1)
    rebuilt, _ = environment(Full(), weights)
    assert report.was_full and report.encoded == N
    np.testing.assert_array_equal(moving.documents.embeddings, rebuilt.documents.embeddings)
    np.testing.assert_array_equal(moving.neighbours, rebuilt.neighbours)
    for one, other in zip(
        moving.rank(list(TASK.queries), queries), rebuilt.rank(list(TASK.queries), queries), strict=True
    ):
        assert one.ranks.tolist() == other.ranks.tolist()


@pytest.mark.parametrize("policy", [NoRefresh(), InBatch(), Selective(fresh_for=0), Frozen()])
def test_refreshing_some_changes_only_those(policy):
    """Embeddings that a policy did not choose keep their values and their step, to the bit."""
    moving, weights = environment(policy)
    before = moving.documents.embeddings.copy()
    weights.move()
    weights.encoded.clear()
    report = moving.refresh(["q1", "q2"], weights.queries(["q1", "q2"]), 3)
    changed = np.flatnonzero((moving.documents.embeddings != before).any(axis=1))
    assert sorted(map(int, weights.encoded)) == changed.tolist()
    assert report.encoded == len(changed) < N
    assert (moving.documents.encoded_at == 3).nonzero()[0].tolist() == changed.tolist()
    np.testing.assert_allclose(
        moving.documents.embeddings[changed], weights(list(map(str, changed))), atol=1e-7
    )


def test_unlimited_selective_rewards_are_full_ones():
    """With a budget for everything the rewards are those of a full refresh, step after step."""
    everything = Selective(neighbours=N, top=N, background=N, fresh_for=0)
    weights = Weights()
    selective, _ = environment(everything, weights)
    full, _ = environment(Full(), weights)
    stale, _ = environment(NoRefresh(), weights)
    earned = {"full": [], "stale": []}
    for step in range(1, 6):
        weights.move()
        ids = [f"q{step}", f"q{step + 3}"]
        queries = weights.queries(ids)
        for each in (selective, full, stale):
            each.refresh(ids, queries, step)
        rewards = [[dcg(one, N) for one in each.rank(ids, queries)] for each in (selective, full, stale)]
        assert rewards[0] == rewards[1]
        earned["full"] += rewards[1]
        earned["stale"] += rewards[2]
    assert reward_error(np.array(earned["stale"]), np.array(earned["full"])).mean_absolute > 0.05


def test_selective_by_hand():
    """Positives, their neighbours, what was found, and the stalest most often hit; not what is fresh."""
    state = RefreshState(
        step=10,
        positives=np.array([2, 3]),
        nearest=np.array([[5, 6], [2, 7]]),
        encoded_at=np.array([0, 9, 0, 0, 0, 0, 9, 0, 4, 0]),
        hits=np.array([0, 99, 0, 0, 0, 0, 0, 0, 3, 1]),
        neighbours=np.array([[0, 0]] * 2 + [[4, 0], [4, 1]] + [[0, 0]] * 6),
    )
    assert Selective(neighbours=1, top=1, background=0, fresh_for=2).choose(state).tolist() == [2, 3, 4, 5]
    assert Selective(neighbours=2, top=2, background=0, fresh_for=2).choose(state).tolist() == [
        0,
        2,
        3,
        4,
        5,
        7,
    ]
    # Priorities of the others: document 0 10, 8 24, 9 20, 7 10; documents 1 and 6 are fresh, 1 often hit.
    assert Selective(neighbours=1, top=1, background=2, fresh_for=2).choose(state).tolist() == [
        2,
        3,
        4,
        5,
        8,
        9,
    ]


@pytest.mark.parametrize(("step", "expected"), [(0, N), (1, 0), (2, 0), (3, N)])
def test_full_refresh_every_few_steps(step, expected):
    """All documents when it is due, none between."""
    moving, weights = environment(Full(every=3))
    assert moving.refresh(["q1"], weights.queries(["q1"]), step).encoded == expected


def test_in_batch_ranks_positives_only():
    """The pool is the answers of the batch's queries."""
    moving, weights = environment(InBatch())
    found = moving.rank(["q1", "q2"], weights.queries(["q1", "q2"]))
    assert [one.documents for one in found] == [4, 4]
    assert sorted(found[0].grades) == [1.0, 2.0]


def test_positives_are_the_best_graded():
    """A limit on positives leaves the answers of lower grade out of the refresh, not out of the ranking."""
    moving, weights = environment(InBatch(), positives=1)
    weights.encoded.clear()
    moving.refresh(["q4"], weights.queries(["q4"]), 1)
    assert weights.encoded == ["4"]
    whole, weights = environment(NoRefresh(), positives=1)
    assert [len(one.ranks) for one in whole.rank(["q4"], weights.queries(["q4"]))] == [2]


def test_drift_brings_a_full_refresh():
    """The meter reads the probe against fresh embeddings; below the limit every document is encoded again."""
    moving, weights = environment(NoRefresh(), probe_every=2, refresh_below=0.9)
    report = moving.refresh(["q1"], weights.queries(["q1"]), 0)
    assert report.drift.cosine == pytest.approx(1) and report.drift.overlap == 1 and report.encoded == 16
    weights.move(1.0)
    assert moving.refresh(["q1"], weights.queries(["q1"]), 1).drift is None
    report = moving.refresh(["q1"], weights.queries(["q1"]), 2)
    assert report.drift.cosine < 0.9 and report.was_full and report.encoded == 16 + N
    np.testing.assert_allclose(moving.documents.embeddings, weights(list(TASK.corpus.values())), atol=1e-7)
    assert moving.encoded_documents == N + 16 + 16 + N


def test_frozen_documents_are_not_measured():
    """Nothing is encoded where nothing moves."""
    moving, weights = environment(Frozen(), probe_every=1)
    report = moving.refresh(["q1"], weights.queries(["q1"]), 0)
    assert report.encoded == 0 and report.drift is None


def test_drift_and_reward_error_by_hand():
    """Mean cosine, share of common top documents, mean absolute difference, Spearman's correlation."""
    stale = np.array([[1, 0], [0, 1]], dtype=np.float32)
    fresh = np.array([[1, 0], [0.6, 0.8]], dtype=np.float32)
    drift = measure_drift(stale, fresh, stale)
    assert drift.cosine == pytest.approx(0.9) and drift.overlap == 1.0  # both of two documents
    many = unit(np.eye(20))
    rolled = np.roll(many, 5, axis=0)  # the ten nearest of this query shift by five
    query = np.arange(20, 0, -1, dtype=np.float32)[None]
    assert measure_drift(many, rolled, query).overlap == 0.5
    error = reward_error(np.array([0.0, 0.5, 1.0]), np.array([0.1, 0.3, 1.0]))
    assert error.mean_absolute == pytest.approx(0.1) and error.rank_correlation == 1.0
    assert np.isnan(reward_error(np.ones(3), np.array([1.0, 2.0, 3.0])).rank_correlation)


def test_save_and_load_restore_exactly(tmp_path):
    """A loaded environment goes on as the saved one would have."""
    saved, weights = environment(Selective(), probe_every=3)
    for step in range(1, 5):
        weights.move()
        saved.refresh([f"q{step}"], weights.queries([f"q{step}"]), step)
    saved.save(tmp_path)
    loaded, _ = environment(Selective(), Weights(1), probe_every=3, seed=5)
    loaded._encode = weights
    loaded.load(tmp_path)
    queries = weights.queries(["q9", "q1"])
    reports = [each.refresh(["q9", "q1"], queries, 6) for each in (saved, loaded)]
    assert reports[0] == reports[1] and reports[0].encoded > 16
    for name in ("embeddings", "encoded_at"):
        np.testing.assert_array_equal(getattr(saved.documents, name), getattr(loaded.documents, name))
    assert saved.encoded_documents == loaded.encoded_documents
    (tmp_path / "environment.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match="Cannot read"):
        loaded.load(tmp_path)


def test_contrast_takes_the_nearest_answer_and_wrong_ones():
    """Negatives are the nearest documents that do not answer the query, whatever their grade."""
    moving, weights = environment(NoRefresh())
    ids = ["q1", "q5"]
    queries = weights.queries(ids)
    best, wrong = moving.contrast(ids, queries, 4)
    assert best.tolist() == [1, 5] and wrong.shape == (2, 4)
    order = np.argsort(-(queries @ moving.documents.embeddings.T), axis=1)
    for index, query_id in enumerate(ids):
        n = int(query_id[1:])
        expected = [row for row in order[index] if row not in (n, n + 10)][:4]
        assert wrong[index].tolist() == expected
    assert moving.is_relevant(ids, np.array([1, 11, 21, 5])).tolist() == [
        [True, True, False, False],
        [False] * 3 + [True],
    ]


def test_graph_has_the_nearest_others():
    """Neighbours by brute force; a document is not its own neighbour, an equal one is."""
    vectors = unit(np.random.default_rng(0).normal(size=(30, D)))
    vectors[7] = vectors[3]
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -2)
    graph = neighbour_graph(vectors, 4)
    assert graph[3, 0] == 7 and graph[7, 0] == 3
    np.testing.assert_allclose(
        np.take_along_axis(similarities, graph, axis=1), -np.sort(-similarities, axis=1)[:, :4], atol=1e-6
    )


def test_graph_of_many_documents_is_nearly_exact(monkeypatch):
    """Above the limit it comes from an inverted file: most neighbours are true, none is the document."""
    vectors = unit(np.random.default_rng(0).normal(size=(3000, D)))
    exact = neighbour_graph(vectors, 8)
    monkeypatch.setattr("search_r3.rl.environment._EXACT_GRAPH", 1000)
    found = neighbour_graph(vectors, 8)
    shared = np.mean([len(np.intersect1d(*pair)) / 8 for pair in zip(exact, found, strict=True)])
    assert shared > 0.7 and not (found == np.arange(3000)[:, None]).any()
    assert neighbour_graph(vectors, 0).shape == (3000, 0)


def test_errors_say_what_is_wrong(tmp_path):
    """Unknown queries, documents twice, other corpora, too few negatives."""
    moving, weights = environment(NoRefresh())
    queries = weights.queries(["q1"])
    with pytest.raises(InvalidInputError, match="the query 'q99'"):
        moving.rank(["q99"], queries)
    with pytest.raises(InvalidInputError, match="2 queries and 1 judgements"):
        moving.rank(["q1"], np.concatenate([queries, queries]))
    with pytest.raises(InvalidInputError, match="finite"):
        moving.rank(["q1"], queries * np.nan)
    with pytest.raises(InvalidInputError, match="wanted different ones from 0 to 59"):
        moving.documents.overwrite(np.array([1, 1]), moving.documents.embeddings[:2], 1)
    with pytest.raises(InvalidInputError, match="58 documents that do not answer 'q1'"):
        moving.contrast(["q1"], queries, 59)
    moving.save(tmp_path)
    small = RetrievalTask({"q": "x"}, {"d": "0", "e": "1"}, {"q": {"d": 1}})
    with pytest.raises(DataError, match="of another run"):
        RetrievalEnvironment(small, weights, NoRefresh(), EnvironmentOptions(neighbours=1)).load(tmp_path)

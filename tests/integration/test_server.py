"""The server: the model's own vectors whatever comes at once, OpenAI's form, and every refusal."""

import asyncio
import base64
import json
import threading
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from fastapi.testclient import TestClient

from search_r3.errors import InvalidOptionError, VectorIndexError
from search_r3.model.thought_cache import ThoughtCache
from search_r3.retrieval.corpus_index import CorpusIndex
from search_r3.retrieval.documents import Document
from search_r3.retrieval.index_building import build_index
from search_r3.server.application import make_application
from search_r3.server.engine import Ask, Engine, EngineFullError, EngineStoppedError
from search_r3.server.monitoring import Monitoring
from search_r3.server.serving import with_model
from search_r3.server.settings import ServerSettings, read_settings

TEXTS = ["red apple", "the blue sea and the sun", "a", "sort a list of numbers in time " * 3]
DOCUMENTS = [Document(f"d{n}", text) for n, text in enumerate(["a tree", "the sea", "<b>sun</b>", "numbers"])]


@pytest.fixture(scope="module")
def index(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("index") / "index"
    build_index(folder, tiny, DOCUMENTS)
    return CorpusIndex.load(folder)


@pytest.fixture(scope="module")
def client(tiny, index):
    with TestClient(make_application(ServerSettings(), tiny, index)) as made:
        yield made


def embed(client, given, **fields):
    return client.post("/v1/embeddings", json={"input": given, **fields})


def vectors(answer):
    assert answer.status_code == 200, answer.text
    return np.array([row["embedding"] for row in answer.json()["data"]], dtype=np.float32)


def refused(answer, status, word, param=None):
    """It has OpenAI's form, and says what was wanted."""
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param), error
    assert word in error["message"], error
    assert set(error) == {"message", "type", "param", "code"}


def test_the_model_is_the_one_that_made_the_index(index):
    """Unless another one is asked for; without an index it is the default one."""
    recorded = replace(index, model="smollm2-135m")
    for asked, searched, wanted in (
        (None, None, "default"),
        (None, recorded, "smollm2-135m"),
        (None, replace(index, model=""), "default"),
        ("gemma3-270m", recorded, "gemma3-270m"),
    ):
        assert with_model(ServerSettings(model=asked), searched).model == wanted


# ----------------------------------------------------------------------------------------------- embeddings


def test_vectors_are_the_models_own(client, tiny):
    """By every way of saying the role; documents are the default."""
    documents = tiny.encode_document(TEXTS)
    direct = tiny.encode_query(TEXTS, reasoning="never")
    thinking = tiny.encode_query(TEXTS, reasoning="always")
    for fields, wanted in [
        ({}, documents),
        ({"model": "default:document"}, documents),
        ({"task": "document"}, documents),
        ({"input_type": "query", "reasoning": "never"}, direct),
        ({"model": "default:query-direct"}, direct),
        ({"model": "default:query-think"}, thinking),
        ({"model": "default:query", "input_type": "query", "reasoning": "always"}, thinking),
    ]:
        assert np.abs(vectors(embed(client, TEXTS, **fields)) - wanted).max() < 1e-5, fields
    assert np.abs(vectors(embed(client, TEXTS[1])) - documents[1:2]).max() < 1e-5


def test_thoughts_evidence_and_usage(client, tiny):
    """Thoughts come when asked for; tokens are those of the sequences and of the thoughts."""
    evidence = [["the sea"], ["a tree", "the sun"]]
    wanted = tiny.encode_query_with_thoughts(
        TEXTS[:2], evidence=evidence, reasoning="always", max_reasoning_tokens=5
    )
    fields = {"input_type": "query", "reasoning": "always", "max_reasoning_tokens": 5, "evidence": evidence}
    answer = embed(client, TEXTS[:2], return_thoughts=True, **fields)
    assert np.abs(vectors(answer) - wanted.embeddings).max() < 1e-5
    found = answer.json()
    for row, thought in zip(found["data"], wanted.thoughts, strict=True):
        assert row["thought"] == {"text": thought.text, "tokens": thought.length, "ending": thought.ending}
    encoder = tiny[0].prompt_encoder
    tokens = sum(
        len(encoder.encode_query(text, thought=(), evidence=read, max_tokens=128).token_ids)
        for text, read in zip(TEXTS, evidence, strict=False)
    )
    thought_tokens = sum(thought.length for thought in wanted.thoughts)
    assert found["usage"] == {
        "prompt_tokens": tokens, "thought_tokens": thought_tokens, "total_tokens": tokens + thought_tokens,
    }  # fmt: skip
    assert "thought" not in embed(client, "x", input_type="query").json()["data"][0]


def test_base64_is_little_endian_float32(client):
    """The bytes of the very numbers that the other format has."""
    [row] = embed(client, "red apple", encoding_format="base64").json()["data"]
    found = np.frombuffer(base64.b64decode(row["embedding"]), dtype="<f4")
    assert found.tolist() == vectors(embed(client, "red apple"))[0].tolist()


def test_long_texts_are_cut_or_refused(client, tiny):
    """By what the request says; what is cut is counted."""
    long = "star " * 300
    [row] = embed(client, long).json()["data"]
    assert row["dropped_tokens"] == tiny.dropped_tokens([long])[0] > 0
    refused(embed(client, ["sun", long], truncation="error"), 400, "Input 0", "input")


@pytest.mark.parametrize(
    ("fields", "status", "word", "param"),
    [
        ({"input": [1, 2, 3]}, 400, "check_embedding_ctx_length=False", "input"),
        ({"input": [[1, 2], [3]]}, 400, "Got token ids", "input"),
        ({"input": []}, 400, "an empty list", "input"),
        ({"input": "\ud800"}, 400, "Unicode", "input"),
        ({"input": "x", "model": "gpt"}, 404, "wanted one of default", "model"),
        ({"input": "x", "model": "default:think"}, 404, "default:query-think", "model"),
        ({"input": "x", "dimensions": 7}, 400, "Got dimensions=7, wanted 32", "dimensions"),
        ({"input": "x", "task": "query", "input_type": "document"}, 400, "wanted one", None),
        ({"input": "x", "reasoning": "always"}, 400, "only queries read and think", "reasoning"),
        ({"input": "x", "model": "default:query-think", "reasoning": "never"}, 400, "'always'", "reasoning"),
        ({"input": ["x", "y"], "task": "query", "evidence": [["z"]]}, 400, "1 lists of", "evidence"),
        ({"input": "x", "colour": "red"}, 400, "Extra inputs", "colour"),
        ({"input": "x", "max_reasoning_tokens": -1, "task": "query"}, 400, "greater", "max_reasoning_tokens"),
        ({"input": None}, 400, "input", None),
        ({"input": ["x"] * 2049}, 413, "at most 2048", "input"),
    ],
)  # fmt: skip
def test_refusals(client, fields, status, word, param):
    body = json.dumps(fields)
    answer = client.post("/v1/embeddings", content=body, headers={"Content-Type": "application/json"})
    if fields["input"] is None:
        assert answer.status_code == 400 and word in answer.json()["error"]["message"]
    else:
        refused(answer, status, word, param)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff\xfe", b'{"input": {"a": 1}}', b'{"input": NaN}', b"nul"]
)
def test_bodies_that_are_no_request(client, body):
    """Each gets an error in the same form, and the server goes on."""
    answer = client.post("/v1/embeddings", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and answer.json()["error"]["message"]
    assert client.get("/ready").status_code == 200


def test_a_failure_of_the_model_is_a_500_without_its_texts(tiny, monkeypatch, caplog):
    """Not "unavailable": nobody should try again. The server goes on, and no text is logged."""
    with TestClient(make_application(ServerSettings(), tiny), raise_server_exceptions=False) as failing:
        with monkeypatch.context() as patch:
            patch.setattr(tiny, "encode_document", lambda *_, **__: 1 / 0)
            answer = failing.post("/v1/embeddings", json={"input": "a secret"})
        refused(answer, 500, "ZeroDivisionError")
        assert "secret" not in caplog.text
        assert failing.post("/v1/embeddings", json={"input": "a secret"}).json()["model"] == "default"


def test_models_and_unknown_routes(client):
    names = [model["id"] for model in client.get("/v1/models").json()["data"]]
    assert names == [
        "default",
        "default:document",
        "default:query",
        "default:query-think",
        "default:query-direct",
    ]
    refused(client.get("/v2"), 404, "Not Found")
    refused(client.get("/v1/embeddings"), 405, "Method Not Allowed")


# --------------------------------------------------------------------------------------------------- search


def test_search_is_the_indexs_own(client, tiny, index):
    """Hits, thought and the ranks without it."""
    [wanted] = index.search_with_thoughts(["red sea"], 3, tiny, reasoning="always", explain=True)
    found = client.post(
        "/v1/search", json={"query": "red sea", "k": 3, "reasoning": "always", "explain": True}
    ).json()
    assert [(hit["doc_id"], hit["direct_rank"]) for hit in found["hits"]] == [
        (hit.doc_id, rank) for hit, rank in zip(wanted.hits, wanted.direct.ranks, strict=True)
    ]
    assert found["thought"]["text"] == wanted.thought.text
    assert found["cosine_to_direct"] == pytest.approx(wanted.direct.cosine, abs=1e-6)


def test_search_with_a_thought_and_in_steps(client, tiny, index):
    """A thought that is given is thought; steps say what was read."""
    found = client.post("/v1/search", json={"query": "red", "k": 2, "thought": "the sea"}).json()
    [vector] = tiny.encode_query([("red", "the sea")])
    wanted = index.vectors.search(vector[None], 2, fingerprint=index.vectors.fingerprint)[0]
    assert [hit["doc_id"] for hit in found["hits"]] == [hit.doc_id for hit in wanted]
    assert found["thought"] == {"text": "the sea", "tokens": found["thought"]["tokens"], "ending": "given"}
    steps = client.post("/v1/search", json={"query": "red", "k": 2, "steps": 2, "read": 1}).json()["steps"]
    assert len(steps) == 2 and len(steps[1][0]["read"]) == 1
    refused(
        client.post("/v1/search", json={"query": "x", "explain": True, "steps": 2}), 400, "neither", "explain"
    )
    refused(client.post("/v1/search", json={"query": "x", "k": 0}), 400, "k:", "k")


def events(answer):
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = [block.split("\n") for block in answer.text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def test_a_thought_is_streamed_as_it_is_written(tiny, index):
    """After each token the thought so far, then the plain answer; a thought that is known comes at once."""
    asked = {"query": "red apple", "k": 2, "reasoning": "always", "max_reasoning_tokens": 4}
    with TestClient(make_application(ServerSettings(), tiny, index)) as one:
        first = events(one.post("/v1/search", json={**asked, "stream": True}))
        plain = one.post("/v1/search", json=asked).json()
        again = events(one.post("/v1/search", json={**asked, "stream": True}))
    told = [data["text"] for name, data in first if name == "thought"]
    assert len(told) == plain["thought"]["tokens"] > 1 and told[-1] == plain["thought"]["text"]
    assert all(later.startswith(earlier) for earlier, later in pairwise(told))
    assert [name for name, _ in again] == ["result"]
    for name, found in (first[-1], again[-1]):
        assert name == "result" and found["thought"] == plain["thought"]
        assert [hit["doc_id"] for hit in found["hits"]] == [hit["doc_id"] for hit in plain["hits"]]


def test_a_stream_that_fails_says_so(client, monkeypatch):
    """A failure of the model is an event; a request that is refused at once has its status, as ever."""
    monkeypatch.setattr(
        "search_r3.server.searching.search_corpus", lambda *_, **__: (_ for _ in ()).throw(OSError("disk"))
    )
    [(name, found)] = events(client.post("/v1/search", json={"query": "x", "stream": True}))
    assert (name, found["status"], found["error"]["code"]) == ("error", 500, "internal_error")
    full = type(client.app.state.engine)
    monkeypatch.setattr(full, "_add", lambda *_: (_ for _ in ()).throw(EngineFullError(3)))
    answer = client.post("/v1/search", json={"query": "x", "stream": True})
    assert answer.status_code == 429 and answer.headers["retry-after"] == "3"


def test_an_index_of_another_model_is_refused(tiny, fresh_tiny, index):
    next(fresh_tiny.parameters()).data.add_(0.01)
    with pytest.raises(VectorIndexError, match="of another model"):
        make_application(ServerSettings(), fresh_tiny, index)
    with pytest.raises(VectorIndexError, match="made before the default model was gemma3-270m"):
        make_application(ServerSettings(), fresh_tiny, replace(index, model="default"))
    with TestClient(make_application(ServerSettings(), tiny)) as bare:
        refused(bare.post("/v1/search", json={"query": "x"}), 404, "--index DIR")


# --------------------------------------------------------------------------------------------------- limits


def test_keys(tiny, tmp_path, caplog):
    """Without a right one nothing is answered but health and the page; no key is logged."""
    file = tmp_path / "keys"
    file.write_text("# of the team\nfirst-key\n\nsecond-key\n", encoding="utf-8")
    with caplog.at_level(0), TestClient(make_application(ServerSettings(api_key_file=file), tiny)) as guarded:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "first-key"}):
            refused(guarded.post("/v1/embeddings", json={"input": "x"}, headers=headers), 401, "Bearer")
            assert guarded.get("/metrics", headers=headers).status_code == 401
        for key in ("first-key", "second-key"):
            answer = guarded.post(
                "/v1/embeddings", json={"input": "x"}, headers={"Authorization": f"Bearer {key}"}
            )
            assert answer.status_code == 200
        assert [guarded.get(path).status_code for path in ("/health", "/ready", "/", "/page/page.js")] == [
            200
        ] * 4
    assert "first-key" not in caplog.text
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(InvalidOptionError, match="has no key"):
        make_application(ServerSettings(api_key_file=file), tiny)


def test_large_bodies(tiny):
    """Refused by what they say of their length, and by what comes if they say nothing."""
    with TestClient(make_application(ServerSettings(max_body_bytes=1000), tiny)) as small:
        refused(small.post("/v1/embeddings", json={"input": "x" * 2000}), 413, "at most 1000")
        pieces = (b"x" * 400 for _ in range(4))
        refused(small.post("/v1/embeddings", content=pieces), 413, "at most 1000")


def test_settings_come_from_the_environment(monkeypatch):
    """An option counts for more, and a wrong value is named."""
    monkeypatch.setenv("SEARCH_R3_SERVER_PORT", "99")
    assert read_settings({}).port == 99 and read_settings({"port": 5}).port == 5
    monkeypatch.setenv("SEARCH_R3_SERVER_PORT", "many")
    with pytest.raises(InvalidOptionError, match="port='many'"):
        read_settings({})


# --------------------------------------------------------------------------------------------------- engine


@pytest.fixture
def engine(tiny):
    made = []

    def make(**options):
        options = {"batch_tokens": 4096, "window": 0.05, "max_queue": 100, **options}
        made.append(Engine(tiny, ThoughtCache(tiny), Monitoring(), **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def watched(engine, monkeypatch):
    batches = []
    plain = engine._embedded

    def look(batch):
        batches.append((batch[0].ask.role, sorted(item.text for item in batch)))
        return plain(batch)

    monkeypatch.setattr(engine, "_embedded", look)
    return batches


def test_requests_share_batches_by_role(engine, tiny, monkeypatch):
    """Texts of different requests are embedded together, roles apart, and everyone gets its own."""
    running = engine()
    batches = watched(running, monkeypatch)
    texts = TEXTS[:3]  # of like length

    async def ask():
        return await asyncio.gather(
            *(running.embed([text], Ask("document")) for text in texts),
            *(running.embed([text], Ask("query", "never")) for text in texts),
        )

    found = asyncio.run(ask())
    assert batches == [("document", sorted(texts)), ("query", sorted(texts))]
    wanted = [*tiny.encode_document(texts), *tiny.encode_query(texts, reasoning="never")]
    for [one], vector in zip(found, wanted, strict=True):
        assert np.abs(one.vector - vector).max() < 1e-5


def test_batches_are_bounded(engine, monkeypatch):
    """By tokens of the longest text times their number."""
    running = engine(batch_tokens=50)
    batches = watched(running, monkeypatch)
    asyncio.run(running.embed(["a"] * 7, Ask("document")))
    assert [len(texts) for _, texts in batches] == [3, 3, 1]


@pytest.mark.parametrize(
    ("ask", "sizes"),
    [(Ask("document"), [2, 2]), (Ask("query", "never"), [2, 2]), (Ask("query", "always"), [4])],
)
def test_batches_are_of_like_length(engine, monkeypatch, ask, sizes):
    """A long text makes no short one long, but queries that think stay together."""
    running = engine()
    batches = watched(running, monkeypatch)
    short, long = ["a cat", "a dog"], ["a long text " * 9, "another one " * 10]
    asyncio.run(running.embed([long[0], short[0], long[1], short[1]], ask))
    assert [len(texts) for _, texts in batches] == sizes
    assert sizes == [4] or [texts for _, texts in batches] == [sorted(long), sorted(short)]


def test_the_oldest_text_is_never_passed_over(engine, monkeypatch):
    """Whatever its length, even if more of another length wait than a batch can hold."""
    running = engine(batch_tokens=60)
    batches = watched(running, monkeypatch)
    texts = ["a long text " * 9, *(["a cat"] * 6)]
    asyncio.run(running.embed(texts, Ask("document")))
    assert [len(found) for _, found in batches] == [1, 3, 3]


def test_one_bad_text_spoils_no_others(engine, tiny):
    """Its request fails, and the others of its batch are right."""
    running = engine()

    async def ask():
        bad = running.embed(["\ud800"], Ask("document"))
        return await asyncio.gather(bad, running.embed(["sun"], Ask("document")), return_exceptions=True)

    failed, [right] = asyncio.run(ask())
    assert isinstance(failed, ValueError)
    assert np.abs(right.vector - tiny.encode_document("sun")).max() < 1e-5


def test_a_full_queue_and_a_client_that_leaves(engine, monkeypatch):
    """No room is an error that says when there is some; a cancelled request is not computed."""
    running = engine(max_queue=2)
    batches = watched(running, monkeypatch)
    started, free = threading.Event(), threading.Event()

    def block():
        started.set()
        return free.wait(60)

    async def ask():
        blocking = asyncio.create_task(running.run(block))
        await asyncio.to_thread(started.wait)
        leaving = asyncio.create_task(running.embed(["gone"], Ask("document")))
        staying = asyncio.create_task(running.embed(["here"], Ask("document")))
        await asyncio.sleep(0.01)
        with pytest.raises(EngineFullError) as full:
            await running.embed(["more"], Ask("document"))
        leaving.cancel()
        await asyncio.sleep(0.01)
        free.set()
        await asyncio.gather(blocking, staying)
        return full.value.seconds

    assert asyncio.run(ask()) >= 1
    assert batches == [("document", ["here"])]


def test_stopping_finishes_what_waits(engine):
    """Then there is no more."""
    running = engine()

    async def ask():
        waiting = asyncio.create_task(running.embed(TEXTS, Ask("document")))
        await asyncio.sleep(0.01)
        await asyncio.to_thread(running.stop)
        assert len(await waiting) == 4
        with pytest.raises(EngineStoppedError):
            await running.embed(["x"], Ask("document"))

    asyncio.run(ask())


def test_metrics_count(client):
    """Requests by route and status, batches, tokens of texts and thoughts."""
    embed(client, "sun", model="default:query-think")
    client.get("/nowhere")
    text = client.get("/metrics").text
    assert 'search_r3_requests_total{route="/v1/embeddings",status="200"}' in text
    assert 'route="other",status="404"' in text
    assert 'search_r3_batch_texts_bucket{le="1.0",role="query"}' in text
    assert "search_r3_thought_tokens_total" in text and "nowhere" not in text

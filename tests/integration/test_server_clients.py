"""Clients that others wrote, unchanged; many at once; and the command when it is told to stop."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
from langchain_openai import OpenAIEmbeddings
from llama_index.embeddings.openai import OpenAIEmbedding
from running_server import free_port, running

from search_r3.model.sentence_transformer import SearchR3
from search_r3.model.thought_cache import ThoughtCache
from search_r3.retrieval.corpus_index import CorpusIndex
from search_r3.retrieval.documents import Document
from search_r3.retrieval.index_building import build_index
from search_r3.server.application import make_application
from search_r3.server.settings import ServerSettings

TEXTS = ["red apple", "the blue sea and the sun", "a", "sort a list of numbers in time " * 3]


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("index") / "index"
    build_index(folder, tiny, [Document(f"d{n}", text) for n, text in enumerate(TEXTS)])
    return folder


@pytest.fixture(scope="module")
def address(tiny, folder):
    with running(make_application(ServerSettings(), tiny, CorpusIndex.load(folder))) as address:
        yield address


def close(found, wanted):
    return np.abs(np.asarray(found, dtype=np.float32) - wanted).max() < 1e-5


def vectors(answer):
    assert answer.status_code == 200, answer.text
    return [row["embedding"] for row in answer.json()["data"]]


def test_openais_client(address, tiny):
    """Unchanged, with its default format, by suffix and by extra fields."""
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="none")
    found = client.embeddings.create(model="default:query-think", input=TEXTS)
    wanted = tiny.encode_query(TEXTS, reasoning="always")
    assert close([row.embedding for row in found.data], wanted)
    more = client.embeddings.create(
        model="default", input=TEXTS[0], extra_body={"task": "query", "reasoning": "never"}
    )
    assert close(more.data[0].embedding, tiny.encode_query(TEXTS[0], reasoning="never"))
    with pytest.raises(openai.NotFoundError, match="wanted one of"):
        client.embeddings.create(model="other", input="x")
    assert next(iter(client.models.list())).id == "default"


def test_langchains_client(address, tiny):
    """Unchanged but for the check of lengths, which would send token ids."""
    shared = {"base_url": f"{address}/v1", "api_key": "none", "check_embedding_ctx_length": False}
    found = OpenAIEmbeddings(model="default", **shared).embed_documents(TEXTS)
    assert close(found, tiny.encode_document(TEXTS))
    found = OpenAIEmbeddings(model="default:query-think", **shared).embed_query(TEXTS[1])
    assert close(found, tiny.encode_query(TEXTS[1], reasoning="always"))


def test_llama_indexs_client(address, tiny):
    """Unchanged, by the name of the model alone."""
    shared = {"api_base": f"{address}/v1", "api_key": "none"}
    found = OpenAIEmbedding(model_name="default", **shared).get_text_embedding_batch(TEXTS)
    assert close(found, tiny.encode_document(TEXTS))
    found = OpenAIEmbedding(model_name="default:query-think", **shared).get_query_embedding(TEXTS[1])
    assert close(found, tiny.encode_query(TEXTS[1], reasoning="always"))


def test_many_clients_at_once(address, tiny):
    """Roles and lengths mixed: every vector is the one that the model gives alone."""

    async def ask():
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            bodies = [
                {
                    "input": TEXTS[: 1 + number % 4],
                    "model": f"default:{('document', 'query-direct', 'query-think')[number % 3]}",
                }
                for number in range(48)
            ]
            return bodies, await asyncio.gather(
                *(client.post("/v1/embeddings", json=body) for body in bodies)
            )

    bodies, answers = asyncio.run(ask())
    wanted = {
        "default:document": tiny.encode_document(TEXTS),
        "default:query-direct": tiny.encode_query(TEXTS, reasoning="never"),
        "default:query-think": tiny.encode_query(TEXTS, reasoning="always"),
    }
    for body, answer in zip(bodies, answers, strict=True):
        assert close(vectors(answer), wanted[body["model"]][: len(body["input"])])


@contextmanager
def command(tiny_folder, *options):
    """`search-r3 serve` as a process of its own, once it takes requests; gives it and its address."""
    port = free_port()
    program = "from search_r3.cli import main; main()"
    options = ["serve", "--model", tiny_folder, "--port", port, *options]
    process = subprocess.Popen([sys.executable, "-c", program, *map(str, options)], stdout=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200:
                    break
            except httpx.TransportError:
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.1)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_the_command_drains_when_it_is_told_to_stop(tiny_folder, tiny):
    """SIGTERM while requests are open: each of them is answered, then the process ends."""
    with command(tiny_folder) as (process, address):

        async def ask():
            async with httpx.AsyncClient(base_url=address, timeout=60) as client:
                body = {"input": TEXTS * 50, "model": f"{tiny_folder.name}:query-think"}
                open_requests = [
                    asyncio.create_task(client.post("/v1/embeddings", json=body)) for _ in range(4)
                ]
                await asyncio.sleep(0.3)
                process.send_signal(signal.SIGTERM)
                return await asyncio.gather(*open_requests)

        wanted = tiny.encode_query(TEXTS, reasoning="always")
        for answer in asyncio.run(ask()):
            assert close(vectors(answer), np.tile(wanted, (50, 1)))
        assert process.wait(60) in (0, -signal.SIGTERM)


def test_a_kill_loses_no_cached_thought(tiny_folder, tiny, tmp_path, monkeypatch):
    """SIGKILL under load: what was answered is in the file; a new process answers with it, and right."""
    texts = [f"{one} {number}" for number in range(60) for one in ("sea", "sun", "a red apple")]
    body = {"model": f"{tiny_folder.name}:query-think"}
    path = tmp_path / "thoughts.sqlite"

    async def ask_and_kill(process, address):
        answered = {}

        async def client(some):
            async with httpx.AsyncClient(base_url=address, timeout=60) as http:
                for text in some:
                    try:
                        answer = await http.post("/v1/embeddings", json={**body, "input": text})
                    except httpx.TransportError:
                        return
                    answered[text] = vectors(answer)[0]
                    if len(answered) == 40:
                        process.kill()

        await asyncio.gather(*(client(texts[start::8]) for start in range(8)))
        return answered

    with command(tiny_folder, "--thought-cache", path) as (process, address):
        answered = asyncio.run(ask_and_kill(process, address))
    assert 40 <= len(answered) < len(texts)
    plain = SearchR3.encode_query_with_thoughts

    def all_known(self, queries, *, thoughts, **options):
        assert None not in thoughts, "a thought is lost"
        return plain(self, queries, thoughts=thoughts, **options)

    with closing(ThoughtCache(tiny, path)) as cache, monkeypatch.context() as patch:
        patch.setattr(SearchR3, "encode_query_with_thoughts", all_known)
        found = cache.encode(tiny, list(answered), reasoning="always")
    assert close(found.embeddings, np.array(list(answered.values()), dtype=np.float32))
    with command(tiny_folder, "--thought-cache", path) as (_, address):
        answer = httpx.post(f"{address}/v1/embeddings", json={**body, "input": texts}, timeout=60)
    assert close(vectors(answer), tiny.encode_query(texts, reasoning="always"))


# --------------------------------------------------------------------------------------------- command line


def test_the_command_line_asks_a_server(run, address, folder, tiny_folder):
    """The result is that of the index, steps and all; a server adds its seconds."""
    options = ["--json", "-k", 2, "--reasoning", "always", "--max-reasoning-tokens", 4]
    for more in (["--explain"], ["--hybrid"], ["--steps", 2, "--read", 2, "--together"]):
        query = ["the sea and the sun", *options, *more]
        code, out, _ = run("search", "--server", address, *query)
        found = json.loads(out)
        assert code == 0 and found.pop("seconds") >= 0
        wanted = json.loads(run("search", folder, *query, "--model", tiny_folder)[1])
        for searches in found.get("steps", []):
            for search in searches:
                del search["thought"]["tokens"]
        assert rounded(found) == rounded(wanted)


def rounded(found):
    """Scores differ in the last digits: the server's is float32."""
    if isinstance(found, dict):
        return {name: rounded(value) for name, value in found.items()}
    if isinstance(found, list):
        return [rounded(value) for value in found]
    return round(found, 4) if isinstance(found, float) else found


def test_the_command_line_asks_a_file_of_queries(run, address, tmp_path):
    """One object for each, in order; a person gets them to read."""
    (tmp_path / "queries.jsonl").write_text('{"_id": "a", "text": "sea"}\n{"_id": "b", "text": "sun"}\n')
    code, out, _ = run("search", "--server", address, "--queries", tmp_path / "queries.jsonl", "--json")
    assert code == 0 and [json.loads(line)["query_id"] for line in out.splitlines()] == ["a", "b"]
    code, out, _ = run("search", "--server", address, "sea", "--explain", "--reasoning", "always")
    assert code == 0 and "thought:" in out and "cosine to the direct vector" in out


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--server", "127.0.0.1:8080", "sea"], 2, "wanted an address such as http://"),
        (["--server", "http://127.0.0.1:abc", "sea"], 2, "wanted an address such as http://"),
        (["--server", "http://[::1", "sea"], 2, "wanted an address such as http://"),
        (["--server", "http://a b:80", "sea"], 2, "wanted an address such as http://"),
        (["--server", "http://127.0.0.1:9", "sea"], 1, "search-r3 serve"),
        (["--server", "http://127.0.0.1:9", "index", "sea"], 2, "either INDEX or --server"),
        (["--server", "http://127.0.0.1:9", "sea", "--model", "default"], 2, "are of the server"),
    ],
)
def test_servers_that_cannot_be_asked(run, arguments, code, word):
    found, _, err = run("search", *arguments)
    assert found == code and word in " ".join(err.split())


@pytest.mark.parametrize(
    "answer",
    [
        b"220 smtp.example.org\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{",
        b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n[]",
    ],
)
def test_another_program_answers(run, answer):
    """Its answer is no result: one line says so."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def once():
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=once)
        thread.start()
        code, _, err = run("search", "--server", f"http://127.0.0.1:{listening.getsockname()[1]}", "sea")
        thread.join()
    assert code == 1 and "search-r3 serve" in " ".join(err.split()) and "Traceback" not in err


def test_a_server_that_refuses(run, address, tiny, tmp_path, monkeypatch):
    """Its reason is shown; a key comes from the environment."""
    code, _, err = run("search", "--server", address, "sea", "-k", 1000)
    assert code == 1 and "400" in err and "100" in err
    code, _, err = run("search", "--server", f"{address}/nowhere", "sea")
    assert code == 1 and "404" in err
    (tmp_path / "keys").write_text("secret\n")
    with running(make_application(ServerSettings(api_key_file=tmp_path / "keys"), tiny)) as other:
        assert "Set SEARCH_R3_API_KEY" in run("search", "--server", other, "sea")[2]
        monkeypatch.setenv("SEARCH_R3_API_KEY", "secret")
        assert "There is no index" in run("search", "--server", other, "sea")[2]


# --------------------------------------------------------------------------------------------------- schema


@pytest.mark.slow
def test_the_schema_is_kept(tiny, folder, tmp_path):
    """Bodies that the schema allows, and others: statuses and forms of the answers are the schema's."""
    settings = ServerSettings(max_items=20, max_body_bytes=20_000)
    with running(make_application(settings, tiny, CorpusIndex.load(folder))) as address:
        program = Path(sys.executable).parent / "schemathesis"
        options = ["--max-examples", "100", "--seed", "0", "--generation-database", "none", "--no-color"]
        options += ["--exclude-checks", "positive_data_acceptance"]  # rules across fields are not in a schema
        found = subprocess.run(
            [program, "run", f"{address}/openapi.json", *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
    assert found.returncode == 0, found.stdout

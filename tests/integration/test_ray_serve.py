"""The server as two replicas on a local cluster: right vectors, also while one of them is killed."""

import os
import signal
import threading
import time

import httpx
import numpy as np
import openai
import psutil
import pytest

ray = pytest.importorskip("ray")
serve = pytest.importorskip("ray.serve")

from running_server import free_port  # noqa: E402

from search_r3.errors import InvalidOptionError  # noqa: E402
from search_r3.retrieval.documents import Document  # noqa: E402
from search_r3.retrieval.index_building import build_index  # noqa: E402
from search_r3.server.ray_serve import application, parsed  # noqa: E402

pytestmark = pytest.mark.slow

TEXTS = [f"{one} {number}" for number in range(40) for one in ("sea", "sun", "a red apple", "numbers")]


@pytest.fixture(scope="module")
def address(tiny, tiny_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ray") / "index"
    build_index(folder, tiny, [Document(f"d{n}", text) for n, text in enumerate(TEXTS[:8])], model_name="")
    ray.shutdown()
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=200 * 1024**2)
    port = free_port()
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    arguments = {"model": str(tiny_folder), "index": str(folder), "num_replicas": "2", "served_name": "tiny"}
    serve.run(application(arguments), name="tiny")
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()
    ray.shutdown()


def replicas() -> list[int]:
    """Process ids of the replicas that are alive."""
    children = psutil.Process().children(recursive=True)
    everything = children or psutil.process_iter()
    return [one.pid for one in everything if "ServeReplica" in " ".join(one.cmdline())]


def test_the_application_is_the_servers_own(address, tiny):
    """Embeddings by role, and a search."""
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="none")
    found = client.embeddings.create(model="tiny:query-think", input=TEXTS[:8])
    wanted = tiny.encode_query(TEXTS[:8], reasoning="always")
    assert np.abs(np.array([row.embedding for row in found.data]) - wanted).max() < 1e-5
    answer = httpx.post(f"{address}/v1/search", json={"query": TEXTS[0], "k": 2, "reasoning": "never"})
    assert answer.status_code == 200 and len(answer.json()["hits"]) == 2
    assert httpx.get(f"{address}/ready").json() == {"status": "ready"}


def test_a_replica_is_killed_under_load(address, tiny):
    """Clients try again, as OpenAI's do: every text gets its vector, and the replica comes back."""
    before = replicas()
    assert len(before) == 2
    wanted = tiny.encode_document(TEXTS)
    found: dict[int, list[float]] = {}
    failures: list[Exception] = []

    def client(numbers):
        asking = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=8, timeout=60)
        try:
            for number in numbers:
                answer = asking.embeddings.create(model="tiny", input=TEXTS[number])
                found[number] = answer.data[0].embedding
        except Exception as error:  # noqa: BLE001  # told to the test, which is on another thread
            failures.append(error)

    threads = [threading.Thread(target=client, args=(range(start, len(TEXTS), 8),)) for start in range(8)]
    for thread in threads:
        thread.start()
    while len(found) < 20:
        time.sleep(0.01)
    os.kill(before[0], signal.SIGKILL)
    assert len(found) < len(TEXTS)
    for thread in threads:
        thread.join(120)
    assert not failures and len(found) == len(TEXTS)
    assert np.abs(np.array([found[number] for number in range(len(TEXTS))]) - wanted).max() < 1e-5
    deadline = time.monotonic() + 120
    while len(set(replicas())) < 2 or before[0] in replicas():
        assert time.monotonic() < deadline, "the killed replica did not come back"
        time.sleep(0.5)


def test_options_of_a_command_line():
    """Numbers and objects in JSON, anything else as it is."""
    given = ["2", "0.5", '{"min_replicas": 1}', "auto", {"num_cpus": 2}]
    assert [parsed(one) for one in given] == [2, 0.5, {"min_replicas": 1}, "auto", {"num_cpus": 2}]


def test_settings_are_checked_before_anything_starts():
    with pytest.raises(InvalidOptionError, match="nonsense"):
        application({"nonsense": 1})

"""Wherever vectors leave a half-precision model, they are unit vectors in float32."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from search_r3 import CorpusIndex, Document, SentenceTransformer, build_index, fingerprint
from search_r3.evaluation.arms import encode_arm
from search_r3.model.default import load_model
from search_r3.model.golden import check_golden, golden_vectors, write_golden

TEXTS = ["red sea", "a star in the sky", "copy a folder with everything in it", "", "x y z " * 20]


@pytest.fixture(scope="module", params=["bfloat16", "float16"])
def half(request, tiny_folder: Path) -> SentenceTransformer:
    return load_model(tiny_folder, dtype=request.param, device="cpu")


@pytest.fixture(scope="module")
def half_folder(half: SentenceTransformer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("half") / "model"
    half.save(str(target), create_model_card=False)
    return target


def assert_unit(vectors: object) -> None:
    array = np.asarray(vectors)
    assert array.ndim == 2 and len(array)
    assert np.abs(np.linalg.norm(array.astype(np.float64), axis=1) - 1).max() < 1e-6


def langchain(model: SentenceTransformer) -> list[list[float]]:
    from search_r3.integrations.langchain import SearchR3Embeddings

    embeddings = SearchR3Embeddings.of(model)
    return [*embeddings.embed_documents(TEXTS), *map(embeddings.embed_query, TEXTS)]


def llama_index(model: SentenceTransformer) -> list[list[float]]:
    from search_r3.integrations.llama_index import SearchR3Embedding

    embedding = SearchR3Embedding(model=model)
    return [*embedding.get_text_embedding_batch(TEXTS), *map(embedding.get_query_embedding, TEXTS)]


def beir(model: SentenceTransformer) -> torch.Tensor:
    from search_r3.evaluation.beir_encoder import BeirModel

    encoder = BeirModel(model, "always")
    corpus = encoder.encode_corpus([{"title": None, "text": text} for text in TEXTS])
    return torch.cat([encoder.encode_queries(TEXTS), corpus])


def mteb_documents(model: SentenceTransformer) -> np.ndarray:
    from search_r3.evaluation.mteb_encoder import SearchR3Encoder

    return SearchR3Encoder("org/model", model=model)._documents(TEXTS, 2, False)


DOORS = {
    "documents": lambda model: model.encode_document(TEXTS),
    "never": lambda model: model.encode_query(TEXTS, reasoning="never"),
    "always": lambda model: model.encode_query(TEXTS, reasoning="always"),
    "thoughts": lambda model: model.encode_query_with_thoughts(TEXTS).embeddings,
    "given": lambda model: model.encode_query_with_thoughts(TEXTS, thoughts=["asia"] * 5).embeddings,
    "truncated": lambda model: model.encode_document(TEXTS, truncate_dim=8, normalize_embeddings=True),
    "random": lambda model: encode_arm(model, TEXTS, "random").embeddings,
    "golden": lambda model: np.concatenate([*golden_vectors(model).values()]),
    "langchain": langchain,
    "llama-index": llama_index,
    "beir": beir,
    "mteb": mteb_documents,
}
EXTRA = {"langchain": "langchain_core", "llama-index": "llama_index.core", "mteb": "mteb", "beir": "beir"}


@pytest.mark.filterwarnings("ignore::search_r3.errors.TruncationWarning")
@pytest.mark.parametrize("door", DOORS)
def test_vectors_are_unit_vectors(half, door):
    if door in EXTRA:
        pytest.importorskip(EXTRA[door])
    assert_unit(DOORS[door](half))


def test_a_model_that_cuts_its_vectors_gives_unit_vectors(tiny_folder):
    """With truncate_dim set, thoughts and integrations normalise what is left."""
    model = load_model(tiny_folder, dtype="bfloat16", device="cpu", truncate_dim=8)
    found = model.encode_query_with_thoughts(TEXTS[:3]).embeddings
    assert found.shape == (3, 8)
    assert_unit(found)
    pytest.importorskip("langchain_core")
    vectors = np.array(langchain(model))
    assert vectors.shape == (10, 8)
    assert_unit(vectors)


def test_an_index_of_a_plain_half_precision_model_is_built(tiny_folder, tmp_path):
    """A model without our module normalises in its own dtype; the index does so in float32."""
    import sentence_transformers

    from search_r3.model.direct_export import export_direct

    export_direct(SentenceTransformer(tiny_folder, device="cpu"), str(tmp_path / "direct"))
    plain = sentence_transformers.SentenceTransformer(str(tmp_path / "direct"), device="cpu").bfloat16()
    off = np.abs(np.linalg.norm(plain.encode_document(TEXTS[:3]), axis=1) - 1).max()
    assert off > 1e-4  # else this test shows nothing
    build_index(tmp_path / "index", plain, [Document(text, text) for text in TEXTS[:3]])
    assert_unit(CorpusIndex.load(tmp_path / "index").vectors.vectors())


def test_the_command_line_takes_a_half_precision_model(run, half_folder, tmp_path):
    """Index, search, embed and doctor, end to end on a saved model."""
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(f'{{"id": "{n}", "text": "{text}"}}\n' for n, text in enumerate(TEXTS)))
    code, out, err = run("index", corpus, tmp_path / "index", "--model", half_folder)
    assert code == 0 and "5 embedded" in out, err
    index = CorpusIndex.load(tmp_path / "index")
    assert_unit(index.vectors.vectors())
    assert index.model == str(half_folder)
    hits = index.search("copy a folder", k=2)
    code, out, err = run("search", tmp_path / "index", "copy a folder", "--json", "-k", "2")
    assert code == 0 and [hit.doc_id for hit in hits] == [hit["doc_id"] for hit in json.loads(out)["hits"]]
    code, out, err = run("doctor", half_folder, "--write-golden")
    assert code == 0 and "wrote" in out, err
    code, out, err = run("doctor", half_folder)
    assert code == 0 and "wanted 0.999" in out and "all well" in out, out
    for role in ("document", "query"):
        assert (
            run("embed", corpus, tmp_path / f"{role}.parquet", "--model", half_folder, "--as", role)[0] == 0
        )
        table = pq.read_table(tmp_path / f"{role}.parquet")
        assert table["embedding"].type.value_type == "float"
        assert_unit(table["embedding"].to_pylist())


def test_a_worker_of_ray_takes_a_half_precision_model(half_folder):
    """What a worker writes is float32 unit vectors, also for a batch without a document."""
    pytest.importorskip("ray.data")
    import pyarrow as pa

    from search_r3.integrations.ray import Embedder

    identity = fingerprint(load_model(half_folder))
    worker = Embedder(str(half_folder), identity, "id", "text", batch_size=2, threads=1)
    for texts in (TEXTS[:3], []):
        batch = pa.table(
            {"id": pa.array(map(str, range(len(texts))), pa.string()), "text": pa.array(texts, pa.string())}
        )
        written = worker(batch)["embedding"]
        assert written.type == pa.list_(pa.float32(), 32) and len(written) == len(texts)
        if texts:
            assert_unit(written.to_pylist())


def test_golden_vectors_of_a_half_precision_model(half, half_folder):
    """Its own golden vectors are met exactly, as doctor compares them."""
    report = check_golden(half, write_golden(half, str(half_folder)))
    assert report.passed and report.worst_cosine == pytest.approx(1, abs=1e-6)

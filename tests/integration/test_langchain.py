"""LangChain: its own conformance suites, our class and the stock one against the model's own vectors."""

import numpy as np
import pytest

pytest.importorskip("langchain_tests")

from langchain_core.vectorstores import InMemoryVectorStore
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from search_r3.errors import InvalidInputError
from search_r3.integrations.langchain import SearchR3Embeddings, SearchR3Retriever
from search_r3.model.direct_export import export_direct
from search_r3.retrieval.corpus_search import IndexRetriever
from search_r3.retrieval.steps import search_in_steps
from search_r3.retrieval.vector_index import VectorIndex

TEXTS = ["the red\nsea", "a star and the sun", "copy a folder", "sort a list", "the date and the time"]


class _OnTheTinyModel:
    @pytest.fixture(autouse=True)
    def folder(self, tiny_folder):
        self.tiny = str(tiny_folder)

    @property
    def embeddings_class(self):
        return SearchR3Embeddings

    @property
    def embedding_model_params(self):
        return {"model_name": self.tiny, "max_reasoning_tokens": 4}


class TestUnit(_OnTheTinyModel, EmbeddingsUnitTests):
    """LangChain's unit suite."""


class TestIntegration(_OnTheTinyModel, EmbeddingsIntegrationTests):
    """LangChain's integration suite, asynchronous methods included."""


def test_queries_think_and_documents_do_not(tiny):
    """The vectors are those of encode_query and encode_document, newlines kept; thoughts come along."""
    embeddings = SearchR3Embeddings.of(tiny, max_reasoning_tokens=4)
    np.testing.assert_allclose(embeddings.embed_documents(TEXTS), tiny.encode_document(TEXTS), atol=1e-6)
    wanted = tiny.encode_query_with_thoughts([TEXTS[0]], max_reasoning_tokens=4)
    vector, thought = embeddings.embed_query_with_thought(TEXTS[0])
    np.testing.assert_allclose(vector, wanted.embeddings[0], atol=1e-6)
    assert thought == wanted.thoughts[0] and thought.length > 0
    direct = SearchR3Embeddings.of(tiny, reasoning="never").embed_query(TEXTS[0])
    np.testing.assert_allclose(direct, tiny.encode_query(TEXTS[0], reasoning="never"), atol=1e-6)
    assert np.abs(np.array(direct) - vector).max() > 1e-3
    asked = SearchR3Embeddings.of(tiny, reasoning="never", query_prompt="red: ").embed_query("sea")
    np.testing.assert_allclose(asked, tiny.encode_query("sea", prompt="red: ", reasoning="never"), atol=1e-6)
    assert embeddings.embed_documents([]) == []
    with pytest.raises(InvalidInputError, match="Input 1"):
        embeddings.embed_documents(["fine", None])
    with pytest.raises(ValueError, match="reasonin"):
        SearchR3Embeddings.of(tiny, reasonin="never")


async def test_retrieval_is_the_exact_ranking(tiny):
    """A vector store over five texts gives what numpy gives; many queries at the same time change nothing."""
    import asyncio

    embeddings = SearchR3Embeddings.of(tiny, max_reasoning_tokens=4)
    store = InMemoryVectorStore.from_texts(TEXTS, embeddings)
    documents = tiny.encode_document(TEXTS)
    wanted = tiny.encode_query(TEXTS, max_reasoning_tokens=4)
    for query, vector in zip(TEXTS, wanted, strict=True):
        found = [document.page_content for document in store.similarity_search(query, k=5)]
        assert found == [TEXTS[index] for index in np.argsort(-(documents @ vector), kind="stable")]
    together = await asyncio.gather(*(embeddings.aembed_query(text) for text in TEXTS * 4))
    np.testing.assert_allclose(together, np.tile(wanted, (4, 1)), atol=1e-5)


@pytest.mark.parametrize("is_direct", [False, True])
def test_the_stock_class_works_with_documented_arguments(tiny, tiny_folder, tmp_path, is_direct):
    """HuggingFaceEmbeddings with README's keyword arguments gives our vectors, but for newlines; so it does
    with a direct export, which does not know ``task``."""
    folder = export_direct(tiny, tmp_path / "direct") if is_direct else tiny_folder
    embeddings = HuggingFaceEmbeddings(
        model_name=str(folder),
        model_kwargs={"trust_remote_code": True},
        encode_kwargs={"prompt_name": "document"},
        query_encode_kwargs={"prompt_name": "query"},
    )
    plain = [text.replace("\n", " ") for text in TEXTS]
    np.testing.assert_allclose(embeddings.embed_documents(TEXTS), tiny.encode_document(plain), atol=1e-5)
    wanted = tiny.encode_query(plain[0], reasoning="never" if is_direct else None)
    np.testing.assert_allclose(embeddings.embed_query(TEXTS[0]), wanted, atol=1e-5)
    assert np.abs(wanted - tiny.encode_document(plain[0])).max() > 1e-3


def test_the_stock_class_can_be_told_not_to_think(tiny, tiny_folder):
    """Options of encode_query go through the keyword arguments for queries."""
    embeddings = HuggingFaceEmbeddings(
        model_name=str(tiny_folder),
        model_kwargs={"trust_remote_code": True},
        query_encode_kwargs={"prompt_name": "query", "reasoning": "never"},
    )
    wanted = tiny.encode_query(TEXTS[1], reasoning="never")
    np.testing.assert_allclose(embeddings.embed_query(TEXTS[1]), wanted, atol=1e-5)


def test_a_store_is_searched_in_steps(tiny):
    """The documents are those of a search in steps over an exact index, with their metadata."""
    embeddings = SearchR3Embeddings.of(tiny, max_reasoning_tokens=4)
    store = InMemoryVectorStore.from_texts(TEXTS, embeddings, metadatas=[{"number": n} for n in range(5)])
    retriever = SearchR3Retriever(store=store, embeddings=embeddings, k=3, steps=3, read=2)
    vectors = VectorIndex(tiny.get_embedding_dimension(), fingerprint="tiny")
    vectors.add([str(n) for n in range(5)], tiny.encode_document(TEXTS))
    exact = IndexRetriever(vectors, {str(n): text for n, text in enumerate(TEXTS)})
    for query in ("the sea", "list"):
        options = {"steps": 3, "read": 2, "max_reasoning_tokens": 4}
        [wanted] = search_in_steps(tiny, exact, [query], 3, **options)
        found = retriever.invoke(query)
        assert [(document.page_content, document.metadata) for document in found] == [
            (hit.text, {"number": int(hit.doc_id)}) for hit in wanted.hits
        ]
    asked = SearchR3Embeddings.of(tiny, query_prompt="red: ")
    prompted = tiny.encode_query("the sea", prompt="red: ", reasoning="never").tolist()
    found = SearchR3Retriever(store=store, embeddings=asked, k=2, steps=1).invoke("the sea")
    assert found == store.similarity_search_by_vector(prompted, k=2)
    plain = SearchR3Retriever(store=store, embeddings=embeddings, k=2, steps=1)
    direct = tiny.encode_query("the sea", reasoning="never").tolist()
    assert plain.invoke("the sea") == store.similarity_search_by_vector(direct, k=2)

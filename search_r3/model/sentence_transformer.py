"""sentence-transformers' own class for our models: loads our module without a flag, hands out thoughts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sentence_transformers
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from search_r3.arguments import as_integer, as_list, checked_list, is_column
from search_r3.errors import InvalidInputError, InvalidOptionError, ModelError
from search_r3.files import write_text
from search_r3.model.modeling_file import MODELING_CLASS, MODELING_FILE, modeling_source
from search_r3.model.reasoning_transformer import ReasoningTransformer
from search_r3.model.thoughts import ENDINGS, Thought

NOTICE = "NOTICE"
"""File of a model's folder with what the terms of its weights ask to be passed on."""

_OWN_CLASSES = {
    MODELING_CLASS: ReasoningTransformer,
    f"{ReasoningTransformer.__module__}.{ReasoningTransformer.__name__}": ReasoningTransformer,
    # Where the class stood in version 0.1: models saved then name it so.
    "search_r3.modules.reasoning_transformer.ReasoningTransformer": ReasoningTransformer,
}

_SHAPING_OPTIONS = {
    "output_value",
    "convert_to_tensor",
    "convert_to_numpy",
    "precision",
    "pool",
    "truncate_dim",
}

_BATCHES_PER_SLICE = 32

_REQUIREMENTS = {"sentence-transformers": ">=6.0,<7", "transformers": ">=5.16,<6"}


@dataclass(frozen=True)
class QueryEncoding:
    """Queries embedded, with the thoughts that led there.

    Attributes:
        embeddings: Unit vectors, shape (Q, D), float32.
        thoughts: One per query, in the order of the queries.
        dropped_tokens: Tokens cut from the end of each query to meet the model's limit.
        dropped_evidence_tokens: Tokens of each query's evidence that were not read.
    """

    embeddings: NDArray[np.float32]
    thoughts: list[Thought]
    dropped_tokens: list[int]
    dropped_evidence_tokens: list[int]


class SearchR3(sentence_transformers.SentenceTransformer):
    """sentence-transformers' own class, for which Search-R3's module needs no ``trust_remote_code``.

    Only this package's own module classes are resolved from the installed package; any other custom class in
    a ``modules.json`` meets the usual gate. What :meth:`save` writes, the plain class loads (with the flag),
    also where this package is not installed.

    Args:
        model_name_or_path: A folder, a Hub id, or the name of an embedded model: ``default`` or ``embedded``
            (see :func:`search_r3.model.default.load_model`). A folder of such a name is given as a ``Path``
            or with a separator (``./default``).
        **kwargs: Of ``sentence_transformers.SentenceTransformer``.

    Attributes:
        name_or_path: What to load the model by again: the name of an embedded model, an absolute folder or a
            Hub id. None if it was put together from modules.
        notice: What the terms of the weights ask to be passed on with them; "" if nothing. It is read from
            the file ``NOTICE`` of a local folder, and saved with the model.
    """

    def __init__(
        self, model_name_or_path: str | os.PathLike[str] | None = None, *args: Any, **kwargs: Any
    ) -> None:
        name = path = None if model_name_or_path is None else os.fspath(model_name_or_path)
        if isinstance(model_name_or_path, str):
            # Imported late: preparing an embedded model takes this class.
            from search_r3.model.default import EMBEDDED_MODELS

            if name in EMBEDDED_MODELS:
                path = str(EMBEDDED_MODELS[name]())
                kwargs.setdefault("local_files_only", True)
        super().__init__(path, *args, **kwargs)
        is_folder = name is not None and name == path and Path(name).is_dir()
        self.name_or_path = str(Path(name).resolve()) if name is not None and is_folder else name
        notice = None if path is None else Path(path) / NOTICE
        self.notice = notice.read_text(encoding="utf-8") if notice is not None and notice.is_file() else ""

    @property
    def thinks(self) -> bool:
        """Whether this is a Search-R3 pipeline; this class loads any other one too."""
        return isinstance(self[0], ReasoningTransformer)

    @property
    def reasoning_module(self) -> ReasoningTransformer:
        """The module that thinks and embeds: template, tokenizer, language model, defaults.

        Raises:
            ModelError: If the pipeline has none.
        """
        module = self[0]
        if not isinstance(module, ReasoningTransformer):
            raise ModelError(
                f"Got a {type(module).__name__} pipeline, wanted a Search-R3 model: this one does not think. "
                "A --direct export is for other tools: export the model without it."
            )
        return module

    def preprocess(self, inputs: Any, prompt: str | None = None, **kwargs: Any) -> Any:
        """Turn inputs into features; see ``sentence_transformers.SentenceTransformer.preprocess``.

        Our module is asked directly: on the way there sentence-transformers would answer images, audio and
        chat messages with errors that name no index, and some errors by trying again without the prompt.
        """
        if self.thinks:
            return self.reasoning_module.preprocess(inputs, prompt=prompt, **kwargs) if inputs else {}
        return super().preprocess(inputs, prompt=prompt, **kwargs)

    def is_singular_input(self, inputs: Any) -> bool:  # type: ignore[override]  # it promises a type as well
        """Whether an input is one text; to a model that thinks, any column of texts is several."""
        return not is_column(inputs) if self.thinks else super().is_singular_input(inputs)

    def encode(
        self,
        inputs: Any = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Compute embeddings; see ``sentence_transformers.SentenceTransformer.encode``.

        Inputs may be any column of texts (:func:`search_r3.arguments.is_column`), such as a pandas series or
        a generator. No text gives an array of shape (0, D).

        Queries may have ``evidence``: passages that they read before they think. It is a list of texts for
        each query, or for a single query one list of texts.

        Raises:
            InvalidInputError: If an input cannot be embedded; the message gives its index in ``inputs``.
            InvalidOptionError: If ``batch_size`` is not an integer of 1 or more.
            TruncationError: If a text is too long and ``on_truncation="error"``; likewise.
        """
        inputs = kwargs.pop("sentences", inputs)  # its old name in sentence-transformers
        evidence = kwargs.pop("evidence", None)
        if not self.thinks:
            if evidence is not None:
                raise InvalidOptionError("Got evidence for a model that does not think, wanted none.")
            return super().encode(inputs, prompt_name, prompt, batch_size, *args, **kwargs)
        if evidence is not None and self.is_singular_input(inputs):
            return self.encode(
                [inputs], prompt_name, prompt, batch_size, *args, evidence=[evidence], **kwargs
            )[0]
        size = _checked_batch_size(batch_size)
        is_one = self.is_singular_input(inputs)
        inputs = inputs if is_one else as_list(inputs)
        if evidence is not None:
            inputs = _with_evidence(inputs, None, evidence)
        try:
            found: Any = super().encode(inputs, prompt_name, prompt, size, *args, **kwargs)
        except InvalidInputError as error:
            raise _named(error, [inputs] if is_one else inputs) from None
        if not is_one and not inputs and isinstance(found, np.ndarray | torch.Tensor):
            width = self.get_embedding_dimension() or 0
            found = found.reshape(0, min(kwargs.get("truncate_dim") or width, width))
            return found.astype(np.float32) if isinstance(found, np.ndarray) else found
        return found

    def encode_query_with_thoughts(
        self,
        queries: Iterable[str],
        *,
        thoughts: Iterable[Thought | str | Sequence[int] | None] | None = None,
        evidence: Iterable[Sequence[str]] | None = None,
        **options: Any,
    ) -> QueryEncoding:
        """Embed queries and return what was thought for each; or replay given thoughts.

        Args:
            queries: Q texts: any column of them, as for :meth:`encode`.
            thoughts: One per query: a :class:`Thought` (replayed token by token), a string or token ids. None
                lets the model think, about all queries or about the one that has it.
            evidence: Passages that each query reads before it thinks: a list of texts per query. None gives
                no passage to any.
            **options: Options of :meth:`encode_query`: ``reasoning``, ``max_reasoning_tokens``,
                ``temperature``, ``top_p``, ``seed``, ``on_truncation``, ``batch_size``, ``prompt``,
                ``show_progress_bar``, ``device``, and for a single query ``on_thought``, which is told the
                thought so far after each of its tokens.

        Raises:
            InvalidInputError: If a query, a thought or a passage cannot be used, or their numbers differ.
            InvalidOptionError: If an option is not valid, or shapes the output.
        """
        inputs = _paired(queries, thoughts, evidence)
        if shaping := _SHAPING_OPTIONS & set(options):
            raise InvalidOptionError(f"{sorted(shaping)} cannot be combined with thoughts; use encode_query.")
        batch_size = options["batch_size"] = _checked_batch_size(options.get("batch_size", 32))
        normalize_embeddings = options.pop("normalize_embeddings", False)
        show_progress_bar = options.pop("show_progress_bar", False)
        module = self.reasoning_module
        vectors, found = [], []
        dropped: dict[str, list[int]] = {"dropped_tokens": [], "dropped_evidence_tokens": []}
        # In slices, because sentence-transformers keeps the hidden states of every token of a call.
        size = _BATCHES_PER_SLICE * batch_size
        with tqdm(total=len(inputs), desc="Queries", disable=not show_progress_bar) as progress:
            for start in range(0, len(inputs), size):
                part = inputs[start : start + size]
                try:
                    items: Any = self.encode_query(
                        part, output_value=None, show_progress_bar=False, **options
                    )
                except InvalidInputError as error:
                    raise _named(error, inputs) from None
                for item in items:
                    token_ids = tuple(i for i in item["thought_ids"].tolist() if i >= 0)
                    text = module.prompt_encoder.decode_thought(token_ids)
                    found.append(Thought(text, token_ids, ENDINGS[int(item["thought_ending"])]))
                    vectors.append(item["sentence_embedding"].float().cpu())
                    for name, counts in dropped.items():
                        counts.append(int(item[name]))
                progress.update(len(part))
        stacked = torch.stack(vectors) if vectors else torch.zeros(0, self.get_embedding_dimension() or 0)
        if normalize_embeddings or self.truncate_dim is not None:  # a cut unit vector is none
            stacked = torch.nn.functional.normalize(stacked, dim=1)
        return QueryEncoding(stacked.numpy(), found, **dropped)

    def dropped_tokens(self, documents: Sequence[str]) -> list[int]:
        """Count the tokens that embedding would cut from the end of each document; 0 for one that fits.

        Raises:
            InvalidInputError: If a document cannot be embedded.
            ModelError: If the pipeline is not a Search-R3 model.
        """
        module = self.reasoning_module
        return [
            module.prompt_encoder.encode_document(text, max_tokens=module.limit).dropped_tokens
            for text in documents
        ]

    def save(self, path: str, *args: Any, **kwargs: Any) -> None:
        """Save the model so that it also loads where search_r3 is not installed.

        On top of sentence-transformers' files this writes the self-contained modelling file, names it in
        ``modules.json``, and records the library versions the model requires.
        """
        super().save(path, *args, **kwargs)
        folder = Path(path)
        if self.notice:
            write_text(folder / NOTICE, self.notice)
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        ours = [module for module in modules if module["type"] in _OWN_CLASSES]
        for module in ours:
            module["type"] = MODELING_CLASS
        if ours:
            for name, text in (
                (MODELING_FILE, modeling_source()),
                ("modules.json", json.dumps(modules, indent=2)),
            ):
                write_text(folder / name, text)

    def _get_model_config(self) -> dict[str, Any]:
        config = super()._get_model_config()
        if self.thinks:
            config["requirements"] = _REQUIREMENTS
        return config

    def _load_module_class_from_ref(self, class_ref: str, *args: Any, **kwargs: Any) -> type:
        own = _OWN_CLASSES.get(class_ref)
        return own if own is not None else super()._load_module_class_from_ref(class_ref, *args, **kwargs)


SentenceTransformer = SearchR3
"""The name under which it is a drop-in: code written for sentence-transformers changes its import only."""


def _paired(
    queries: Iterable[str],
    thoughts: Iterable[Thought | str | Sequence[int] | None] | None,
    evidence: Iterable[Sequence[str]] | None,
) -> list[Any]:
    asked = checked_list(queries, "queries")
    if evidence is not None:
        return _with_evidence(asked, thoughts, evidence)
    if thoughts is None:
        return asked
    return list(zip(asked, _one_each("thoughts", thoughts, asked), strict=True))


def _with_evidence(
    queries: list[Any],
    thoughts: Iterable[Thought | str | Sequence[int] | None] | None,
    evidence: Iterable[Sequence[str]],
) -> list[Any]:
    """Triples of query, thought (None lets it think) and passages."""
    if any(isinstance(query, tuple) for query in queries):
        raise InvalidInputError("got queries as tuples and evidence as well, wanted plain queries with it.")
    given = [None] * len(queries) if thoughts is None else _one_each("thoughts", thoughts, queries)
    read = _one_each("lists of evidence", evidence, queries)
    passages = [as_list(one) if is_column(one) else one for one in read]
    return list(zip(queries, given, passages, strict=True))


def _one_each(name: str, given: Iterable[Any], queries: list[Any]) -> list[Any]:
    items = checked_list(given, name)
    if len(items) != len(queries):
        raise InvalidInputError(f"got {len(items)} {name} for {len(queries)} queries, wanted one each.")
    return items


def _checked_batch_size(batch_size: object) -> int:
    checked = as_integer(batch_size, 1)
    if checked is None:
        raise InvalidOptionError(f"Got batch_size={batch_size!r}, wanted an integer of 1 or more.")
    return checked


def _named(error: InvalidInputError, items: list[Any]) -> InvalidInputError:
    """The same error, naming the index of its item in the caller's own list."""
    index = next((i for i, item in enumerate(items) if item is error.item), None)
    if index is None:  # a copy: it came from an array, or back from another process
        wanted = (type(error.item), repr(error.item))  # NaN is not equal to itself
        index = next((i for i, item in enumerate(items) if (type(item), repr(item)) == wanted), None)
    return error if index is None else type(error)(error.reason, error.item, f"Input {index}")

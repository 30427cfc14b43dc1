"""Direct embeddings by a plain embedder: built-in modules only, so it loads with no flag, in any tool.

What our module does to a text is written into the tokenizer instead: a normaliser turns the role's prompt
into the template's prefix and appends the suffix, in tokens of their own that have the same embeddings, so
that no text joins them. The post-processor ends every sequence with the embed token. sentence-transformers
puts the prompts before the texts; elsewhere the caller does, as for E5 and its like.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sentence_transformers
import torch
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from tokenizers import Regex, Tokenizer, normalizers
from transformers import PreTrainedTokenizerFast

from search_r3.errors import InvalidOptionError, ModelError
from search_r3.files import atomic_folder
from search_r3.model.reasoning_transformer import ReasoningTransformer
from search_r3.model.sentence_transformer import SearchR3

TOLERANCE = 1e-5
"""Largest difference of a coordinate between an export and the model, in float32."""

PAD_TOKEN = "\ue000pad\ue001"
"""Between two characters of the private use area: a text that spells it has been made to."""

_PROBES = (
    "copy a directory tree",
    " two  spaces, and\ta tab at the end\t ",
    "\n\nlines\nthought:\n",
    "document: that quotes a prompt, query: too",
    "ß 漢字 \N{SLIGHTLY SMILING FACE} <|im_end|> <|endoftext|> <|embed_token|> <think>",
    "1234567 don't x = [i**2 for i in range(10)]",
    "a long text that is cut " * 400,
)


def export_direct(model: SearchR3, folder: str | os.PathLike[str]) -> Path:
    """Save the direct embeddings of a model with sentence-transformers' own modules, and check it.

    ``sentence_transformers.SentenceTransformer(folder)`` then gives the vectors of ``reasoning="never"``.
    They differ in two cases. A query that has to be cut loses words of the template as well; documents are
    cut alike. A text may have several of the signs in a row that the tokenizer writes for a space (U+2581).

    Args:
        model: A Search-R3 model in float32, in whose template a query's suffix ends with a document's.
        folder: Where it goes; it appears whole or not at all, and must not exist yet.

    Returns:
        ``folder``.

    Raises:
        FileExistsError: ``folder`` exists.
        InvalidOptionError: The template cannot be written into a tokenizer, because a query's suffix does not
            end with a document's. Or the tokenizer has another algorithm than BPE and WordPiece, or the model
            too few rows to spare for the export's own tokens.
        ModelError: The model does not think, or the export's vectors differ from the model's.
    """
    folder = Path(folder)
    with atomic_folder(folder) as part:
        module = model.reasoning_module
        stand_ins = _stand_ins(module)
        tokenizer = _direct_tokenizer(module, stand_ins)
        raw = part / "raw"
        language_model: Any = module.model
        language_model.base_model.save_pretrained(raw)
        tokenizer.save_pretrained(raw)
        transformer = Transformer(str(raw), model_kwargs={"use_safetensors": True})
        transformer.max_seq_length = module.max_seq_length
        _copy_rows(transformer.auto_model, stand_ins)
        exported = sentence_transformers.SentenceTransformer(
            modules=[
                transformer,
                Pooling(transformer.get_embedding_dimension(), pooling_mode="lasttoken"),
                Normalize(),
            ],
            prompts={"query": module.query_prompt, "document": module.document_prompt},
            default_prompt_name="document",
            similarity_fn_name="cosine",
            device="cpu",
        )
        exported.save(str(part), create_model_card=False)
        shutil.rmtree(raw)
        check_direct(model, sentence_transformers.SentenceTransformer(str(part), device="cpu"))
    return folder


def check_direct(model: SearchR3, exported: sentence_transformers.SentenceTransformer) -> float:
    """Compare an export with its model on texts that are hard to tokenise alike.

    Returns:
        The largest difference of a coordinate.

    Raises:
        ModelError: It is above 1e-5.
    """
    quiet: dict[str, Any] = {"on_truncation": "ignore", "show_progress_bar": False}
    short = list(_PROBES[:-1])
    pairs = [
        (model.encode_document(list(_PROBES), **quiet), exported.encode_document(list(_PROBES))),
        (model.encode_query(short, reasoning="never", **quiet), exported.encode_query(short)),
    ]
    worst = max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs)
    if not worst <= TOLERANCE:
        raise ModelError(
            f"The export's vectors differ from the model's by up to {worst:.1e}, wanted {TOLERANCE:.0e}. "
            'Export a float32 model, such as load_model(..., dtype="float32"); if it is one, please report '
            "its tokenizer."
        )
    return worst


@dataclass(frozen=True)
class _StandIns:
    """Tokens of the export's own, for the template's: a text cannot come out as one of them.

    Attributes:
        ids: Ids of the template's tokens.
        first: Id of the first stand-in; the others follow in the order of ``ids``.
    """

    ids: tuple[int, ...]
    first: int

    def text(self, ids: Sequence[int]) -> str:
        """What the tokenizer reads as the stand-ins of these."""
        return "".join(f"\ue000{self.ids.index(one)}\ue001" for one in ids)

    @property
    def padding(self) -> int:
        """Id of the padding token."""
        return self.first + len(self.ids)

    @property
    def names(self) -> dict[str, int]:
        """Every token with its id, the padding token last."""
        return {self.text([one]): self.first + n for n, one in enumerate(self.ids)} | {
            PAD_TOKEN: self.padding
        }


def _template_parts(module: ReasoningTransformer) -> tuple[list[int], list[int], list[int], list[int]]:
    """Ids before a query, behind a query alone, before a document, and behind both."""
    encoder = module.prompt_encoder
    (query, query_suffix), (document, shared) = (
        encoder.template_ids("query"),
        encoder.template_ids("document"),
    )
    inserted = query_suffix[: len(query_suffix) - len(shared)]
    if inserted + shared != query_suffix:
        raise InvalidOptionError(
            f"Got the template {module.template}, wanted one in which a query's suffix ends with a "
            "document's, such as COMPACT_TEMPLATE: no other fits into a tokenizer."
        )
    return query, inserted, document, shared


def _stand_ins(module: ReasoningTransformer) -> _StandIns:
    query, inserted, document, _ = _template_parts(module)
    found = _StandIns(tuple(sorted({*query, *inserted, *document})), module.prompt_encoder.vocabulary_size)
    language_model: Any = module.model
    rows = language_model.get_input_embeddings().weight.shape[0]
    if rows <= found.padding:
        raise InvalidOptionError(
            f"Got a model with {rows} rows for {found.first} tokens, wanted {found.padding + 1 - rows} more "
            "rows, for padding and the template's tokens. prepare_base leaves some."
        )
    return found


def _copy_rows(model: Any, stand_ins: _StandIns) -> None:
    """Give the stand-ins the embeddings of the template's tokens."""
    with torch.no_grad():
        weight = model.get_input_embeddings().weight
        weight[stand_ins.first : stand_ins.padding] = weight[list(stand_ins.ids)]


def _direct_tokenizer(module: ReasoningTransformer, stand_ins: _StandIns) -> PreTrainedTokenizerFast:
    encoder = module.prompt_encoder
    source: Any = module.tokenizer
    query, inserted, document, shared = _template_parts(module)
    state = json.loads(source.backend_tokenizer.to_str())
    vocabulary = state["model"].get("vocab")
    if not isinstance(vocabulary, dict):
        raise InvalidOptionError(
            f"Got a tokenizer of type {state['model']['type']}, wanted one of BPE or WordPiece. Export the "
            "model whole, without --direct."
        )
    # The spelling of a special token is plain text, as our module has it. The other added tokens are found
    # after the normaliser, which has to see the whole text; what it writes for spaces is none of them.
    written = (state["normalizer"] or {}).get("content", "")
    kept = [
        {**token, "normalized": True}
        for token in state["added_tokens"]
        if not (token["special"] or token["id"] in encoder.structural_ids)
        and not (written and written in token["content"])
    ]
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
    for name, token_id in stand_ins.names.items():
        vocabulary[name] = token_id
        is_special = name == PAD_TOKEN
        kept.append({"id": token_id, "content": name, **flags, "normalized": True, "special": is_special})
    vocabulary[module.embed_token] = encoder.embed_token_id
    state["added_tokens"] = kept
    ending, name = [*shared, encoder.embed_token_id], module.embed_token
    state["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": name, "type_id": 0}}],
        "pair": [
            {"Sequence": {"id": "A", "type_id": 0}},
            {"Sequence": {"id": "B", "type_id": 0}},
            {"SpecialToken": {"id": name, "type_id": 0}},
        ],
        "special_tokens": {name: {"id": name, "ids": ending, "tokens": source.convert_ids_to_tokens(ending)}},
    }
    state["truncation"] = state["padding"] = None
    backend = Tokenizer.from_str(json.dumps(state))
    asks, tells = (re.escape(prompt) for prompt in (module.query_prompt, module.document_prompt))
    # (?m:.) is any character, newlines too; \K keeps what is before it, so that an empty place is matched.
    steps = [
        normalizers.Replace(Regex(rf"\A{asks}(?m:.*)\K\z"), stand_ins.text(inserted)),
        normalizers.Replace(Regex(rf"\A{asks}"), stand_ins.text(query)),
        normalizers.Replace(Regex(rf"\A{tells}"), stand_ins.text(document)),
    ]
    backend.normalizer = normalizers.Sequence([*steps, *filter(None, [backend.normalizer])])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD_TOKEN,
        model_max_length=module.max_seq_length,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )

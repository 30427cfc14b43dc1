"""Direct embeddings by a plain embedder: built-in modules only, so it loads with no flag, in any tool.

What our module does to a text is written into the tokenizer instead: a normaliser turns the role's prompt
into the template's prefix and appends the suffix, a pre-tokeniser keeps both apart from the text, and the
post-processor ends every sequence with the embed token. sentence-transformers puts the prompts before the
texts; elsewhere the caller does, as for E5 and its like.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import sentence_transformers
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from search_r3.errors import InvalidOptionError, ModelError
from search_r3.files import atomic_folder
from search_r3.model.reasoning_transformer import ReasoningTransformer
from search_r3.model.sentence_transformer import SearchR3
from search_r3.model.template import Template

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
    They differ in one case: a query that has to be cut loses words of the template as well. Documents are
    cut alike.

    Args:
        model: A Search-R3 model in float32, with the compact template or one like it.
        folder: Where it goes; it appears whole or not at all, and must not exist yet.

    Returns:
        ``folder``.

    Raises:
        FileExistsError: ``folder`` exists.
        InvalidOptionError: The template cannot be written into a tokenizer: it has special tokens, or a
            query's suffix does not end like a document's. Or the tokenizer has a start token, or the model
            no row to spare for padding.
        ModelError: The model does not think, or the export's vectors differ from the model's.
    """
    folder = Path(folder)
    with atomic_folder(folder) as part:
        module = model.reasoning_module
        tokenizer = _direct_tokenizer(module)
        raw = part / "raw"
        language_model: Any = module.model
        language_model.base_model.save_pretrained(raw)
        tokenizer.save_pretrained(raw)
        transformer = Transformer(str(raw), model_kwargs={"use_safetensors": True})
        transformer.max_seq_length = module.max_seq_length
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


def _direct_tokenizer(module: ReasoningTransformer) -> PreTrainedTokenizerFast:
    source: Any = module.tokenizer
    template, encoder = Template.from_dict(module.template), module.prompt_encoder
    ids = {
        name: source.encode(text, add_special_tokens=False) if text else []
        for name, text in template.to_dict().items()
    }
    shared = ids["document_suffix"]
    inserted = template.query_suffix[: len(template.query_suffix) - len(template.document_suffix)]
    inserted_ids = source.encode(inserted, add_special_tokens=False) if inserted else []
    begins = source("x").input_ids[:1] == [source.bos_token_id]
    if begins:
        raise InvalidOptionError(
            f"Got a tokenizer that puts {source.bos_token!r} before every text, as that of Gemma 3; wanted "
            "one that does not: no such model can be exported exactly. Export it whole, without --direct."
        )
    if (
        any(encoder.structural_ids.intersection(part) for part in ids.values())
        or inserted_ids + shared != ids["query_suffix"]
    ):
        raise InvalidOptionError(
            f"Got the template {template.to_dict()}, wanted one without special tokens, in which a query's "
            "suffix ends with a document's, such as COMPACT_TEMPLATE: no other fits into a tokenizer."
        )
    state = json.loads(source.backend_tokenizer.to_str())
    language_model: Any = module.model
    if encoder.vocabulary_size >= language_model.get_input_embeddings().weight.shape[0]:
        raise InvalidOptionError(
            f"Got a model with {encoder.vocabulary_size} rows for as many tokens, wanted one to spare, for a "
            "padding token that no text can spell. prepare_base leaves some."
        )
    # The spelling of a special token is plain text, as our module has it. What is left of added tokens is
    # found after the normaliser, which has to see the whole text.
    kept = [token for token in state["added_tokens"] if token["id"] not in encoder.structural_ids]
    state["added_tokens"] = [{**token, "normalized": True} for token in kept]
    ending = [*shared, encoder.embed_token_id]
    name = module.embed_token
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
    query, document = (re.escape(prompt) for prompt in (module.query_prompt, module.document_prompt))
    before = [] if backend.normalizer is None else [backend.normalizer]
    # (?m:.) is any character, newlines too; \K keeps what is before it, so that an empty place is matched.
    backend.normalizer = normalizers.Sequence(
        [
            *before,
            *([normalizers.Replace(Regex(rf"\A{query}(?m:.*)\K\z"), inserted)] if inserted else []),
            normalizers.Replace(Regex(rf"\A{query}"), template.query_prefix),
            normalizers.Replace(Regex(rf"\A{document}"), template.document_prefix),
        ]
    )
    apart = []
    if inserted:  # split off only where it was inserted: at the end of what begins as a query
        pattern = rf"\A{re.escape(template.query_prefix)}(?m:.*)\K{re.escape(inserted)}\z"
        apart.append(pre_tokenizers.Split(Regex(pattern), "isolated"))
    if heads := [re.escape(head) for head in (template.query_prefix, template.document_prefix) if head]:
        apart.append(pre_tokenizers.Split(Regex(rf"\A(?:{'|'.join(heads)})"), "isolated"))
    if backend.pre_tokenizer is not None:
        apart.append(backend.pre_tokenizer)
    backend.pre_tokenizer = pre_tokenizers.Sequence(apart)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD_TOKEN,
        model_max_length=module.max_seq_length,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )

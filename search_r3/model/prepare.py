"""Make a base: a causal LM with a real ``<|embed_token|>``, saved as a loadable Search-R3 model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from search_r3.errors import ModelError
from search_r3.files import atomic_folder
from search_r3.model.generation import last_hidden_states, next_token_logits
from search_r3.model.reasoning_transformer import ReasoningTransformer
from search_r3.model.sentence_transformer import SearchR3
from search_r3.model.template import COMPACT_TEMPLATE, EMBED_TOKEN, Template, render_chat_template

VOCABULARY_MULTIPLE = 64
"""The vocabulary is padded to a multiple of this: matrix kernels are fast on it, and training with TRL was
reported to collapse on an embedding matrix that is not."""


def prepare_base(
    source: str | Path,
    output_dir: str | Path,
    *,
    gguf_file: str | None = None,
    template: Template | None = None,
    max_seq_length: int = 1024,
    max_reasoning_tokens: int = 32,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Turn a causal LM into a saved Search-R3 base.

    The new row starts as a copy of the end-of-turn token's row, in the input and the output matrix. On the
    input side the model then reads the embed token as "the text is complete", the state from which decoder
    embedders pool (Qwen3-Embedding pools at EOS). On the output side the embed token gets exactly the logit
    of the end of turn, so an untrained chat model ends its thought where it would have ended its answer,
    instead of never. A random or mean row would do neither. Rows that only pad the vocabulary get the mean
    row; no thought can hold them.

    Args:
        source: Hugging Face id or local folder of a causal LM; with ``gguf_file``, the folder that holds it.
        output_dir: The folder to write. It appears whole or not at all, and must not exist yet.
        gguf_file: Name of a GGUF file inside ``source``; it is de-quantised.
        template: The text around queries and documents; None renders the model's chat template with the
            paper's prompts, or takes the compact template if the model has none.
        max_seq_length: Limit in tokens of template and text together (the released demo uses 1,024).
        max_reasoning_tokens: Saved default budget of a thought.
        dtype: Type the weights are saved in.

    Returns:
        ``output_dir``.

    Raises:
        FileExistsError: If ``output_dir`` exists.
        InvalidOptionError: If ``max_seq_length`` leaves no room for text beside the template.
        ModelError: If the model has no end-of-turn token or no position ids, its tokenizer is not a fast one,
            or its logits are not its LM head applied to its hidden states.
    """
    target = Path(output_dir)
    with atomic_folder(target) as part:
        model, tokenizer = _load(source, gguf_file, dtype)
        embed_token_id = add_embed_token(model, tokenizer)
        _check_head(model)
        if template is None:
            template = (
                render_chat_template(tokenizer.apply_chat_template)
                if tokenizer.chat_template
                else COMPACT_TEMPLATE
            )
        positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        if positions is None:
            raise ModelError(
                f"{type(model).__name__} has no max_position_embeddings; only such models are known."
            )
        tokenizer.model_max_length = min(max_seq_length, positions - max_reasoning_tokens)
        # A chat model's own generation defaults (sampling, temperatures) have no say in how a thought is
        # decoded.
        model.generation_config = GenerationConfig(
            eos_token_id=[tokenizer.eos_token_id, embed_token_id], pad_token_id=tokenizer.pad_token_id
        )

        raw = part / "raw"
        model.save_pretrained(raw)
        tokenizer.save_pretrained(raw)
        prepared = assemble(raw, template=template, max_reasoning_tokens=max_reasoning_tokens)
        prepared.encode_document("")  # a limit too low for the template fails now, and not at the first use
        prepared.encode_query("", reasoning="never")
        prepared.save(str(part), create_model_card=False)
        shutil.rmtree(raw)
    return target


def assemble(folder: str | Path, *, template: Template, max_reasoning_tokens: int = 32) -> SearchR3:
    """Build the pipeline (thinking module, last-token pooling, unit norm) over a causal LM's folder.

    Args:
        folder: A causal LM whose tokenizer knows the embed token.
        template: The text around queries and documents.
        max_reasoning_tokens: Default budget of a thought.
    """
    module = ReasoningTransformer(
        str(folder), template=template.to_dict(), max_reasoning_tokens=max_reasoning_tokens
    )
    dimension = Transformer.get_embedding_dimension(module)
    model = SearchR3(
        modules=[module, Pooling(dimension, pooling_mode="lasttoken"), Normalize()],
        prompts={"query": module.query_prompt, "document": module.document_prompt},
        device="cpu",
    )
    model.model_card_data.local_files_only = True
    return model


def add_embed_token(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Give model and tokenizer the embed token, in place; see :func:`prepare_base` for its first value.

    Returns:
        The token's id.

    Raises:
        ModelError: If the tokenizer knows the token already, or has no end-of-turn token.
    """
    if EMBED_TOKEN in tokenizer.get_vocab():
        raise ModelError(
            f"This tokenizer already has {EMBED_TOKEN}; load the model instead of preparing it again."
        )
    if tokenizer.eos_token_id is None:
        raise ModelError("The tokenizer has no eos_token; set one before preparing a base.")
    tokenizer.add_special_tokens(
        {"additional_special_tokens": [EMBED_TOKEN]}, replace_extra_special_tokens=False
    )
    ids: Any = tokenizer.convert_tokens_to_ids([tokenizer.eos_token, EMBED_TOKEN])
    end_of_turn, embed_token_id = int(ids[0]), int(ids[1])
    known_rows = _rows(model.get_input_embeddings())
    rows = max(known_rows, len(tokenizer))
    rows += -rows % VOCABULARY_MULTIPLE
    if rows != known_rows:
        model.resize_token_embeddings(rows, mean_resizing=False)
    with torch.no_grad():
        head: Any = model.get_output_embeddings()
        embedding: Any = model.get_input_embeddings()
        biases = [head.bias] if getattr(head, "bias", None) is not None else []  # Phi's head has one
        for rows_of in (embedding.weight, head.weight, *biases):
            # Models such as Qwen ship with spare rows, so the row may exist already, untrained.
            rows_of[known_rows:] = rows_of[:known_rows].mean(dim=0)
            rows_of[embed_token_id] = rows_of[end_of_turn]
    return embed_token_id


def _rows(matrix: Any) -> int:
    return int(matrix.weight.shape[0])


def _load(
    source: str | Path, gguf_file: str | None, dtype: torch.dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    if gguf_file is None:
        tokenizer = AutoTokenizer.from_pretrained(str(source))
        model = AutoModelForCausalLM.from_pretrained(str(source), dtype=dtype, use_safetensors=True)
    else:
        path = Path(source) / gguf_file
        if not path.is_file():
            raise ModelError(f"There is no GGUF file {path}.")
        tokenizer = AutoTokenizer.from_pretrained(str(source), gguf_file=gguf_file)
        model = AutoModelForCausalLM.from_pretrained(
            str(source),
            gguf_file=gguf_file,
            quantization_config=GgufConfig(gguf_file, dequantize=True),
            dtype=dtype,
        )
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
    return model.eval(), tokenizer


@torch.no_grad()
def _check_head(model: PreTrainedModel) -> None:
    """Refuse models whose logits are more than their LM head applied to their last hidden state."""
    input_ids = torch.arange(8)[None]
    mask = torch.ones_like(input_ids)
    expected = model(input_ids=input_ids, attention_mask=mask).logits[:, -1].float()
    try:
        got = next_token_logits(model, last_hidden_states(model, input_ids, mask)[:, -1])
    except TypeError as error:
        raise ModelError(
            f"{type(model).__name__} takes no position ids ({error}); only such models are known."
        ) from None
    if not torch.allclose(got, expected, atol=1e-3 + 1e-3 * float(expected.abs().max())):
        raise ModelError(
            f"{type(model).__name__} changes its logits after the LM head in a way search_r3 does not know; "
            "thoughts would differ from the model's own generation. Please report this architecture."
        )

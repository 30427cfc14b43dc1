"""`search-r3 info`: what a model is."""

from __future__ import annotations

from typing import Any

from search_r3.cli.console import say
from search_r3.cli.loading import load_model
from search_r3.cli.options import ModelArgument


def info(model: ModelArgument = None) -> None:
    """Show what a model is: base, size, template, embed token, dimensions, limits."""
    from search_r3.model.fingerprint import fingerprint

    loaded: Any = load_model(model)
    module = loaded[0]
    config = module.model.config
    parameters = sum(parameter.numel() for parameter in module.parameters())
    for name, value in (
        (
            "architecture",
            f"{type(module.model).__name__}, {parameters / 1e6:.1f} M parameters, {loaded.dtype}",
        ),
        ("layers", f"{config.get_text_config().num_hidden_layers}"),
        ("dimensions", f"{loaded.get_embedding_dimension()}"),
        ("embed token", f"{module.embed_token} (id {module.prompt_encoder.embed_token_id})"),
        ("limit", f"{module.max_seq_length} tokens of template and text"),
        ("positions", f"{config.get_text_config().max_position_embeddings}"),
        ("reasoning", f"{module.reasoning}, at most {module.max_reasoning_tokens} tokens"),
        ("truncation", module.on_truncation),
        ("query prompt", repr(module.query_prompt)),
        ("document prompt", repr(module.document_prompt)),
        ("role without task", module.default_role),
        ("query", f"{module.template['query_prefix']!r} text {module.template['query_suffix']!r} thought"),
        ("document", f"{module.template['document_prefix']!r} text {module.template['document_suffix']!r}"),
        ("fingerprint", fingerprint(loaded)),
    ):
        say(f"{name:18} {value}")

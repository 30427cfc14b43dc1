"""Modules for a sentence-transformers pipeline."""

from search_r3.modules.reasoning_transformer import ReasoningTransformer

__all__ = ["ReasoningTransformer"]

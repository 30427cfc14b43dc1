"""The trained models' entries for mteb's registry, to go there as model_implementations/search_r3_models.

Needs mteb and sentence-transformers alone. `search-r3 mteb` is the way until they are there. The revisions
are the Hub's, and so still empty.
"""

from __future__ import annotations

from typing import Any, Literal

from mteb.models import ModelMeta, SentenceTransformerEncoderWrapper
from mteb.models.model_meta import ScoringFunction
from sentence_transformers import SentenceTransformer


class SearchR3Wrapper(SentenceTransformerEncoderWrapper):
    """A model whose queries think before they are embedded.

    How they do is an argument of the loader, because the result cache keeps results apart by these.

    Args:
        model: Name on the Hub or a folder.
        revision: Revision on the Hub.
        device: Where to load it.
        reasoning: always, never or auto; None means the model's default.
        max_reasoning_tokens: Most tokens of a thought; None means the model's default.
        **kwargs: Of the wrapper, and of SentenceTransformer.
    """

    def __init__(
        self,
        model: str | SentenceTransformer,
        revision: str | None = None,
        device: str | None = None,
        *,
        reasoning: Literal["always", "never", "auto"] | None = None,
        max_reasoning_tokens: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, revision, device, trust_remote_code=True, **kwargs)
        module: Any = self.model[0]
        if reasoning is not None:
            module.reasoning = reasoning
        if max_reasoning_tokens is not None:
            module.max_reasoning_tokens = max_reasoning_tokens


search_r3_gemma3_270m = ModelMeta(
    loader=SearchR3Wrapper,
    name="search-r3/search-r3-gemma3-270m",
    model_type=["dense"],
    languages=["eng-Latn"],
    open_weights=True,
    revision=None,
    release_date="2026-11-28",
    n_parameters=268_139_136,
    n_embedding_parameters=167_813_120,
    memory_usage_mb=1023,
    max_tokens=1024,
    embed_dim=640,
    license="gemma",
    similarity_fn_name=ScoringFunction.COSINE,
    framework=["Sentence Transformers", "PyTorch", "safetensors"],
    reference="https://arxiv.org/abs/2510.07048",
    use_instructions=True,
    adapted_from="google/gemma-3-270m",
    superseded_by=None,
    training_datasets=set(),  # none of mteb's
    public_training_code=None,
    public_training_data=None,
)

search_r3_smollm2_135m = ModelMeta(
    loader=SearchR3Wrapper,
    name="search-r3/search-r3-smollm2-135m",
    model_type=["dense"],
    languages=["eng-Latn"],
    open_weights=True,
    revision=None,
    release_date="2026-11-25",
    n_parameters=134_551_872,
    n_embedding_parameters=28_348_416,
    memory_usage_mb=513,
    max_tokens=1024,
    embed_dim=576,
    license="apache-2.0",
    similarity_fn_name=ScoringFunction.COSINE,
    framework=["Sentence Transformers", "PyTorch", "safetensors"],
    reference="https://arxiv.org/abs/2510.07048",
    use_instructions=True,
    adapted_from="HuggingFaceTB/SmolLM2-135M-Instruct",
    superseded_by=None,
    training_datasets=set(),  # none of mteb's
    public_training_code=None,
    public_training_data=None,
)

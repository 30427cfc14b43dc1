"""The TOML file of a supervised run, read into frozen objects; a key nobody knows is an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from search_r3.model.prompt_encoder import EvidenceLimits
from search_r3.model.thoughts import Reasoning
from search_r3.training.run_config import AdapterConfig, DevConfig, Section, TrainerTable, read_run_file


class ModelConfig(Section):
    """What is trained.

    Attributes:
        base: ``embedded`` (the default model's LLM, untrained), ``default`` (the default model, trained),
            a prepared or trained folder, or a Hub id of one.
        dtype: Type of the frozen weights; trained weights are float32.
        adapter: LoRA; None trains every weight.
    """

    base: str = "embedded"
    dtype: Literal["float32", "bfloat16"] = "float32"
    adapter: AdapterConfig | None = None

    @model_validator(mode="after")
    def _trained_weights_are_float32(self) -> ModelConfig:
        if self.adapter is None and self.dtype != "float32":
            raise ValueError(
                f"dtype={self.dtype!r} without an adapter would train weights in half precision, in which "
                "small steps round away: take float32, with bf16=true in [trainer] for speed"
            )
        return self


class SourceConfig(Section):
    """How much of a training set is used, and how.

    Attributes:
        examples: Examples drawn; more than there are pairs repeats them, each time with new draws. With 0
            the source is for the dev split alone, and shows what training gives where it did not look.
        negatives: Hard negatives of a pair; pairs that have fewer come in batches of their own, without.
        reversed: Share of examples asked the other way round (positive as query), without negatives.
        reads: Of the other examples without thoughts, the share that reads the positive or a hard negative
            and skips the thought: one search is enough, whatever it found.
    """

    examples: int = Field(ge=0)
    negatives: int = Field(default=1, ge=0)
    reversed: float = Field(default=0.0, ge=0, le=1)
    reads: float = Field(default=0.0, ge=0, le=1)


class DataConfig(Section):
    """Which examples there are, and how they are put into batches.

    Attributes:
        sources: Training sets by name (``search-r3 data`` builds them).
        thoughts: Parquet file of ``search-r3 thoughts``. Thoughts that a training set comes with are used
            anyway. Where there are none, direct embeddings are trained.
        negatives: Folder of ``search-r3 mine``. Of a source that is in it only the mined pairs are trained
            on, with their negatives; None takes the training sets as they are.
        thinking_share: Of the examples that have thoughts, the share that is embedded after one.
        cut_share: Share of those whose thought is cut at a random length, embed token appended.
        wrong_share: Of the thoughts about passages, the share in whose place a name stands that is not what
            to look up. It is not taught: the vector learns to doubt.
        empty_share: Of these, the share that is left out, so that the passages alone lead to the answer. That
            the thought ends there is not taught.
        max_query_tokens: Limit of a query with its template, without its thought.
        max_document_tokens: Limit of a document with its template.
        max_thought_tokens: Longest thought.
        max_passage_tokens: Most tokens of a passage that a thought is about. This limit and the next are
            those of the final model if there are such thoughts.
        max_evidence_tokens: Most tokens of all passages of a query, beside ``max_query_tokens``. A longer
            query takes of it.
        batch_tokens: Most tokens of a batch, padding included.
        batch_rows: Most examples of a batch.
        dev_queries: Queries held out of every source for choosing a checkpoint.
        dev_documents: Documents they are ranked among, for each source.
    """

    sources: dict[str, SourceConfig]
    thoughts: Path | None = None
    negatives: Path | None = None
    thinking_share: float = Field(default=0.5, ge=0, le=1)
    cut_share: float = Field(default=0.25, ge=0, le=1)
    wrong_share: float = Field(default=0.0, ge=0, le=1)
    empty_share: float = Field(default=0.0, ge=0, le=1)
    max_query_tokens: int = Field(default=64, ge=8)
    max_document_tokens: int = Field(default=128, ge=8)
    max_thought_tokens: int = Field(default=16, ge=1)
    max_passage_tokens: int = Field(default=128, ge=1)
    max_evidence_tokens: int = Field(default=256, ge=1)
    batch_tokens: int = Field(default=8192, ge=64)
    batch_rows: int = Field(default=64, ge=2)
    dev_queries: int = Field(default=40, ge=0)
    dev_documents: int = Field(default=400, ge=10)

    @property
    def evidence_limits(self) -> EvidenceLimits:
        """How much of its evidence a query reads."""
        return EvidenceLimits(self.max_passage_tokens, self.max_evidence_tokens)


class LossConfig(Section):
    """Weights and constants of the parts; a weight of 0 leaves the part out. See ``objective``.

    The paper sums its parts plainly and its weights are not known (arXiv 2510.07048). The defaults follow
    LREM (arXiv 2510.14321), which has the same token design; the temperature is a sweep's choice
    (benchmarks/LOG.md). ``mini_batch_tokens`` is that of gradient caching (``cached``). ``hinge`` weighs
    what a thought costs its query. ``terms`` is the weight of the TF-IDF cosine that the ranking part adds to
    the teacher's. ``agreeing`` leaves out of that part the queries whose positive the teacher, with these
    terms, does not rank first among the batch's documents.
    """

    contrastive: float = Field(default=1.0, ge=0)
    next_token: float = Field(default=0.1, ge=0)
    kl: float = Field(default=0.05, ge=0)
    triplet: float = Field(default=0.0, ge=0)
    hinge: float = Field(default=0.0, ge=0)
    distillation: float = Field(default=0.0, ge=0)
    ranking: float = Field(default=0.0, ge=0)
    terms: float = Field(default=0.0, ge=0)
    agreeing: bool = False
    temperature: float = Field(default=0.02, gt=0)
    teacher_temperature: float = Field(default=0.05, gt=0)
    triplet_margin: float = Field(default=0.2, gt=0)
    false_negative_margin: float | None = Field(default=None, ge=0)
    matryoshka_dimensions: tuple[int, ...] = ()
    cached: bool = False
    mini_batch_tokens: int = Field(default=512, ge=64)

    @model_validator(mode="after")
    def _terms_are_ranked_by(self) -> LossConfig:
        for name, value in (("terms", self.terms), ("agreeing", self.agreeing)):
            if value and not self.ranking:
                raise ValueError(
                    f"{name}={value} changes the ranking part alone: set ranking above 0 as well"
                )
        return self

    @model_validator(mode="after")
    def _something_is_learnt(self) -> LossConfig:
        if not (self.embeds or self.next_token or self.kl):
            raise ValueError("all weights are 0, wanted one above it: nothing would be learnt")
        if self.cached and not self.embeds:
            raise ValueError("cached=true embeds in pieces, but no part embeds: leave it out")
        return self

    @property
    def embeds(self) -> bool:
        """Whether a part looks at documents; without one, none is embedded, and only thoughts are learnt."""
        return bool(self.contrastive or self.triplet or self.hinge or self.uses_teacher)

    @property
    def uses_teacher(self) -> bool:
        """Whether a part looks at the teacher."""
        return bool(self.distillation or self.ranking)


class TrainingConfig(Section):
    """A whole run.

    Attributes:
        output: Folder of checkpoints, logs and the final model.
        seed: Decides examples, thoughts, batches and every draw of the trainer.
        evaluation_arms: Arms of the dev split's scores; the first one chooses the checkpoint.
        patience: Evaluations without a better score before training stops; None never stops early.
        model: What is trained.
        data: On what.
        dev: Tasks outside of the training sets' domains that choose the checkpoint, without a dev split.
        loss: Towards what.
        trainer: Passed to ``SentenceTransformerTrainingArguments`` as it is.
    """

    output: Path
    seed: int = 0
    evaluation_arms: tuple[Reasoning, ...] = Field(default=("never", "always"), min_length=1)
    patience: int | None = Field(default=None, ge=1)
    model: ModelConfig = ModelConfig()
    data: DataConfig
    dev: DevConfig = DevConfig()
    loss: LossConfig = LossConfig()
    trainer: TrainerTable = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_chooses(self) -> TrainingConfig:
        if self.dev.tasks and self.data.dev_queries:
            raise ValueError(
                f"dev.tasks and data.dev_queries={self.data.dev_queries} would both choose the checkpoint: "
                "set dev_queries = 0, or leave out [dev]"
            )
        return self


def read_config(path: Path, changes: Sequence[str] = ()) -> TrainingConfig:
    """Read a supervised run's TOML file.

    Raises:
        InvalidOptionError: As :func:`search_r3.training.run_config.read_run_file`.
    """
    return read_run_file(path, TrainingConfig, changes)

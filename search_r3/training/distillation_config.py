"""The TOML file of a distillation run (stage 0), read into frozen objects; an unknown key is an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, model_validator

from search_r3.training.run_config import DevConfig, Section, TrainerTable, read_run_file
from search_r3.training.sft_config import ModelConfig


class TextConfig(Section):
    """Which texts are distilled, and how they are put into batches.

    Attributes:
        sources: Training sets whose texts are drawn; empty means the pool of all that ``search-r3 data``
            builds.
        texts: Texts that are drawn from the pool in all; with ``one_source`` rounded to whole batches.
        source_power: A source's share of the draws grows with its number of texts to this power: 1 draws all
            texts alike, 0 all sources.
        query_share: Share of the short texts that is embedded as queries; all others are documents.
        query_words: Longest text, in words, that may be a query.
        max_tokens: Limit of a text with its template.
        batch_rows: Most texts of a batch.
        batch_tokens: Most tokens of a batch, padding included; with ``one_source`` every text counts as one
            of ``max_tokens``.
        one_source: Whether the texts of a batch are of one source. They are then nearer to each other, as the
            documents of a corpus are, and the batch's cosines say more.
        map_texts: Texts on which the map of the cosine part is fitted before training, more than the
            teacher's vectors have dimensions.
    """

    sources: tuple[str, ...] = ()
    texts: int = Field(ge=2)
    source_power: float = Field(default=0.5, ge=0, le=1)
    query_share: float = Field(default=0.5, ge=0, le=1)
    query_words: int = Field(default=24, ge=1)
    max_tokens: int = Field(default=96, ge=8)
    batch_rows: int = Field(default=128, ge=2)
    batch_tokens: int = Field(default=6144, ge=64)
    one_source: bool = False
    map_texts: int = Field(default=2048, ge=16)


class DistillationWeights(Section):
    """Weights of the parts and their constants; see ``distillation_loss``.

    Attributes:
        cosine: Of one minus the cosine between the vector and the teacher's, which a fixed map brings over.
        similarity: Of the squared difference between the batch's cosines and the teacher's.
        ranking: Of the divergence of the softmax over a text's cosines with the others from the teacher's.
        temperature: Of both softmaxes, in cosine.
    """

    cosine: float = Field(default=1.0, ge=0)
    similarity: float = Field(default=10.0, ge=0)
    ranking: float = Field(default=0.0, ge=0)
    temperature: float = Field(default=0.05, gt=0)

    @model_validator(mode="after")
    def _something_is_learnt(self) -> DistillationWeights:
        if not (self.cosine or self.similarity or self.ranking):
            raise ValueError("all weights are 0, wanted one above it: nothing would be learnt")
        return self


class DistillationConfig(Section):
    """A whole run.

    Attributes:
        output: Folder of checkpoints, logs and the final model.
        seed: Decides the texts, their roles, the batches and every draw of the trainer.
        model: What is trained.
        data: On what.
        dev: What is measured.
        loss: Towards what.
        trainer: Passed to ``SentenceTransformerTrainingArguments`` as it is.
    """

    output: Path
    seed: int = 0
    model: ModelConfig = ModelConfig()
    data: TextConfig
    dev: DevConfig = DevConfig()
    loss: DistillationWeights = DistillationWeights()
    trainer: TrainerTable = Field(default_factory=dict)


def read_config(path: Path, changes: Sequence[str] = ()) -> DistillationConfig:
    """Read a distillation run's TOML file.

    Raises:
        InvalidOptionError: As :func:`search_r3.training.run_config.read_run_file`.
    """
    return read_run_file(path, DistillationConfig, changes)

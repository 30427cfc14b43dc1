"""The TOML file of a supervised run, read into frozen objects; a key nobody knows is an error."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from search_r3.errors import InvalidOptionError
from search_r3.model.thoughts import Reasoning

Run = TypeVar("Run", bound=BaseModel)


class Section(BaseModel):
    """A table of a run's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AdapterConfig(Section):
    """LoRA, through peft.

    Attributes:
        rank: Rank of the two factors.
        alpha: The update is scaled by alpha / rank.
        dropout: Dropout before the factors, 0 to 1.
        targets: Names of the linear layers that get one.
        first_layer: Layers below it stay as they are.
        train_embed_token: Whether the embed token's row is trained as well. If it is not, layers below
            ``first_layer`` need no gradient at all, and training is faster by their share.
        start: Folder of an adapter to go on with (a run's ``adapter``), made with the same rank, alpha,
            targets and layers on the same base; None starts a new one.
    """

    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    first_layer: int = Field(default=0, ge=0)
    train_embed_token: bool = True
    start: Path | None = None


class ModelConfig(Section):
    """What is trained.

    Attributes:
        base: ``embedded`` (the embedded LLM, untrained), ``default`` (the default model, which is trained),
            a prepared or trained folder, or a Hub id of one.
        dtype: Type of the frozen weights; trained weights are float32.
        adapter: LoRA; None trains every weight.
    """

    base: str = "embedded"
    dtype: Literal["float32", "bfloat16"] = "float32"
    adapter: AdapterConfig | None = None


class SourceConfig(Section):
    """How much of a training set is used, and how.

    Attributes:
        examples: Examples drawn; more than there are pairs repeats them, each time with another exit. With 0
            the source is for the dev split alone, and shows what training gives where it did not look.
        negatives: Hard negatives of a pair; pairs that have fewer come in batches of their own, without.
        reversed: Share of examples asked the other way round (positive as query), without negatives.
    """

    examples: int = Field(ge=0)
    negatives: int = Field(default=1, ge=0)
    reversed: float = Field(default=0.0, ge=0, le=1)


class DataConfig(Section):
    """Which examples there are, and how they are put into batches.

    Attributes:
        sources: Training sets by name (``search-r3 data`` builds them).
        thoughts: Parquet file of ``search-r3 thoughts``; None trains the direct exit only.
        thinking_share: Share of the examples with a thought that leave through the thinking exit.
        cut_share: Share of those whose thought is cut at a random length, embed token appended.
        max_query_tokens: Limit of a query with its template, without its thought.
        max_document_tokens: Limit of a document with its template.
        max_thought_tokens: Longest thought.
        batch_tokens: Most tokens of a batch, padding included.
        batch_rows: Most examples of a batch.
        dev_queries: Queries held out of every source for choosing a checkpoint.
        dev_documents: Documents they are ranked among, for each source.
    """

    sources: dict[str, SourceConfig]
    thoughts: Path | None = None
    thinking_share: float = Field(default=0.5, ge=0, le=1)
    cut_share: float = Field(default=0.25, ge=0, le=1)
    max_query_tokens: int = Field(default=64, ge=8)
    max_document_tokens: int = Field(default=128, ge=8)
    max_thought_tokens: int = Field(default=16, ge=1)
    batch_tokens: int = Field(default=8192, ge=64)
    batch_rows: int = Field(default=64, ge=2)
    dev_queries: int = Field(default=40, ge=0)
    dev_documents: int = Field(default=400, ge=10)


class LossConfig(Section):
    """Weights and constants of the parts; a weight of 0 leaves the part out. See ``objective``.

    The paper sums its parts plainly and its weights are not known (arXiv 2510.07048). The defaults follow
    LREM (arXiv 2510.14321), which has the same token design; the temperature is a sweep's choice
    (benchmarks/README.md).
    """

    contrastive: float = Field(default=1.0, ge=0)
    next_token: float = Field(default=0.1, ge=0)
    kl: float = Field(default=0.05, ge=0)
    triplet: float = Field(default=0.0, ge=0)
    distillation: float = Field(default=0.0, ge=0)
    temperature: float = Field(default=0.02, gt=0)
    triplet_margin: float = Field(default=0.2, gt=0)
    false_negative_margin: float | None = Field(default=None, ge=0)
    matryoshka_dimensions: tuple[int, ...] = ()
    cached: bool = False
    mini_batch_tokens: int = Field(default=512, ge=64)


class TrainingConfig(Section):
    """A whole run.

    Attributes:
        output: Folder of checkpoints, logs and the final model.
        seed: Decides examples, exits, batches and every draw of the trainer.
        evaluation_arms: Arms of the dev split's scores; the first one chooses the checkpoint.
        patience: Evaluations without a better score before training stops; None never stops early.
        model: What is trained.
        data: On what.
        loss: Towards what.
        trainer: Passed to ``SentenceTransformerTrainingArguments`` as it is.
    """

    output: Path
    seed: int = 0
    evaluation_arms: tuple[Reasoning, ...] = Field(default=("never", "always"), min_length=1)
    patience: int | None = Field(default=None, ge=1)
    model: ModelConfig = ModelConfig()
    data: DataConfig
    loss: LossConfig = LossConfig()
    trainer: dict[str, Any] = Field(default_factory=dict)

    @field_validator("trainer")
    @classmethod
    def _keep_out(cls, trainer: dict[str, Any]) -> dict[str, Any]:
        ours = {"output_dir", "seed", "data_seed", "per_device_train_batch_size", "batch_sampler"}
        ours.add("dataloader_drop_last")
        if taken := sorted(ours & set(trainer)):
            raise ValueError(f"{taken} are decided by `output`, `seed` and [data], not by [trainer]")
        return trainer

    @model_validator(mode="after")
    def _trained_weights_are_float32(self) -> TrainingConfig:
        if self.model.adapter is None and self.model.dtype != "float32":
            raise ValueError(
                f"model.dtype={self.model.dtype!r} without an adapter would train weights in half precision, "
                "in which small steps round away: take float32, with bf16=true in [trainer] for speed"
            )
        return self


def read_config(path: Path) -> TrainingConfig:
    """Read a supervised run's TOML file.

    Raises:
        InvalidOptionError: As :func:`read_run_file`.
    """
    return read_run_file(path, TrainingConfig)


def read_run_file(path: Path, kind: type[Run]) -> Run:
    """Read a TOML file into the configuration of some kind of run.

    Raises:
        InvalidOptionError: The file cannot be read, is not TOML, or has a key or value that is not known.
    """
    try:
        return kind.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidOptionError(f"Cannot read {path}: {error}.") from None
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in one['loc'])}: {one['msg']} (got {one['input']!r:.60})"
            for one in error.errors()
        ]
        raise InvalidOptionError("\n".join([f"{path} is not a configuration of a run:", *lines])) from None

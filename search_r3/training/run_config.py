"""What the configurations of training stages share: strict tables, adapter, dev tasks, the reader of TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from search_r3.errors import InvalidOptionError

Run = TypeVar("Run", bound=BaseModel)


class Section(BaseModel):
    """A table of a run's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _keep_out(trainer: dict[str, Any]) -> dict[str, Any]:
    ours = {"output_dir", "seed", "data_seed", "per_device_train_batch_size", "batch_sampler"}
    ours.add("dataloader_drop_last")
    if taken := sorted(ours & set(trainer)):
        raise ValueError(f"{taken} are decided by `output`, `seed` and [data], not by [trainer]")
    return trainer


TrainerTable = Annotated[dict[str, Any], AfterValidator(_keep_out)]
"""The table ``[trainer]`` of a run with sentence-transformers' trainer, without what other tables decide."""


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
        only_reading: Whether it is on for queries that read passages alone. Documents and other queries are
            then embedded by the base as it is, and examples without evidence are left out.
    """

    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    first_layer: int = Field(default=0, ge=0)
    train_embed_token: bool = True
    start: Path | None = None
    only_reading: bool = False


class DevConfig(Section):
    """What is measured at checkpoints: tasks of the dev suite, cut to a size that is quick.

    Attributes:
        tasks: Names of dev tasks (``search-r3 data`` builds them).
        multihop: Folder of ``hotpot-dev`` and ``musique-dev``, which no package holds.
        limit: Most queries of each; documents are left out in proportion. None keeps all.
        max_query_tokens: Limit of a query with its template.
        max_document_tokens: Limit of a document with its template.
    """

    tasks: tuple[str, ...] = ()
    multihop: Path | None = None
    limit: int | None = Field(default=None, ge=1)
    max_query_tokens: int = Field(default=64, ge=8)
    max_document_tokens: int = Field(default=128, ge=8)

    @model_validator(mode="after")
    def _there_are_tasks(self) -> DevConfig:
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        given = [name for name, value in defaults.items() if getattr(self, name) != value]
        if given and not self.tasks:
            raise ValueError(f"{', '.join(given)} without tasks: name some, or nothing would be measured")
        return self


def read_run_file(path: Path, kind: type[Run], changes: Sequence[str] = ()) -> Run:
    """Read a TOML file into the configuration of some kind of run.

    Args:
        path: The file.
        kind: What it configures.
        changes: Lines of TOML with other values for some keys, such as ``trainer.use_cpu = false``; a later
            one wins.

    Raises:
        InvalidOptionError: The file cannot be read, it or a change is not TOML, or has a key or value that is
            not known.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidOptionError(f"Cannot read {path}: {error}.") from None
    for change in changes:
        try:
            settings = changed(settings, tomllib.loads(change))
        except tomllib.TOMLDecodeError as error:
            raise InvalidOptionError(
                f"Got the change {change!r}, wanted a line of TOML such as 'trainer.use_cpu = false' or "
                f"'output = \"runs/other\"': {error}."
            ) from None
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in one['loc'])}: {one['msg']} (got {one['input']!r:.60})"
            for one in error.errors()
        ]
        raise InvalidOptionError("\n".join([f"{path} is not a configuration of a run:", *lines])) from None


def changed(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with some of them changed, table by table."""
    result = dict(settings)
    for key, value in changes.items():
        is_table = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = changed(result[key], value) if is_table else value
    return result

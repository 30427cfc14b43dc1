"""What the configurations of both training stages share: strict tables, the adapter, the reader of TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

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
    """

    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    first_layer: int = Field(default=0, ge=0)
    train_embed_token: bool = True
    start: Path | None = None


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

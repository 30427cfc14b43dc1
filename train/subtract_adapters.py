"""Subtract one adapter from another on the same base: what the second run changed in the first one's model.

    python train/subtract_adapters.py runs/first/adapter runs/second/adapter --output runs/difference

On the base with the first adapter merged, it does what the second one does on the base alone, exactly.
Its factors are those of both, one behind the other, and its rank is the sum. A run on the first model can
start from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors.torch import load_file, save_file

from search_r3.cli.running import run
from search_r3.errors import InvalidOptionError
from search_r3.files import atomic_path, file_sha256, write_text
from search_r3.model.adapter import ADAPTER_FILES, require_adapter
from search_r3.provenance import describe_environment
from search_r3.training.run_folder import ADAPTER, write_run_metadata

_CONFIG, _WEIGHTS = ADAPTER_FILES


def subtract(
    first: Annotated[Path, typer.Argument(help="Folder of an adapter.", show_default=False)],
    second: Annotated[
        Path, typer.Argument(help="Folder of another one on the same base.", show_default=False)
    ],
    output: Annotated[Path, typer.Option(help="Folder of the result.")],
) -> None:
    """Write the difference as an adapter for the model that has the first one merged."""
    for folder in (first, second):
        require_adapter(folder)
    settings = [json.loads((folder / _CONFIG).read_text(encoding="utf-8")) for folder in (first, second)]
    scales = [one["lora_alpha"] / one["r"] for one in settings]
    if scales[0] != scales[1]:
        raise InvalidOptionError(
            f"Got adapters scaled by {scales[0]} and {scales[1]}, wanted the same scale."
        )
    weights = difference(load_file(first / _WEIGHTS), load_file(second / _WEIGHTS))
    facts = {
        "config": {"first": str(first), "second": str(second)},
        "data_hashes": {str(folder): file_sha256(folder / _WEIGHTS) for folder in (first, second)},
        "processes": 1,
        "environment": describe_environment(),
    }
    write_run_metadata(output, facts)
    joined = {**settings[1], "r": settings[0]["r"] + settings[1]["r"]}
    joined["lora_alpha"] = scales[0] * joined["r"]
    write_text(output / ADAPTER / _CONFIG, json.dumps(joined, indent=2) + "\n")
    with atomic_path(output / ADAPTER / _WEIGHTS) as part:
        save_file(weights, part, {"format": "pt"})
    print(output / ADAPTER)


def difference(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The factors of second minus first: B2 A2 - B1 A1 = [B2, -B1] [A2; A1].

    Args:
        first: ``...lora_A.weight`` of shape (r, inputs) and ``...lora_B.weight`` of shape (outputs, r).
        second: Those of the same layers, with a rank of its own.

    Raises:
        InvalidOptionError: They are of other layers, or have other weights than these.
    """
    if set(first) != set(second) or any(
        not name.endswith(("lora_A.weight", "lora_B.weight")) for name in first
    ):
        raise InvalidOptionError(
            "Got adapters of different layers, or with an embed token, wanted plain LoRA of one."
        )
    return {
        name: torch.cat([second[name], first[name]], dim=0)
        if name.endswith("lora_A.weight")
        else torch.cat([second[name], -first[name]], dim=1)
        for name in first
    }


if __name__ == "__main__":
    run(subtract)

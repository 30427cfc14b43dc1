"""Average the adapters of two runs: the second one's gains, at part of what it lost elsewhere.

    python train/average_adapters.py runs/first/adapter runs/second/adapter --output runs/mean

The second run must have started from the first one's adapter, as ``start`` in its configuration says. Both
are then near each other, and the mean of their weights is a model too (Wortsman et al. 2022, arXiv
2203.05482). The mean is that of the two factors of LoRA, so that it has the rank of either.

The output gets ``adapter``, from which a run can start, ``final``, the model, and ``run.json``. The model
thinks by default, and reads passages, as the second one does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from safetensors.torch import load_file, save_file

from search_r3.cli.running import run
from search_r3.errors import InvalidOptionError
from search_r3.files import atomic_path, file_sha256, write_bytes
from search_r3.model.adapter import ADAPTER_FILES, require_adapter
from search_r3.model.prompt_encoder import EvidenceLimits
from search_r3.provenance import describe_environment
from search_r3.training.final_model import save_merged
from search_r3.training.run_folder import ADAPTER, FINAL, METADATA, write_run_metadata

_CONFIG, _WEIGHTS = ADAPTER_FILES


def average(
    first: Annotated[Path, typer.Argument(help="Folder of a run's adapter.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Folder of that of a run from it.", show_default=False)],
    output: Annotated[Path, typer.Option(help="Folder of the result.")],
    weight: Annotated[float, typer.Option(min=0, max=1, help="Weight of the second adapter.")] = 0.5,
) -> None:
    """Write the weighted mean of two adapters, and the model it makes."""
    for folder in (first, second):
        require_adapter(folder)
    trained = _second_run(first, second)
    config = trained["config"]
    weights = weighted_mean(load_file(first / _WEIGHTS), load_file(second / _WEIGHTS), weight)
    facts: dict[str, Any] = {
        "config": {"base": config["model"]["base"], "weight": weight},
        "base_fingerprint": trained["base_fingerprint"],
        "data_hashes": {str(folder): file_sha256(folder / _WEIGHTS) for folder in (first, second)},
        "processes": 1,
        "environment": describe_environment(),
    }
    write_run_metadata(output, facts)
    write_bytes(output / ADAPTER / _CONFIG, (first / _CONFIG).read_bytes())
    with atomic_path(output / ADAPTER / _WEIGHTS) as part:
        save_file(weights, part, {"format": "pt"})
    data = config["data"]
    save_merged(
        config["model"]["base"],
        output,
        data["max_thought_tokens"],
        reasoning="always" if trained["thinking_examples"] else "never",
        evidence=EvidenceLimits(data["max_passage_tokens"], data["max_evidence_tokens"])
        if trained["reading_examples"]
        else None,
    )
    print(output / FINAL)


def weighted_mean(
    first: dict[str, torch.Tensor], second: dict[str, torch.Tensor], weight: float
) -> dict[str, torch.Tensor]:
    """(1 - weight) of the first and weight of the second, tensor by tensor, computed in float32.

    Raises:
        InvalidOptionError: The two have other tensors, or a tensor of another shape.
    """
    shapes = [{name: values.shape for name, values in one.items()} for one in (first, second)]
    if shapes[0] != shapes[1]:
        raise InvalidOptionError(
            "Got two adapters of different layers or ranks, wanted two of the same model and configuration."
        )
    return {
        name: torch.lerp(values.float(), second[name].float(), weight).to(values.dtype)
        for name, values in first.items()
    }


def _second_run(first: Path, second: Path) -> dict[str, Any]:
    """What is known of the second run. The mean of two that were not trained from one another is no model."""
    metadata = second.parent / METADATA
    try:
        facts: dict[str, Any] = json.loads(metadata.read_text(encoding="utf-8"))[0]
        start = facts["start_hash"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InvalidOptionError(
            f"Got {second}, and {metadata} says nothing of a supervised run ({error!r}). Name the folder "
            "`adapter` inside such a run."
        ) from None
    if start != file_sha256(first / _WEIGHTS):
        raise InvalidOptionError(
            f"The run of {second} did not start from {first}, so their mean is no model. "
            "Set model.adapter.start to the first adapter and train the second one again."
        )
    return facts


if __name__ == "__main__":
    run(average)

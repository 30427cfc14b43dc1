"""Make a run's adapter the one of the default model: smaller, without traces of this machine, and checked.

    python train/ship_adapter.py runs/smollm2-135m-sft/adapter

Its weights are rounded to bfloat16, half the size; the default model is prepared with it, and its golden
vectors are written, both inside the installed package (an editable installation of this repository).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors.torch import load_file, save_file

from search_r3 import default_model, default_model_folder
from search_r3.cli.running import run
from search_r3.model import default as embedded_model
from search_r3.model.adapter import ADAPTER_FILES, require_adapter
from search_r3.model.golden import write_golden


def ship(
    adapter: Annotated[Path, typer.Argument(help="Folder of a run's adapter.", show_default=False)],
) -> None:
    """Copy an adapter into the package, and write the golden vectors of the model it makes."""
    require_adapter(adapter)
    package = Path(embedded_model.__file__).parent
    target = package / embedded_model.ADAPTER
    target.mkdir(exist_ok=True)
    config_file, weights_file = ADAPTER_FILES
    config = json.loads((adapter / config_file).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = None  # a folder of the machine that trained it
    (target / config_file).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    weights = {name: values.to(torch.bfloat16) for name, values in load_file(adapter / weights_file).items()}
    save_file(weights, target / weights_file)
    (target / weights_file).chmod(0o644)
    model = default_model()
    folder = default_model_folder()
    golden = write_golden(model, folder)
    (package / embedded_model.GOLDEN).write_bytes(golden.read_bytes())
    print(f"{target}: {sum(values.numel() for values in weights.values()):,} weights; the model is {folder}")


if __name__ == "__main__":
    run(ship)

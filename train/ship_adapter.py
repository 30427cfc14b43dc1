"""Make a run's adapter that of a shipped model: smaller, without traces of this machine, and checked.

    python train/ship_adapter.py runs/gemma3-270m-mean/adapter
    python train/ship_adapter.py runs/smollm2-135m-abstracts/adapter --model smollm2-135m
    python train/ship_adapter.py runs/gemma3-270m-reading/adapter --reading

Its weights are rounded to half precision; the model is prepared with it, and its golden vectors are written,
both inside the installed package (an editable installation of this repository).
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
from search_r3.files import atomic_path, write_bytes, write_text
from search_r3.model.adapter import ADAPTER_FILES, reading_factors, require_adapter
from search_r3.model.default import DEFAULT, SHIPPED, default_model_folder, load_model
from search_r3.model.golden import write_golden
from search_r3.model.reading_adapter import READING_FILE


def ship(
    adapter: Annotated[Path, typer.Argument(help="Folder of a run's adapter.", show_default=False)],
    name: Annotated[
        str, typer.Option("--model", "-m", help=f"Which model's it becomes: {', '.join(SHIPPED)}.")
    ] = DEFAULT,
    reading: Annotated[
        bool,
        typer.Option("--reading", help="It is on while a query reads, beside the adapter that is merged."),
    ] = False,
) -> None:
    """Copy an adapter into the package, and write the golden vectors of the model it makes."""
    require_adapter(adapter)
    shipped = SHIPPED.get(name)
    if shipped is None:
        raise InvalidOptionError(f"Got --model {name}, wanted one of {', '.join(SHIPPED)}.")
    target = shipped.adapter
    if reading:
        weights = reading_factors(adapter)
        file = target / READING_FILE
    else:
        config_file, weights_file = ADAPTER_FILES
        config = json.loads((adapter / config_file).read_text(encoding="utf-8"))
        config["base_model_name_or_path"] = None  # a folder of the machine that trained it
        write_text(target / config_file, json.dumps(config, indent=2, sort_keys=True) + "\n")
        weights = {
            key: values.to(torch.bfloat16) for key, values in load_file(adapter / weights_file).items()
        }
        file = target / weights_file
    with atomic_path(file) as part:
        save_file(weights, part)
    folder = default_model_folder(name)
    model = load_model(folder)
    golden = write_golden(model, folder)
    write_bytes(shipped.golden, golden.read_bytes())
    print(f"{target}: {sum(values.numel() for values in weights.values()):,} weights; the model is {folder}")


if __name__ == "__main__":
    run(ship)

"""The TOML of a distillation run: the shipped ones are read, and what cannot be is refused with its place."""

import re
from pathlib import Path

import pytest

from search_r3.errors import InvalidOptionError
from search_r3.training.distillation_config import DistillationConfig, read_config

FOUND = sorted((Path(__file__).parents[3] / "train" / "configs").glob("**/distillation*.toml"))


def test_shipped_configurations():
    """Each writes below runs/, and comes back from run.json's form equal."""
    assert FOUND
    for path in FOUND:
        config = read_config(path)
        assert config.output.parts[0] == "runs"
        assert DistillationConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[data]\ntexts = 1", "data.texts.*greater than or equal to 2"),
        ("[data]\ntexts = 9\nrows = 1", "data.rows"),
        ("[data]\ntexts = 9\n[trainer]\nseed = 1", "decided by `output`, `seed` and"),
        ("[dev]\nlimit = 3", "data: Field required"),
        ("[data]\ntexts = 9\n[dev]\nlimit = 3", "limit without tasks: name some"),
        ("[data]\ntexts = 9\n[loss]\ncosine = 0\nsimilarity = 0", "all weights are 0"),
        ('[data]\ntexts = 9\n[dev]\nmultihop = "x"', "multihop without tasks: name some"),
        ('[data]\ntexts = 9\n[model]\ndtype = "bfloat16"', "model: .*take float32"),
    ],
)
def test_what_is_refused(tmp_path, line, message):
    """With the file and the dotted path."""
    path = tmp_path / "run.toml"
    path.write_text(f'output = "runs/x"\n{line}\n')
    with pytest.raises(InvalidOptionError, match=r"run\.toml") as caught:
        read_config(path)
    assert re.search(message, str(caught.value))

"""The TOML of a supervised run: what is read, what is refused, and what the message says."""

import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from search_r3.errors import InvalidOptionError
from search_r3.training.run_config import AdapterConfig
from search_r3.training.sft_config import (
    DataConfig,
    LossConfig,
    ModelConfig,
    SourceConfig,
    TrainingConfig,
    read_config,
)

CONFIGS = Path(__file__).parents[3] / "train" / "configs"
OTHERS = ("sweep", "grpo", "distillation")
FOUND = sorted(path for path in CONFIGS.glob("**/*.toml") if not path.name.startswith(OTHERS))

SMALLEST = {
    "": 'output = "runs/x"',
    "model": "",
    "model.adapter": "",
    "data": "",
    "data.sources.lintian": "examples = 7",
    "loss": "",
    "trainer": "",
}


def written(folder, section="", line="", *, without=None):
    """The smallest file, with one line more in one section and without another section."""
    text = ""
    for name, lines in SMALLEST.items():
        if name != without:
            text += (f"[{name}]\n" if name else "") + f"{lines}\n" + (f"{line}\n" if name == section else "")
    path = folder / "sft.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_smallest_file_is_all_defaults(tmp_path):
    """Output and one source with its number of examples are all a file needs; the rest are defaults."""
    path = tmp_path / "sft.toml"
    path.write_text('output = "runs/x"\n[data.sources.lintian]\nexamples = 7\n', encoding="utf-8")
    assert read_config(path) == TrainingConfig(
        output=Path("runs/x"), data=DataConfig(sources={"lintian": SourceConfig(examples=7)})
    )
    assert read_config(path).model == ModelConfig(base="embedded", dtype="float32", adapter=None)
    assert read_config(path).evaluation_arms == ("never", "always")


def test_empty_section_is_its_defaults(tmp_path):
    """A section that is there and empty counts: an empty [model.adapter] is LoRA, none is full training."""
    assert read_config(written(tmp_path)).model.adapter == AdapterConfig()
    assert read_config(written(tmp_path, without="model.adapter")).model.adapter is None


def test_promised_defaults():
    """Contrastive 1, next token 0.1, divergence 0.05, temperature 0.02, and no triplet or teacher."""
    loss = LossConfig()
    assert (loss.contrastive, loss.next_token, loss.kl) == (1.0, 0.1, 0.05)
    assert (loss.triplet, loss.distillation) == (0.0, 0.0)
    assert (loss.temperature, loss.matryoshka_dimensions, loss.cached) == (0.02, (), False)
    assert loss.false_negative_margin is None
    source = SourceConfig(examples=1)
    assert (source.negatives, source.reversed) == (1, 0.0)


def test_every_value_is_read_as_it_is_written(tmp_path):
    """Values arrive in their section, of their type; what is in [trainer] is passed on untouched."""
    path = tmp_path / "sft.toml"
    path.write_text(
        """
        output = "runs/y"
        seed = 3
        evaluation_arms = ["auto", "never"]
        patience = 2
        [model]
        base = "some/folder"
        dtype = "bfloat16"
        adapter = { rank = 4, alpha = 8, targets = ["q_proj"], first_layer = 12, train_embed_token = false }
        [data]
        thoughts = "runs/thoughts.parquet"
        [data.sources]
        a = { examples = 5, negatives = 0 }
        b = { examples = 6, reversed = 0.25 }
        [loss]
        kl = 0
        false_negative_margin = 0.1
        matryoshka_dimensions = [64, 32]
        [trainer]
        learning_rate = 1e-3
        unknown_to_us = { any = [1, "thing"] }
        """,
        encoding="utf-8",
    )
    config = read_config(path)
    assert config == TrainingConfig(
        output=Path("runs/y"),
        seed=3,
        evaluation_arms=("auto", "never"),
        patience=2,
        model=ModelConfig(
            base="some/folder",
            dtype="bfloat16",
            adapter=AdapterConfig(
                rank=4, alpha=8, targets=("q_proj",), first_layer=12, train_embed_token=False
            ),
        ),
        data=DataConfig(
            sources={
                "a": SourceConfig(examples=5, negatives=0),
                "b": SourceConfig(examples=6, reversed=0.25),
            },
            thoughts=Path("runs/thoughts.parquet"),
        ),
        loss=LossConfig(kl=0, false_negative_margin=0.1, matryoshka_dimensions=(64, 32)),
        trainer={"learning_rate": 1e-3, "unknown_to_us": {"any": [1, "thing"]}},
    )
    assert list(config.data.sources) == ["a", "b"]  # the order of the file is that of the examples


def test_there_are_configurations_to_check():
    """The repository ships at least one configuration of a supervised run."""
    assert FOUND


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_shipped_configuration_loads(path):
    """Each shipped file is read, writes somewhere under runs/, and comes back from run.json's form equal."""
    config = read_config(path)
    assert config.data.sources
    assert config.output.parts[0] == "runs"
    assert TrainingConfig.model_validate_json(config.model_dump_json()) == config


def test_every_option_is_set_by_a_shipped_configuration():
    """No option is without an example: train/configs/examples has those that no run needed."""
    used = set()
    for path in CONFIGS.glob("**/*.toml"):
        if not path.name.startswith(("grpo", "distillation")):
            used |= set(keys(tomllib.loads(path.read_text(encoding="utf-8"))))
    sections = (TrainingConfig, ModelConfig, AdapterConfig, DataConfig, SourceConfig, LossConfig)
    assert {name for section in sections for name in section.model_fields} <= used


def keys(table):
    """Every key of nested tables."""
    for key, value in table.items():
        yield key
        if isinstance(value, dict):
            yield from keys(value)


@pytest.mark.parametrize(
    ("section", "dotted"),
    [
        ("", "rnak"),
        ("model", "model.rnak"),
        ("model.adapter", "model.adapter.rnak"),
        ("data", "data.rnak"),
        ("data.sources.lintian", "data.sources.lintian.rnak"),
        ("loss", "loss.rnak"),
    ],
)
def test_unknown_key_names_its_place(tmp_path, section, dotted):
    """A key nobody knows is an error wherever it stands, with file, dotted path and value in the message."""
    path = written(tmp_path, section, "rnak = 4")
    with pytest.raises(InvalidOptionError) as caught:
        read_config(path)
    lines = str(caught.value).splitlines()
    assert lines == [
        f"{path} is not a configuration of a run:",
        f"  {dotted}: Extra inputs are not permitted (got 4)",
    ]


@pytest.mark.parametrize(
    ("section", "line", "wanted"),
    [
        ("", "patience = 0", "patience: Input should be greater than or equal to 1 (got 0)"),
        ("", 'seed = "x"', "seed: Input should be a valid integer"),
        (
            "",
            'evaluation_arms = ["never", "shuffled"]',
            "evaluation_arms.1: Input should be 'always', 'never'",
        ),
        (
            "model",
            'dtype = "float16"',
            "model.dtype: Input should be 'float32' or 'bfloat16' (got 'float16')",
        ),
        ("model.adapter", "rank = 0", "model.adapter.rank: Input should be greater than or equal to 1"),
        ("model.adapter", "alpha = 0", "model.adapter.alpha: Input should be greater than 0"),
        ("model.adapter", "dropout = 1.0", "model.adapter.dropout: Input should be less than 1"),
        ("model.adapter", 'targets = "q_proj"', "model.adapter.targets: Input should be a valid tuple"),
        ("data", "thinking_share = 1.01", "data.thinking_share: Input should be less than or equal to 1"),
        ("data", "cut_share = -0.01", "data.cut_share: Input should be greater than or equal to 0"),
        ("data", "max_thought_tokens = 0", "data.max_thought_tokens: Input should be greater"),
        ("data", "batch_rows = 1", "data.batch_rows: Input should be greater than or equal to 2 (got 1)"),
        ("data", "batch_rows = 2.5", "data.batch_rows: Input should be a valid integer"),
        ("data.sources.lintian", "negatives = -1", "data.sources.lintian.negatives: Input should be greater"),
        ("data.sources.lintian", "reversed = 2", "data.sources.lintian.reversed: Input should be less"),
        ("loss", "temperature = 0", "loss.temperature: Input should be greater than 0 (got 0)"),
        ("loss", "contrastive = -1", "loss.contrastive: Input should be greater than or equal to 0 (got -1)"),
        ("loss", "kl = nan", "loss.kl: Input should be greater than or equal to 0 (got nan)"),
    ],
)
def test_bad_value_names_its_place(tmp_path, section, line, wanted):
    """A value out of its range or of another type is an error with its dotted path and the value."""
    path = written(tmp_path, section, line)
    with pytest.raises(InvalidOptionError) as caught:
        read_config(path)
    assert f"\n  {wanted}" in str(caught.value)
    assert "(got " in str(caught.value)


@pytest.mark.parametrize(
    ("line", "wanted"), [("", "Field required"), ("examples = -1", "Input should be gr")]
)
def test_source_says_how_many_examples_it_gives(tmp_path, line, wanted):
    """A source without its number of examples, or one below 0, is named; 0 keeps it for the dev split."""
    path = written(tmp_path, "data.sources.lintian", f"[data.sources.other]\n{line}")
    with pytest.raises(InvalidOptionError, match=rf"\n  data\.sources\.other\.examples: {wanted}"):
        read_config(path)
    path = written(tmp_path, "data.sources.lintian", "[data.sources.other]\nexamples = 0")
    assert read_config(path).data.sources["other"] == SourceConfig(examples=0)


@pytest.mark.parametrize("share", [0, 1])
def test_ends_of_a_range_are_in_it(tmp_path, share):
    """A share may be exactly 0 or 1."""
    assert read_config(written(tmp_path, "data", f"thinking_share = {share}")).data.thinking_share == share
    assert read_config(written(tmp_path, "data", f"cut_share = {share}")).data.cut_share == share


def test_all_errors_are_told_at_once(tmp_path):
    """Three mistakes give three lines, so that one run of the command is enough to see them."""
    path = written(tmp_path, "loss", "temperature = -1\nkl = -1\nexponent = 1")
    with pytest.raises(InvalidOptionError) as caught:
        read_config(path)
    indices = [line.split(":")[0] for line in str(caught.value).splitlines()[1:]]
    assert sorted(indices) == ["  loss.exponent", "  loss.kl", "  loss.temperature"]


@pytest.mark.parametrize(
    "key", ["output_dir", "seed", "data_seed", "per_device_train_batch_size", "batch_sampler"]
)
def test_trainer_may_not_have_what_we_decide(tmp_path, key):
    """A trainer option that output, seed or [data] decide is refused, and the message says who decides."""
    path = written(tmp_path, "trainer", f"learning_rate = 1e-3\n{key} = 1")
    with pytest.raises(InvalidOptionError) as caught:
        read_config(path)
    wanted = (
        rf"  trainer: Value error, ['{key}'] are decided by `output`, `seed` and [data], not by [trainer]"
    )
    assert wanted in str(caught.value)


def test_trainer_names_every_key_it_may_not_have(tmp_path):
    """Two such keys are both named, in order; a good one is not."""
    path = written(tmp_path, "trainer", "seed = 1\nlearning_rate = 1e-3\nbatch_sampler = 'x'")
    with pytest.raises(InvalidOptionError, match=r"\['batch_sampler', 'seed'\] are decided"):
        read_config(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"\xff\xfe\x00", "can't decode byte 0xff in position 0"),
        (b"output = \n", "Invalid value (at line 1, column 10)"),
        (b"seed = 1\nseed = 2\n", "Cannot overwrite a value (at line 2"),
    ],
    ids=["missing", "not UTF-8", "not TOML", "key twice"],
)
def test_unreadable_file(tmp_path, content, reason):
    """A file that is missing, no text or no TOML is an error that names it and the reason."""
    path = tmp_path / "sft.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidOptionError) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"Cannot read {path}: ")
    assert reason in str(caught.value)


def test_folder_is_no_file(tmp_path):
    """A folder in the file's place is the same kind of error."""
    with pytest.raises(InvalidOptionError, match=r"Cannot read .*Is a directory"):
        read_config(tmp_path)


def test_empty_file_tells_what_is_wanted(tmp_path):
    """An empty file is TOML; the message names the two things no run can do without."""
    (tmp_path / "sft.toml").touch()
    with pytest.raises(InvalidOptionError) as caught:
        read_config(tmp_path / "sft.toml")
    assert str(caught.value).splitlines()[1:] == [
        "  output: Field required (got {})",
        "  data: Field required (got {})",
    ]


def test_long_values_are_cut_in_the_message(tmp_path):
    """A message shows the first 60 characters of a value, not a page of it."""
    path = written(tmp_path, "model", f'dtype = "{"x" * 500}"')
    with pytest.raises(InvalidOptionError) as caught:
        read_config(path)
    # repr: a quote and 59 times x
    assert f"(got '{'x' * 59})" in str(caught.value)
    assert "x" * 60 not in str(caught.value)


def test_configuration_cannot_be_changed(tmp_path):
    """What was read stays as it was: run.json and the run cannot come apart."""
    config = read_config(written(tmp_path))
    for section, name in ((config, "seed"), (config.data, "batch_rows"), (config.loss, "kl")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, name, 5)


def test_changes_replace_values(tmp_path):
    """A change is a line of TOML: in a table others stay, a later change wins, and new tables come in."""
    path = written(tmp_path, "trainer", "use_cpu = true\nbf16 = true")
    config = read_config(
        path,
        [
            "trainer.use_cpu = false",
            "seed = 3",
            "data.sources.lintian.negatives = 2",
            "data.sources.other = { examples = 4 }",
            "seed = 4",
            'output = "runs/y"',
        ],
    )
    assert (config.trainer, config.seed, config.output) == (
        {"use_cpu": False, "bf16": True},
        4,
        Path("runs/y"),
    )
    assert config.data.sources == {
        "lintian": SourceConfig(examples=7, negatives=2),
        "other": SourceConfig(examples=4),
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("output = runs/y", "Got the change 'output = runs/y', wanted a line of TOML"),
        ("seed", "wanted a line of TOML"),
        ("data.batch_row = 8", "data.batch_row"),
        ("data = 8", "data: .*got 8"),
    ],
)
def test_a_change_that_is_none(tmp_path, change, message):
    """No TOML, an unknown key, or a value where a table belongs: an error that says so."""
    with pytest.raises(InvalidOptionError, match=f"(?s){message}"):
        read_config(written(tmp_path), [change])

"""Every command that the documentation or a script names parses: no option is named that does not exist."""

import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from documentation import PAGES, RECORDS, ROOT, blocks, name_of

from search_r3.cli.app import app
from search_r3.training.distillation_config import read_config as read_distillation
from search_r3.training.sft_config import read_config as read_sft

CONFIGS = sorted((ROOT / "train" / "configs").glob("**/*.toml"))


def parse(words: list[str], folder: Path) -> None:
    """Read the words after `search-r3` as the command line would, without running the command.

    Files that an option wants to exist are made in `folder`, which is the working directory.

    Raises:
        Exception: typer's own, if a command or an option does not exist or a value is missing.
    """
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="search-r3")
    while hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(context, words)
        context = typer.Context(command, info_name=name, parent=context)
    while True:
        try:
            command.make_context(context.info_name, list(words), parent=context.parent)
            return
        except Exception as error:
            absent = re.search(r"(File|Directory|Path) '([^']+)' does not exist", str(error))
            if absent is None:
                raise
            path = folder / absent[2]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir() if absent[1] == "Directory" else path.touch()


@pytest.fixture
def working_directory(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def script_options(script: str, cache: dict[str, str]) -> str:
    """The help text of a script."""
    if script not in cache:
        outcome = subprocess.run(
            [sys.executable, ROOT / script, "--help"], capture_output=True, text=True, check=True
        )
        cache[script] = outcome.stdout
    return cache[script]


def commands(text: str) -> Iterator[list[str]]:
    """The commands of a shell script or block, as words; variables that hold a command's start are put in."""
    text = re.sub(r"\\\n#?\s*", " ", text)
    variables = dict(re.findall(r'^#?\s*(\w+)="(search-r3 [^"]*)"', text, re.MULTILINE))
    for name, value in variables.items():
        text = re.sub(rf"^(#?\s*)\${name}\b", rf"\g<1>{value}", text, flags=re.MULTILINE)
    for line in text.splitlines():
        for part in re.split(r"&&|;", line.lstrip("# ")):
            if re.match(r"\s*(\.venv/bin/)?(search-r3|python (train|benchmarks)/)", part):
                yield shlex.split(part, comments=True)


def documented() -> Iterator[object]:
    """Every command of the pages, the records and the configurations' comments."""
    for page in [*PAGES, *RECORDS]:
        for block in blocks(page, "bash"):
            for words in commands(block):
                yield pytest.param(words, id=f"{name_of(page)}: {' '.join(words)}")
    for config in CONFIGS:
        comments = "\n".join(re.findall(r"^#.*", config.read_text(encoding="utf-8"), re.MULTILINE))
        for words in commands(comments):
            yield pytest.param(words, id=f"{name_of(config)}: {' '.join(words)}")


DOCUMENTED = list(documented())


def test_the_commands_are_found() -> None:
    """Pages, log and configurations all name some: the search for them has not gone blind."""
    ids = [parameter.id for parameter in DOCUMENTED]
    for start in (
        "README.md: ",
        "docs/usage.md: ",
        "benchmarks/LOG.md: ",
        "train/configs/smollm2-135m/abstracts",
    ):
        assert any(one.startswith(start) for one in ids), start


@pytest.mark.parametrize("words", [one for one in DOCUMENTED if one.values[0][0].endswith("search-r3")])
def test_commands_parse(words, working_directory) -> None:
    parse(words[1:], working_directory)


@pytest.mark.slow
@pytest.mark.parametrize("words", [one for one in DOCUMENTED if one.values[0][0] == "python"])
def test_scripts_have_the_options(words, script_help) -> None:
    """Each option stands in the script's own help text."""
    for option in [word for word in words[2:] if word.startswith("-")]:
        assert re.search(rf"{re.escape(option)}\b", script_options(words[1], script_help)), option


@pytest.fixture(scope="module")
def script_help() -> dict[str, str]:
    return {}


@pytest.mark.parametrize("words", [["no-such-command"], ["info", "--no-such-option"], ["index"]])
def test_what_does_not_exist_does_not_parse(words, working_directory) -> None:
    """A command, an option and an argument that is missing."""
    with pytest.raises(Exception, match=r"No such|[Mm]issing"):
        parse(words, working_directory)


def test_the_page_of_the_command_line_is_up_to_date() -> None:
    module = runpy.run_path(str(ROOT / "docs" / "make_cli_page.py"))
    assert module["PAGE"].read_text(encoding="utf-8") == module["render"](), "run docs/make_cli_page.py"


class TestReferenceRun:
    """train/run_reference.sh: the whole way to the direct model of Gemma 3 270M."""

    SCRIPT = ROOT / "train" / "run_reference.sh"

    def printed(self, *options: str) -> list[list[str]]:
        outcome = subprocess.run(
            [self.SCRIPT, *options],
            capture_output=True,
            text=True,
            env={**os.environ, "DRY_RUN": "1", "PYTHON": "/no/such/python"},
            check=True,
        )
        return [shlex.split(line) for line in outcome.stdout.splitlines()]

    def test_runs_the_steps_in_order(self) -> None:
        """Data; distillation; contrast, three times; the mean of the last two."""
        folder = "train/configs/gemma3-270m"
        runs = "runs/gemma3-270m"
        assert [words[: 4 if words[1] == "train" else 3] for words in self.printed()] == [
            ["search-r3", "data"],
            ["search-r3", "train", "distillation", f"{folder}/distillation.toml"],
            ["search-r3", "train", "sft", f"{folder}/contrastive.toml"],
            ["search-r3", "train", "sft", f"{folder}/contrastive-terms.toml"],
            ["search-r3", "train", "sft", f"{folder}/contrastive-domains.toml"],
            [
                "train/average_adapters.py",
                f"{runs}-contrastive-terms/adapter",
                f"{runs}-contrastive-domains/adapter",
            ],
        ]
        assert [words[1:] for words in self.printed("--skip-data")] == [
            words[1:] for words in self.printed()
        ][1:]

    @pytest.mark.parametrize("device", ["cpu", "cuda"])
    @pytest.mark.parametrize("name", ["gemma3-270m", "tiny-reference"])
    def test_a_piece_reads_what_the_ones_before_wrote(self, name, device, working_directory) -> None:
        """Every command parses, every configuration is one, and the adapters that it reads are there."""
        made: set[str] = set()
        for words in self.printed("--device", device, "--configs", f"train/configs/{name}"):
            if words[0] == "train/average_adapters.py":
                assert {str(Path(folder).parent) for folder in words[1:3]} <= made
                made.add(words[words.index("--output") + 1])
                continue
            parse(words[1:], working_directory)
            if words[1] != "train":
                continue
            changes = [words[n + 1] for n, word in enumerate(words) if word == "--set"]
            read = {"distillation": read_distillation, "sft": read_sft}[words[2]]
            config = read(ROOT / words[3], changes)
            assert config.trainer["use_cpu"] == (device == "cpu")
            assert (config.data.batch_rows == 1024) == (device == "cuda")
            if start := config.model.adapter.start:
                assert str(start.parent) in made
            made.add(str(config.output))
        assert f"runs/{name}-mean" in made

    def test_skips_what_is_finished(self, tmp_path) -> None:
        """After three pieces the fourth and the mean are left; after those nothing is."""
        (tmp_path / "checkout" / "train").mkdir(parents=True)
        script = tmp_path / "checkout" / "train" / "run_reference.sh"
        script.write_bytes(self.SCRIPT.read_bytes())
        python, calls = tmp_path / "python", tmp_path / "calls"
        python.write_text('#!/bin/sh\necho "$1 $3 $4" >> "$CALLS"\n')
        python.chmod(0o755)
        calls.touch()
        for finished, wanted in (
            (
                ("distillation", "contrastive", "contrastive-terms"),
                [
                    "-c train sft",
                    "train/average_adapters.py runs/gemma3-270m-contrastive-domains/adapter --output",
                ],
            ),
            (("contrastive-domains", "mean"), []),
        ):
            for name in finished:
                (script.parents[1] / "runs" / f"gemma3-270m-{name}" / "final").mkdir(parents=True)
            calls.write_text("")
            subprocess.run(
                ["bash", script, "--skip-data"],
                env={**os.environ, "PYTHON": str(python), "CALLS": str(calls)},
                check=True,
            )
            assert calls.read_text().splitlines() == wanted

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--device", "tpu"], "Got --device tpu, wanted cpu or cuda."),
            (["--size"], "Got --size, wanted --device"),
            (["--configs"], "--configs wants a folder"),
        ],
    )
    def test_unknown_options_are_errors(self, options, message) -> None:
        outcome = subprocess.run(
            [self.SCRIPT, *options],
            capture_output=True,
            text=True,
            env={**os.environ, "DRY_RUN": "1"},
            check=False,
        )
        assert outcome.returncode != 0 and message in outcome.stderr and not outcome.stdout


class TestSmolLM2Run:
    """train/run_smollm2.sh: the whole way to the SmolLM2 model."""

    @pytest.fixture(scope="class")
    def printed(self) -> list[list[str]]:
        outcome = subprocess.run(
            [ROOT / "train" / "run_smollm2.sh"],
            capture_output=True,
            text=True,
            env={**os.environ, "DRY_RUN": "1", "PYTHON": "/no/such/python"},
            check=True,
        )
        return [shlex.split(line) for line in outcome.stdout.splitlines()]

    def test_runs_the_steps_in_order(self, printed) -> None:
        """Data; thoughts before each of the three pieces; the adapter; the curves."""
        steps = [" ".join(words[:2] if words[1] != "train" else words[:4]) for words in printed]
        piece = "search-r3 train sft train/configs/smollm2-135m"
        assert steps == [
            "search-r3 data",
            "search-r3 thoughts",
            f"{piece}/sft.toml",
            *["search-r3 thoughts"] * 2,
            f"{piece}/own-thoughts.toml",
            *["search-r3 thoughts"] * 3,
            f"{piece}/abstracts.toml",
            "python train/ship_adapter.py",
            "python benchmarks/training_curve.py",
        ]

    def test_every_command_parses(self, printed, working_directory) -> None:
        for words in printed:
            if words[0] == "search-r3":
                parse(words[1:], working_directory)
            else:
                assert (ROOT / words[1]).is_file()

    def test_writes_what_the_next_step_reads(self, printed) -> None:
        """A configuration's thoughts and starting adapter are outputs of the steps before."""
        made: set[str] = set()
        for words in printed:
            if words[1] == "thoughts":
                made.add(words[words.index("--output") + 1])
                model = words[words.index("--model") + 1] if "--model" in words else None
                assert model is None or str(Path(model).parent) in made
            elif words[1] == "train":
                config = (ROOT / words[3]).read_text(encoding="utf-8")
                for key in ("thoughts", "start"):
                    for path in re.findall(rf'^{key} = "(.+?)(?:/adapter)?"', config, re.MULTILINE):
                        assert path in made, path
                made.update(re.findall(r'^output = "(.+)"', config, re.MULTILINE))

    def test_skips_what_is_there(self, tmp_path) -> None:
        """With the third piece's model there, only the data, the adapter and the curves are left to do."""
        tree = tmp_path / "checkout"
        (tree / "train").mkdir(parents=True)
        (tree / "train" / "run_smollm2.sh").write_bytes((ROOT / "train" / "run_smollm2.sh").read_bytes())
        for name in ("sft", "own-thoughts", "abstracts"):
            (tree / "runs" / f"smollm2-135m-{name}" / "final").mkdir(parents=True)
        python = tmp_path / "python"
        python.write_text('#!/bin/sh\necho "$@" >> "$CALLS"\n')
        python.chmod(0o755)
        calls = tmp_path / "calls"
        for expected in (3, 5):  # the second run does not ship the adapter again
            subprocess.run(
                ["bash", tree / "train" / "run_smollm2.sh"],
                env={**os.environ, "PYTHON": str(python), "CALLS": str(calls)},
                check=True,
            )
            assert len(calls.read_text().splitlines()) == expected
        steps = calls.read_text()
        assert steps.count("ship_adapter") == 1 and "train sft" not in steps and "--origin" not in steps

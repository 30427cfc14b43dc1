"""The commands and scripts as a whole: one list, one spelling of options, one way to fail."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from search_r3 import extras
from search_r3.cli import app as cli
from search_r3.cli import running
from search_r3.errors import DataError, InvalidOptionError, MissingExtraError
from search_r3.model.thoughts import ARMS

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "demo", "index", "search", "embed", "export", "info", "doctor", "data", "import-pairs", "thoughts",
    "train", "evaluate", "mteb", "publish",
}  # fmt: skip
SCRIPTS = {
    "train/sft.py": ("train", "sft"),
    "train/grpo.py": ("train", "grpo"),
    "train/build_thoughts.py": ("thoughts",),
    "train/import_pairs.py": ("import-pairs",),
    "train/publish.py": ("publish",),
    "benchmarks/report.py": ("report",),
    "benchmarks/run_mteb.py": ("evaluate",),
    "benchmarks/run_beir.py": ("evaluate",),
}
"""The scripts that are a command, and which one."""

EXPERIMENTS = [
    "benchmarks/training_curve.py",
    "train/sweep.py",
    "train/ship_adapter.py",
    "benchmarks/run_baselines.py",
    "benchmarks/run_contract.py",
    "benchmarks/run_headroom.py",
    "benchmarks/run_refresh.py",
    "benchmarks/select_mini.py",
    "benchmarks/show_queries.py",
]
"""The scripts that are no command."""


def command(*path):
    """The command at a path such as ("train", "sft")."""
    found = typer.main.get_command(cli.app)
    for name in path:
        found = found.commands[name]
    return found


def leaves(group, *path):
    """Every command that does something, by its path."""
    for name, one in group.commands.items():
        yield from leaves(one, *path, name) if hasattr(one, "commands") else [((*path, name), one)]


def parameters(found):
    """Each argument and option, with the line of --help: it has the type, the help text and the default."""
    context = found.context_class(found)
    return [
        (
            one.name,
            tuple(one.opts),
            one.required,
            one.multiple if one.param_type_name == "option" else one.nargs,
            one.default,
            one.get_help_record(context),
        )
        for one in found.params
    ]


@pytest.fixture
def script_command(monkeypatch):
    """The command that a script runs, without running it."""
    monkeypatch.setattr(sys, "path", sys.path[:])

    def load(path):
        with monkeypatch.context() as patch:
            made = []
            patch.setattr(running, "run_app", made.append)
            runpy.run_path(str(ROOT / path), run_name="__main__")
        [app] = made
        return typer.main.get_command(app)

    return load


def run(*arguments):
    return CliRunner().invoke(cli.app, [str(one) for one in arguments])


def test_help_lists_all_commands():
    """In a process of its own, as a user asks for it; nothing heavy is imported for that."""
    program = (
        "import sys\n"
        "from search_r3.cli import main\n"
        "sys.argv = ['search-r3', '--help']\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    heavy = {'torch', 'numpy', 'pyarrow', 'mteb', 'datasets', 'trl'} & set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    listed = set(re.findall(r"^  ([a-z-]+)  ", done.stdout.partition("Commands:")[2], re.MULTILINE))
    assert listed >= COMMANDS
    assert set(command().commands) == listed


def test_every_command_has_help():
    """--help of each command says what it does and names each of its options."""
    found = dict(leaves(command()))
    assert {("train", "sft"), ("train", "grpo"), ("evaluate",), ("thoughts",), ("publish",)} <= set(found)
    for path, one in found.items():
        shown = run(*path, "--help")
        assert shown.exit_code == 0, (path, shown.output)
        assert one.help.split("\n")[0].split()[0] in shown.output
        for parameter in one.params:
            if parameter.param_type_name == "option":
                assert parameter.help, (path, parameter.name)
                assert max(parameter.opts, key=len) in shown.output, (path, parameter.name)


@pytest.mark.parametrize("path", SCRIPTS)
def test_a_script_is_its_command(script_command, path):
    """The same arguments and options, in names, types, defaults and help texts."""
    found, wanted = script_command(path), command(*SCRIPTS[path])
    assert parameters(found) == parameters(wanted)
    assert found.callback.__wrapped__ is wanted.callback.__wrapped__
    changed = {"harness": "beir"} if path == "benchmarks/run_beir.py" else {}
    assert found.context_settings.get("default_map", {}) == changed


def test_options_have_one_spelling(script_command):
    """Equal names have equal short names and a number of values; lists are named in the singular."""
    everywhere = dict(leaves(command())) | {(path,): script_command(path) for path in EXPERIMENTS}
    spellings = {}
    for path, one in everywhere.items():
        for option in one.params:
            if option.param_type_name != "option" or option.name in ("help", "install_completion"):
                continue
            long = max(option.opts, key=len)
            spellings.setdefault(long, {})[path] = tuple(sorted(option.opts))
            assert long not in ("--arms", "--tasks", "--sources", "--origins", "--sets", "--adapters")
            assert long not in ("--systems", "--output-folder", "--table", "--max-thought-tokens")
    assert {"--task", "--arm", "--source", "--origin", "--model", "--output", "--resume"} <= set(spellings)
    for long, found in spellings.items():
        assert len(set(found.values())) == 1, (long, found)
    assert set(spellings["--model"].values()) == {("--model", "-m")}


@pytest.mark.parametrize("arguments", [("evaluate",), ("mteb",)])
def test_an_unknown_arm_is_wrong_usage(arguments):
    """Exit code 2, and the arms are listed."""
    shown = run(*arguments, "--task", "CodeDocMini", "--arm", "sometimes")
    assert shown.exit_code == 2
    assert "--arm" in shown.output and "'sometimes' is not one of" in shown.output
    assert all(repr(arm) in shown.output for arm in ARMS)


@pytest.mark.parametrize(
    ("arguments", "option", "choices"),
    [
        (("evaluate", "-t", "x", "--harness", "y"), "--harness", ["mteb", "beir"]),
        (("evaluate", "-t", "x", "--dtype", "y"), "--dtype", ["float32", "bfloat16"]),
        (("thoughts", "--source", "x", "--output", "o", "--origin", "y"), "--origin", ["self", "teacher"]),
        (("embed", "x.txt", "x.npy", "--as", "y"), "--as", ["document", "query"]),
        (("embed", "x.txt", "x.npy", "--reasoning", "y"), "--reasoning", ["always", "never", "auto"]),
    ],
)
def test_values_out_of_a_list_are_checked(arguments, option, choices):
    """Exit code 2, the option and what it takes, before anything is loaded."""
    shown = run(*arguments)
    assert shown.exit_code == 2
    assert option in shown.output and all(repr(choice) in shown.output for choice in choices)


def test_repeatable_options_collect(monkeypatch, tmp_path):
    """Each value is given by an option of its own, and all arrive in order; the defaults are the old ones."""
    pytest.importorskip("pyarrow")
    from search_r3.training import thought_building

    seen = []
    monkeypatch.setattr(thought_building, "build_thoughts", lambda options: seen.append(options) or [])
    first = ("thoughts", "--source", "a", "--source", "b", "--output", tmp_path / "t.parquet")
    assert run(*first).exit_code == 0
    assert run(*first, "--origin", "self", "--origin", "terms", "--queries", 7).exit_code == 0
    plain, full = seen
    assert (plain.sources, plain.origins, plain.queries) == (["a", "b"], ["terms"], 2000)
    assert (full.sources, full.origins, full.queries) == (["a", "b"], ["self", "terms"], 7)
    assert (plain.model, plain.scorer, plain.skip, plain.samples) == ("smollm2-135m-base", "minilm", 0, 4)
    assert (plain.temperature, plain.max_reasoning_tokens, plain.batch_size) == (0.8, 16, 16)
    assert (plain.dtype, plain.seed, plain.four_part_prompt) == ("float32", 0, False)
    assert plain.output == tmp_path / "t.parquet"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InvalidOptionError("this option"), 2, "error: this option"),
        (DataError("this data"), 1, "error: this data"),
        (MissingExtraError("this extra"), 1, "error: this extra"),
        (FileNotFoundError(2, "No such file", "x"), 1, "error: [Errno 2] No such file: 'x'"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_are_one_line_and_an_exit_code(monkeypatch, capsys, error, code, message):
    """For a script as for the commands; other errors are bugs and keep their traceback."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["script.py"])
    with pytest.raises(SystemExit) as ended:
        running.run(fail)
    assert ended.value.code == code
    assert capsys.readouterr().err.strip() == message

    def bug() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        running.run(bug)


def test_an_interrupted_command_says_how_to_continue(monkeypatch, capsys):
    """Exit code 130 and one line."""

    def stop() -> None:
        with running.resumable("continue with --resume"):
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["script.py"])
    with pytest.raises(SystemExit) as ended:
        running.run(stop)
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted; continue with --resume\n"


def test_a_missing_extra_is_said_before_any_work(monkeypatch, tmp_path, capsys):
    """Training without its libraries names the line that installs them."""
    monkeypatch.setattr(extras, "find_spec", lambda module: None if module == "trl" else object())
    monkeypatch.setattr(sys, "argv", ["search-r3", "train", "sft", str(tmp_path / "nothing.toml")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    shown = capsys.readouterr().err
    assert shown.startswith("error: search-r3 train sft needs trl, which is not installed.")
    assert "pip install 'search-r3[train]'" in shown

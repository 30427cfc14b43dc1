"""What is imported is declared, and what is installed is pinned."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from search_r3.errors import MissingExtraError
from search_r3.extras import needs_extra

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

BROUGHT = {
    "accelerate": "peft",
    "huggingface-hub": "transformers",
    "jinja2": "torch",
    "packaging": "transformers",
    "psutil": "peft",
    "pydantic": "typer",
    "rich": "typer",
    "safetensors": "transformers",
    "scikit-learn": "sentence-transformers",
    "scipy": "sentence-transformers",
    "tokenizers": "transformers",
    "tqdm": "transformers",
}
"""Imported, not declared in the core, and always there: by the declared dependency that requires it."""

NO_EXTRA = {"vllm"}  # wants an environment of its own


def names(lines: list[str]) -> set[str]:
    """The distributions of requirement lines, those of the extras of this package that they name included."""
    found = set()
    for requirement in map(Requirement, lines):
        if requirement.name == PROJECT["name"]:
            for extra in requirement.extras:
                found |= names(EXTRAS[extra])
        else:
            found.add(canonicalize_name(requirement.name))
    return found


CORE = names(PROJECT["dependencies"])


def third_party(node: ast.AST, extra: str = "") -> Iterator[tuple[str, str]]:
    """Every import from outside, at any depth: its top-level module, and the extra of the block around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            modules = [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom):
            modules = [child.module or ""]
        else:
            yield from third_party(child, block_extra(child) or extra)
            continue
        for module in modules:
            top = module.split(".")[0]
            if top != "search_r3" and top not in sys.stdlib_module_names:
                yield top, extra


def block_extra(node: ast.AST) -> str:
    if isinstance(node, ast.With):
        call = node.items[0].context_expr
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "needs_extra":
            return ast.literal_eval(call.args[0])
    return ""


def distributions_of(module: str) -> set[str]:
    return {canonicalize_name(name) for name in metadata.packages_distributions().get(module, [])}


def undeclared(source: str) -> list[tuple[str, str]]:
    """The imports that neither the core, nor the extra they are guarded by, nor BROUGHT accounts for."""
    return [
        (module, extra)
        for module, extra in third_party(ast.parse(source))
        if module not in NO_EXTRA
        and not distributions_of(module) & (names(EXTRAS[extra]) if extra else CORE | set(BROUGHT))
    ]


def test_core_is_small():
    """At most twelve, none of them twice."""
    assert len(PROJECT["dependencies"]) == len(CORE) <= 12


@pytest.mark.parametrize(
    "path", sorted((ROOT / "search_r3").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_import_is_declared(path):
    """Outside of `needs_extra` it belongs to the core; inside, to the extra that the error will name."""
    assert undeclared(path.read_text(encoding="utf-8")) == []


def test_control_undeclared_imports_are_seen():
    """An import of an extra without its guard, or under another extra's, is a fault at any depth."""
    source = """
import torch, json, yaml_of_nobody
from mteb.models import ModelMeta
with needs_extra("eval"):
    import mteb
    from trl import GRPOTrainer
def f():
    with needs_extra("train"):
        import trl
    import datasets
"""
    assert undeclared(source) == [("yaml_of_nobody", ""), ("mteb", ""), ("trl", "eval"), ("datasets", "")]


@pytest.mark.parametrize(("brought", "by"), BROUGHT.items())
def test_what_is_brought_is_required_by_a_core_dependency(brought, by):
    """The installed version of the one requires the other, whatever the extras."""
    assert by in CORE and brought not in CORE
    required = [Requirement(line) for line in metadata.requires(by) or []]
    assert brought in {
        canonicalize_name(one.name) for one in required if not (one.marker and "extra" in str(one.marker))
    }


# ------------------------------------------------------------------------------------------ constraints


def pinned(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([\w.-]+)==(\S+)$", "\n".join(lines), re.MULTILINE)
    }


def installed_closure(lines: list[str]) -> set[str]:
    """What pip installs for requirement lines on this machine, by the metadata of what is installed."""
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(line) for line in lines]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in found:
                continue
            found.add((name, extra))
            wanted = EXTRAS.get(extra, PROJECT["dependencies"]) if name == PROJECT["name"] else None
            for line in wanted if wanted is not None else metadata.requires(name) or []:
                one = Requirement(line)
                if one.marker is None or one.marker.evaluate({"extra": extra}):
                    waiting.append(one)
    # A CUDA build of torch brings these in versions of its own; setuptools comes with the environment.
    return {
        name
        for name, _ in found
        if not re.match("nvidia-|cuda-|triton$|setuptools$", name) and name != PROJECT["name"]
    }


RUNTIME = ["search-r3[parquet,eval,train,langchain,llama-index,serve]"]


def test_constraints_pin_what_is_installed():
    """constraints.txt has the core and the runtime extras; -dev what development and Ray add."""
    pytest.importorskip("mkdocs", reason="needs the whole of the extra dev")
    runtime, everything = installed_closure(RUNTIME), installed_closure(["search-r3[dev]"])
    assert runtime < everything
    assert runtime - set(pinned("constraints.txt")) == set()
    assert everything - runtime - set(pinned("constraints-dev.txt")) == set()
    assert not set(pinned("constraints.txt")) & set(pinned("constraints-dev.txt"))


def test_pins_satisfy_the_declared_ranges():
    """Every declared dependency is pinned, to a version that its range allows."""
    versions = pinned("constraints.txt") | pinned("constraints-dev.txt")
    for line in [*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]:
        requirement = Requirement(line)
        if requirement.name != PROJECT["name"]:
            assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), line


# ----------------------------------------------------------------------------------------------- wheel


def test_wheel_holds_every_file_of_the_package(tmp_path):
    """The adapter, golden vectors, pins, hashes and selections are in it, not the Python files alone."""
    source = tmp_path / "source"
    shutil.copytree(ROOT / "search_r3", source / "search_r3", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    # Without isolation: setuptools is there (torch requires it), and no network is needed.
    command = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir"]
    subprocess.run([sys.executable, "-m", "pip", *command, tmp_path, source], check=True, timeout=120)
    [wheel] = tmp_path.glob("search_r3-*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if not name.split("/")[0].endswith("info")}
    files = {path.relative_to(ROOT) for path in (ROOT / "search_r3").rglob("*") if path.is_file()}
    assert inside == {path.as_posix() for path in files if path.parent.name != "__pycache__"}
    for name in ("gemma3-270m", "smollm2-135m"):
        assert f"search_r3/model/{name}-adapter/adapter_model.safetensors" in inside
    assert "search_r3/model/gemma3-270m-adapter/NOTICE" in inside
    assert "search_r3/data/packages.toml" in inside


# ---------------------------------------------------------------------------------------------- extras


def test_missing_extra_names_the_pip_line():
    """An import that fails inside the block is an error with the extra and what was missing."""
    with pytest.raises(MissingExtraError) as caught, needs_extra("eval"):
        import no_such_module  # noqa: F401
    assert isinstance(caught.value, ImportError)
    assert str(caught.value).splitlines() == [
        "This needs the extra 'eval' of search-r3 (No module named 'no_such_module'). Install it:",
        "    pip install 'search-r3[eval]'",
    ]


def test_inner_extra_is_the_one_named():
    """A block that imports a module of ours passes on the extra which that module lacks."""
    with pytest.raises(MissingExtraError, match=r"search-r3\[train\]"), needs_extra("eval"):
        raise MissingExtraError("pip install 'search-r3[train]'")
    with pytest.raises(KeyError), needs_extra("eval"):
        raise KeyError("another error passes")

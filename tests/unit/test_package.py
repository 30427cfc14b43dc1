"""The package as a whole: what importing it costs, what it exports, and which module may import which."""

import ast
import graphlib
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

import search_r3
from search_r3.model.modeling_file import _PARTS

SOURCE = Path(search_r3.__file__).parent

# Every top-level name of the package, and those that its modules may import, at any depth of their source.
FOUNDATION = "arguments errors extras files json_lines packages paths provenance text"
MAY_IMPORT = {
    "arguments": "errors",
    "errors": "",
    "extras": "errors",
    "files": "",
    "json_lines": "errors",
    "packages": "errors files",
    "paths": "errors",
    "provenance": "",
    "text": "",
    "model": FOUNDATION,
    "retrieval": f"{FOUNDATION} model",
    "data": FOUNDATION,
    "evaluation": f"{FOUNDATION} model retrieval data",
    "reporting": f"{FOUNDATION} model data evaluation",
    "training": f"{FOUNDATION} model retrieval data evaluation",
    "rl": f"{FOUNDATION} model data evaluation training",
    "integrations": f"{FOUNDATION} model retrieval",
    "demo": f"{FOUNDATION} model retrieval data",
    "server": f"{FOUNDATION} model retrieval demo",
    "cli": f"{FOUNDATION} model retrieval data evaluation reporting training rl demo server",
    "": "model retrieval",  # what the package exports
}
LATE = {
    # SentenceTransformer("default") prepares the default model, which is done with this very class.
    "model.sentence_transformer": {"model.default"},
}
"""Imports inside a function that would close a circle at the top of a module."""

HEAVY = [
    "datasets",
    "faiss",
    "langchain",
    "llama_index",
    "mteb",
    "numpy",
    "ray",
    "sentence_transformers",
    "torch",
    "transformers",
    "trl",
]


def modules() -> dict[str, Path]:
    """Every module of the package by its name without `search_r3.`; the package itself is the empty name."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(tree: ast.AST) -> Iterator[str]:
    """The modules of this package that are imported anywhere in a source, inside of functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            targets = [(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        for module, name in targets:
            if module == "search_r3" or module.startswith("search_r3."):
                inner = module.removeprefix("search_r3").removeprefix(".")
                submodule = f"{inner}.{name}".strip(".")
                yield submodule if submodule in MODULES else inner


# ---------------------------------------------------------------------------------------------- importing


def test_import_is_quick_silent_and_light():
    """A fresh `import search_r3` takes less than a second, prints nothing and loads no heavy library."""
    program = (
        "import sys, time, json\n"
        "before = set(sys.modules)\n"
        "start = time.perf_counter()\n"
        "import search_r3\n"
        "seconds = time.perf_counter() - start\n"
        "loaded = sorted({name.split('.')[0] for name in set(sys.modules) - before})\n"
        "print('REPORT', json.dumps([seconds, loaded]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stderr == ""
    head, report = run.stdout.split("REPORT ")
    assert head == ""
    seconds, loaded = json.loads(report)
    assert seconds < 1.0
    assert "search_r3" in loaded
    assert [name for name in loaded if name.startswith(tuple(HEAVY))] == []


def test_every_exported_name_resolves():
    """Each name of `__all__` can be got, is in dir(), is of its own module, and `import *` gives them all."""
    for name in search_r3.__all__:
        value = getattr(search_r3, name)
        assert value is not None
        if name != "__version__":
            home = importlib.import_module(f"search_r3.{search_r3._HOME[name]}")
            assert value is getattr(home, name)
            assert getattr(value, "__module__", home.__name__) == home.__name__
    assert dir(search_r3) == sorted(search_r3.__all__)
    namespace: dict[str, object] = {}
    exec("from search_r3 import *", namespace)
    assert set(search_r3.__all__) <= set(namespace)


def test_exports_are_listed_once_and_alike():
    """`__all__`, the table of homes and the imports for type checkers name the same things."""
    assert len(search_r3.__all__) == len(set(search_r3.__all__))
    assert set(search_r3.__all__) == {*search_r3._HOME, "__version__"}
    checked = {}
    for node in ast.parse(MODULES[""].read_text(encoding="utf-8")).body:
        if isinstance(node, ast.If):
            for statement in node.body:
                assert isinstance(statement, ast.ImportFrom)
                home = str(statement.module).removeprefix("search_r3.")
                checked.update({alias.name: home for alias in statement.names})
    assert checked == search_r3._HOME


def test_unknown_name_is_an_attribute_error():
    """A name that is not exported fails as any module's would."""
    with pytest.raises(AttributeError, match=r"module 'search_r3' has no attribute 'Embedder'"):
        _ = search_r3.Embedder
    with pytest.raises(ImportError, match="Embedder"):
        from search_r3 import Embedder  # noqa: F401


def test_version_is_that_of_the_distribution():
    """`__version__` and the installed distribution agree."""
    assert search_r3.__version__ == metadata.version("search-r3")


def test_package_is_marked_as_typed():
    """Type checkers find the marker."""
    assert (SOURCE / "py.typed").is_file()


# --------------------------------------------------------------------------------------- who imports whom


def imported_by(name: str) -> set[str]:
    return set(imports(ast.parse(MODULES[name].read_text(encoding="utf-8"))))


def test_every_module_is_of_a_layer():
    """A new top-level name needs a rule, and there is no rule for one that is gone."""
    assert {name.split(".")[0] for name in MODULES} == set(MAY_IMPORT)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_module_imports_only_what_its_layer_may(name):
    """Imports inside a layer are free of circles (below); the others follow the rules."""
    layer = name.split(".")[0]
    assert {found.split(".")[0] for found in imported_by(name)} - {layer} <= set(MAY_IMPORT[layer].split())


def test_imports_have_no_circle():
    """The modules have an order in which each imports earlier ones only."""
    graph = {name: imported_by(name) - {name} - LATE.get(name, set()) for name in MODULES}
    assert set(graphlib.TopologicalSorter(graph).static_order()) == set(MODULES)


def test_late_imports_are_late():
    """What the test above leaves out is imported inside a function, and is a circle indeed."""
    for name, late in LATE.items():
        tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
        at_top = {
            found for node in tree.body if not isinstance(node, ast.ClassDef) for found in imports(node)
        }
        assert late <= imported_by(name) - at_top
        assert all(name in imported_by(other) for other in late)


def test_no_module_has_the_name_of_another():
    """A name says which module is meant; folders count too."""
    names = [name.rpartition(".")[2] for name in MODULES]
    assert sorted(names) == sorted(set(names))


def test_no_class_has_the_name_of_another():
    """Likewise for classes, private ones too."""
    found = [
        node.name
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    assert sorted(found) == sorted(set(found))


def test_control_imports_are_seen():
    """The walk sees every form and depth of import."""
    source = """
import search_r3.retrieval.vector_index
import os
from search_r3.errors import A, B
from search_r3_other import z
def f():
    from search_r3 import cli, Template
    class G:
        import search_r3.model.default as m
"""
    assert list(imports(ast.parse(source))) == [
        "retrieval.vector_index",
        "errors",
        "errors",
        "cli",
        "",
        "model.default",
    ]
    with pytest.raises(AssertionError, match="relative import in line 1"):
        list(imports(ast.parse("from .errors import A")))


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name and not name.startswith("cli")))
def test_no_import_is_for_type_checkers_only(name):
    """A module that needs a name for its annotations imports it: TYPE_CHECKING would hide a circle."""
    assert "TYPE_CHECKING" not in MODULES[name].read_text(encoding="utf-8")


def test_bundle_holds_all_that_its_parts_import():
    """The self-contained modelling file joins its parts in order: each imports earlier parts only."""
    parts = [part.replace("/", ".") for part in _PARTS]
    for index, part in enumerate(parts):
        found = set(imports(ast.parse(MODULES[part].read_text(encoding="utf-8"))))
        assert found <= set(parts[:index]), part

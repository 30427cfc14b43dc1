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
from search_r3.bundle import _PARTS

SOURCE = Path(search_r3.__file__).parent

# Every module, and the modules of this package it may import, at any depth of its source. From the bottom up.
ALLOWED = {
    # What every layer speaks of.
    "errors": set(),
    "batching": set(),
    "cache": set(),
    "thoughts": set(),
    "template": {"errors"},
    # The model: sequences, thinking, the pipeline.
    "tokens": {"errors", "template", "thoughts"},
    "generation": {"thoughts"},
    "modules": {"modules.reasoning_transformer"},
    "modules.reasoning_transformer": {"batching", "errors", "generation", "template", "thoughts", "tokens"},
    "bundle": set(),
    "model": {"bundle", "errors", "modules", "thoughts"},
    "base": {"errors", "generation", "model", "modules", "template"},
    "golden": {"errors"},
    "adapter": {"errors", "model", "modules"},
    "embedded_model": {"adapter", "base", "cache", "errors", "golden", "model", "template"},
    # On the side: nothing here needs the model's own layers.
    "identity": set(),
    "index": {"errors"},
    "records": {"errors"},
    "documents": {"errors", "records"},
    "corpus_index": {"documents", "errors", "identity", "index"},
    "metrics": {"errors"},
    "lexical": {"errors"},
    "fusion": {"errors"},
    "stdlib_corpus": set(),
    "diagnosis": set(),
    # Real data: no model in it, but for mining.
    "data": set(),
    "data.build": {
        "data.catalogue",
        "data.full_tasks",
        "data.leaks",
        "data.mini",
        "data.pairs",
        "data.parsed",
        "data.retrieval_task",
        "data.training_sets",
        "errors",
    },
    "data.catalogue": {"cache", "data.retrieval_task", "errors"},
    "data.evaluation": {
        "data.retrieval_task",
        "data.sentences",
        "data.sources.obo",
        "data.sources.pubmed",
        "data.sources.python_functions",
        "data.sources.trivia",
    },
    "data.full_tasks": {"data.catalogue", "data.evaluation", "data.parsed", "data.retrieval_task", "errors"},
    "data.graded": {
        "data.evaluation",
        "data.retrieval_task",
        "data.sources.obo",
        "data.sources.pubmed",
        "data.sources.siblings",
        "data.training_pairs",
    },
    "data.leaks": set(),
    "data.mini": {"data.retrieval_task", "errors"},
    "data.minilm": {"data.packages", "errors"},
    "data.mining": {"data.pairs", "data.sources.siblings"},
    "data.packages": {"errors"},
    "data.pairs": {"errors"},
    "data.parsed": {
        "data.evaluation",
        "data.packages",
        "data.sources.obo",
        "data.sources.pubmed",
        "data.sources.python_functions",
        "data.sources.trivia",
        "errors",
    },
    "data.pubmed_pairs": {
        "data.evaluation",
        "data.graded",
        "data.pairs",
        "data.sentences",
        "data.sources.pubmed",
        "data.sources.siblings",
    },
    "data.retrieval_task": {"errors"},
    "data.sentences": set(),
    "data.training_pairs": {
        "data.evaluation",
        "data.pairs",
        "data.sources.obo",
        "data.sources.python_functions",
        "data.sources.siblings",
        "data.sources.trivia",
    },
    "data.training_sets": {
        "data.graded",
        "data.packages",
        "data.pairs",
        "data.parsed",
        "data.pubmed_pairs",
        "data.retrieval_task",
        "data.sources.debian_packages",
        "data.sources.dictd",
        "data.sources.gene_ontology",
        "data.sources.icd10cm",
        "data.sources.lintian_tags",
        "data.sources.manual_pages",
        "data.sources.wordnet",
        "data.training_pairs",
    },
    "data.sources": set(),
    "data.sources.debian_packages": {"data.pairs", "data.sources.siblings", "errors"},
    "data.sources.definitions": set(),
    "data.sources.dictd": {"data.pairs", "data.sources.definitions", "data.sources.siblings", "errors"},
    "data.sources.gene_ontology": {"data.pairs", "data.sources.siblings", "errors"},
    "data.sources.icd10cm": {"data.pairs", "data.sources.siblings", "errors"},
    "data.sources.lintian_tags": {"data.pairs", "data.sources.siblings", "errors"},
    "data.sources.manual_pages": {"data.pairs", "data.sources.roff", "data.sources.siblings", "errors"},
    "data.sources.obo": {"errors"},
    "data.sources.pubmed": {"errors"},
    "data.sources.python_functions": {"errors"},
    "data.sources.roff": set(),
    "data.sources.siblings": {"data.pairs", "errors"},
    "data.sources.trivia": {"errors"},
    "data.sources.wordnet": {"data.pairs", "data.sources.siblings", "errors"},
    # Evaluation.
    "evaluation": set(),
    "evaluation.arms": {"errors", "model", "modules", "modules.reasoning_transformer", "thoughts"},
    "evaluation.baselines": {"errors", "lexical"},
    "evaluation.beir_model": {"evaluation.arms", "model", "thoughts"},
    "evaluation.embedding_cache": set(),
    "evaluation.encoder": {
        "errors",
        "evaluation.arms",
        "evaluation.embedding_cache",
        "identity",
        "model",
        "thoughts",
    },
    "evaluation.card": {"data.catalogue", "errors", "evaluation.report", "evaluation.results"},
    "evaluation.environment": set(),
    "evaluation.page": set(),
    "evaluation.plots": set(),
    "evaluation.report": {"errors", "evaluation.results", "evaluation.significance"},
    "evaluation.results": {"errors", "thoughts"},
    "evaluation.runner": {
        "errors",
        "evaluation.arms",
        "evaluation.baselines",
        "evaluation.beir_model",
        "evaluation.encoder",
        "evaluation.environment",
        "evaluation.results",
        "evaluation.system",
        "evaluation.tasks",
        "fusion",
        "identity",
        "lexical",
        "metrics",
        "model",
        "thoughts",
    },
    "evaluation.significance": {"errors"},
    "evaluation.system": {"errors", "evaluation.arms", "evaluation.encoder", "model"},
    "evaluation.tasks": {"data.catalogue", "data.retrieval_task", "errors"},
    # Training. It may look at data and evaluation; neither knows of it.
    "training": set(),
    "training.config": {"errors"},
    "training.thought_records": {"errors"},
    "training.thought_sources": {"model"},
    "training.thought_filter": {
        "data.pairs",
        "model",
        "training.thought_records",
        "training.thought_sources",
    },
    "training.examples": {"data.pairs", "training.config", "training.thought_records"},
    "training.batches": set(),
    "training.features": {
        "batching",
        "data.leaks",
        "modules",
        "training.batches",
        "training.config",
        "training.examples",
    },
    "training.adapter": {"adapter", "errors", "evaluation.arms", "model", "training.config"},
    "training.objective": {"errors", "generation", "model", "modules", "training.config"},
    "training.memory": {"errors"},
    "training.dev_split": {"data.pairs", "data.retrieval_task", "evaluation.arms", "metrics", "model"},
    "training.training_data": {
        "cache",
        "data.leaks",
        "data.pairs",
        "data.retrieval_task",
        "errors",
        "training.config",
        "training.dev_split",
        "training.examples",
        "training.thought_records",
    },
    "training.trainer": {"adapter", "model", "training.adapter", "training.batches"},
    "training.command": {"errors"},
    "training.final_model": {"adapter", "embedded_model", "evaluation.arms", "model"},
    "training.run": {
        "adapter",
        "cache",
        "data.minilm",
        "embedded_model",
        "errors",
        "evaluation.arms",
        "evaluation.environment",
        "identity",
        "training.adapter",
        "training.batches",
        "training.config",
        "training.dev_split",
        "training.features",
        "training.final_model",
        "training.memory",
        "training.objective",
        "training.trainer",
        "training.training_data",
    },
    # Reinforcement learning. Rewards and advantages know of no model, the environment only of an encoder.
    "rl": set(),
    "rl.rewards": {"errors"},
    "rl.advantages": {"errors"},
    "rl.drift": set(),
    "rl.refresh": set(),
    "rl.rows": {"errors", "rl.rewards"},
    "rl.environment": {
        "data.retrieval_task",
        "errors",
        "rl.drift",
        "rl.refresh",
        "rl.rewards",
        "rl.rows",
    },
    "rl.config": {"rl.advantages", "rl.rewards", "training.config"},
    "rl.capture": {"errors"},
    "rl.health": {"generation"},
    "rl.sampler": set(),
    "rl.rollouts": {"batching", "generation", "modules", "rl.config", "thoughts"},
    "rl.queries": {
        "cache",
        "data.pairs",
        "data.retrieval_task",
        "errors",
        "rl.config",
        "training.dev_split",
    },
    "rl.dev_evaluation": {
        "evaluation.arms",
        "model",
        "rl.config",
        "rl.health",
        "rl.rollouts",
        "training.dev_split",
    },
    "rl.trainer": {
        "data.retrieval_task",
        "evaluation.arms",
        "model",
        "rl.advantages",
        "rl.capture",
        "rl.config",
        "rl.dev_evaluation",
        "rl.environment",
        "rl.health",
        "rl.refresh",
        "rl.rewards",
        "rl.rollouts",
        "rl.sampler",
        "training.adapter",
    },
    "rl.run": {
        "embedded_model",
        "errors",
        "evaluation.arms",
        "evaluation.environment",
        "identity",
        "rl.config",
        "rl.dev_evaluation",
        "rl.environment",
        "rl.queries",
        "rl.refresh",
        "rl.trainer",
        "training.dev_split",
        "training.final_model",
        "training.run",
    },
    # Models for others.
    "direct_export": {"errors", "model", "modules", "template"},
    "release": {"direct_export", "errors", "model"},
    # Adapters to frameworks that users have.
    "integrations": set(),
    "integrations.langchain": {"embedded_model", "model", "thoughts"},
    "integrations.llama_index": {"embedded_model", "errors", "identity", "model", "thoughts"},
    "integrations.ray": {"embedded_model", "errors", "identity"},
    "integrations.vllm": {"errors", "model", "template", "thoughts", "tokens"},
    # What puts the two together.
    "comparison": {"index", "model", "thoughts"},
    "demo": {
        "comparison",
        "corpus_index",
        "documents",
        "identity",
        "lexical",
        "metrics",
        "model",
        "stdlib_corpus",
    },
    # The package itself names its exports for type checkers only; cli is on top of everything.
    "": {"base", "embedded_model", "identity", "index", "model", "template", "thoughts"},
}
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


def is_cli(name: str) -> bool:
    return name == "cli" or name.startswith("cli.")


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


def test_every_module_is_in_the_table():
    """A new module needs a place in the table, and the table holds no module that is gone."""
    assert {name for name in MODULES if not is_cli(name)} == set(ALLOWED)


def test_table_has_no_circle():
    """The allowed imports put the modules in an order, in which `errors` and `thoughts` need nothing."""
    order = list(graphlib.TopologicalSorter(ALLOWED).static_order())
    assert set(order) == set(ALLOWED)
    assert ALLOWED["errors"] == ALLOWED["thoughts"] == set()


@pytest.mark.parametrize("name", sorted(name for name in MODULES if not is_cli(name)))
def test_module_imports_only_what_it_may(name):
    """No module imports one that the table does not allow; only cli imports cli."""
    found = set(imports(ast.parse(MODULES[name].read_text(encoding="utf-8"))))
    assert found - ALLOWED.get(name, set()) == set()


def test_control_imports_are_seen():
    """The walk sees every form and depth of import."""
    source = """
import search_r3.index
import os
from search_r3.errors import A, B
from search_r3_other import z
def f():
    from search_r3 import cli, Template
    class G:
        import search_r3.model as m
"""
    assert list(imports(ast.parse(source))) == ["index", "errors", "errors", "cli", "", "model"]
    with pytest.raises(AssertionError, match="relative import in line 1"):
        list(imports(ast.parse("from .errors import A")))


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name and not is_cli(name)))
def test_no_import_is_for_type_checkers_only(name):
    """A module that needs a name for its annotations imports it: TYPE_CHECKING would hide a circle."""
    assert "TYPE_CHECKING" not in MODULES[name].read_text(encoding="utf-8")


def test_bundle_holds_all_that_its_parts_import():
    """The self-contained modelling file joins its parts in order: each imports earlier parts only."""
    parts = [part.replace("/", ".") for part in _PARTS]
    for place, part in enumerate(parts):
        found = set(imports(ast.parse(MODULES[part].read_text(encoding="utf-8"))))
        assert found <= set(parts[:place]), part

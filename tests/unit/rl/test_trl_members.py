"""The private members of TRL that the trainer relies on: all are listed, and the installed TRL has them."""

import ast
import inspect
import re
from pathlib import Path

import pytest
from trl.trainer.grpo_trainer import GRPOTrainer

from search_r3.rl import grpo_trainer
from search_r3.rl.grpo_trainer import BATCH_KEYS, PRIVATE_ATTRIBUTES, PRIVATE_METHODS

SOURCE = Path(grpo_trainer.__file__).read_text(encoding="utf-8")
BASES = [base for base in GRPOTrainer.__mro__ if base.__module__.split(".")[0] in ("trl", "transformers")]
BASE_SOURCES = {base: inspect.getsource(base) for base in BASES}


def private_names_of_bases() -> set[str]:
    """Private methods of the base classes, and the private attributes that their code uses."""
    used = {name for text in BASE_SOURCES.values() for name in re.findall(r"\bself\.(_[a-z]\w*)", text)}
    return used | {name for base in BASES for name in vars(base) if re.fullmatch(r"_[a-z]\w*", name)}


@pytest.mark.parametrize("name", PRIVATE_METHODS)
def test_method_is_there_with_its_parameters(name):
    """Parameters that are passed by position have their names, and none that must be given follows."""
    wanted = PRIVATE_METHODS[name]
    _, *parameters = inspect.signature(getattr(GRPOTrainer, name)).parameters.values()  # without self
    assert tuple(parameter.name for parameter in parameters[: len(wanted)]) == wanted
    assert all(parameter.default is not parameter.empty for parameter in parameters[len(wanted) :])


@pytest.mark.parametrize("name", PRIVATE_ATTRIBUTES)
def test_attribute_is_set(name):
    """The constructor sets it."""
    assert f"self.{name} = " in inspect.getsource(GRPOTrainer.__init__)


@pytest.mark.parametrize("name", BATCH_KEYS)
def test_batch_has_its_key(name):
    """What TRL's generation returns has the key, and the loss or the step reads it."""
    assert f'"{name}"' in inspect.getsource(GRPOTrainer._generate_and_score_completions)
    assert f'["{name}"]' in BASE_SOURCES[GRPOTrainer]


def test_nothing_else_that_is_private_is_used():
    """Whatever private name of the base classes stands in the trainer is in one of the lists."""
    tree = ast.parse(SOURCE)
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    private = {name for name in used if re.fullmatch(r"_[a-z]\w*", name)} & private_names_of_bases()
    assert private == {*PRIVATE_METHODS, *PRIVATE_ATTRIBUTES}

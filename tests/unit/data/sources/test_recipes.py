"""Recipes: steps for a dish, a dish for ingredients."""

import json

import pytest

from search_r3.data.sources.recipes import Recipe, ingredient_name, read_recipes, recipes_pairs
from search_r3.errors import DataError

STEPS = ("Boil the water in a pot.", "Add tea and wait for three long minutes.")


def recipe(title, category="Tea recipes", ingredients=("2 cups water", "tea")):
    return Recipe(title, category, ingredients, STEPS)


def test_fields(tmp_path):
    """Empty brackets and entities are mended; a missing category is empty."""
    path = tmp_path / "recipes.json"
    facts = {
        "title": "Green  Tea",
        "category": None,
        "ingredients": ["1 () cup &amp; tea"],
        "steps": ["Boil ()."],
    }
    path.write_text(json.dumps({"Cookbook:Green Tea": facts}))
    assert read_recipes(path) == [Recipe("Green Tea", "", ("1 cup & tea",), ("Boil.",))]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("1 ½ cups (300 ml) freshly grated cheese, packed", "freshly grated cheese"),
        ("2-3 large onions", "onions"),
        ("Salt to taste", "salt to taste"),
        ("1 teaspoon", ""),
        ("as much of everything as you find", ""),
    ],
)
def test_ingredient_names(text, name):
    """Amounts, units and remarks go; long texts are no ingredients."""
    assert ingredient_name(text) == name


def test_pairs():
    """A dish finds its steps; ingredients find the dish; negatives are of the same kind and category."""
    pairs = recipes_pairs([recipe("Green Tea"), recipe("Rice", "Rice recipes"), recipe("Mint Tea")])
    steps, dish = pairs[:2]
    assert (steps.query, steps.positive) == ("Green Tea recipe", " ".join(STEPS))
    assert steps.negatives == ()  # the steps of Mint Tea are the same
    assert (dish.query, dish.positive) == ("water, tea", f"Green Tea. {STEPS[0]} {STEPS[1]}")
    assert [pair.query_id for pair in pairs[4:]] == ["Mint Tea/steps", "Mint Tea/dish"]


def test_repeated_and_short_recipes_are_dropped():
    """A second recipe of a title, and one with hardly any steps, give no pair."""
    pairs = recipes_pairs([recipe("Tea"), recipe("TEA"), Recipe("Ice", "", ("ice", "water"), ("Eat.",))])
    assert [pair.query_id for pair in pairs] == ["Tea/steps", "Tea/dish"]


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"a": {"title": "x"}}'])
def test_refuses_other_files(tmp_path, content):
    """A missing or another file is an error with its name."""
    path = tmp_path / "recipes.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=r"recipes\.json"):
        read_recipes(path)

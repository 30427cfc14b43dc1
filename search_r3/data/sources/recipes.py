"""Recipes of the Wikibooks Cookbook: a dish finds its steps, ingredients find the dish."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, group_neighbours, read_json, training_pairs
from search_r3.data.sources.markup import one_line, shortened
from search_r3.errors import DataError

_LEAST_STEP_WORDS = 12
_INGREDIENTS = range(2, 9)
_EMPTY_BRACKETS = re.compile(r"\s*\(\s*\)")
_UNIT = (
    r"cups?|c|tablespoons?|tbsps?|tbs|teaspoons?|tsps?|ounces?|oz|pounds?|lbs?|grams?|g|kg|ml|l|liters?|litres?"
    r"|pints?|quarts?|cans?|packages?|packets?|bunch(?:es)?|cloves?|pinch(?:es)?|dash(?:es)?|slices?|pieces?"
    r"|sticks?|sprigs?|handfuls?|large|medium|small|ea|inch|cm|stalks?|heads?|jars?|each|whole|few|of|a|an"
)
_AMOUNT = re.compile(
    rf"^(?:[\d\s\u00bc-\u00be\u2150-\u215e./\u2044\u2013x~+-]+|\([^()]*\)|(?:{_UNIT})\b\.?\s*)+", re.I
)
_REMARK = re.compile(r"\s*(?:\(.*|[,;:].*| - .*| or .*)$")


@dataclass(frozen=True)
class Recipe:
    """One recipe.

    Attributes:
        title: The dish.
        category: Such as "Beef recipes"; "" if the source has none.
        ingredients: With amounts, as written.
        steps: What to do, one after the other.
    """

    title: str
    category: str
    ingredients: tuple[str, ...]
    steps: tuple[str, ...]


def read_recipes(path: Path) -> list[Recipe]:
    """Read a table of recipes in JSON, in its order.

    Raises:
        DataError: It cannot be read, or is no table of recipes.
    """
    table = read_json(path)
    try:
        recipes = [
            Recipe(
                one_line(found["title"]),
                found["category"] or "",
                tuple(_tidy(text) for text in found["ingredients"]),
                tuple(_tidy(text) for text in found["steps"]),
            )
            for found in table.values()
        ]
    except (AttributeError, KeyError, TypeError):
        recipes = []
    if not recipes:
        raise DataError(f"{path} is no table of recipes with title, category, ingredients and steps.")
    return recipes


def recipes_pairs(recipes: Sequence[Recipe]) -> list[TrainingPair]:
    """Pair every dish with its steps, and its ingredients without amounts with dish and steps.

    Steps are cut to 120 words. Negatives are other recipes of the same category.

    Raises:
        DataError: No recipe has steps.
    """
    categories: dict[str, tuple[str, str]] = {}
    seen: set[str] = set()
    entries = []
    for recipe in recipes:
        steps = " ".join(recipe.steps)
        if len(steps.split()) < _LEAST_STEP_WORDS:
            continue
        names = list(dict.fromkeys(filter(None, map(ingredient_name, recipe.ingredients))))
        query = f"{recipe.title} recipe"
        if recipe.title.casefold() not in seen:
            seen.add(recipe.title.casefold())
            entries.append(Entry(f"{recipe.title}/steps", f"{recipe.title}/steps", query, shortened(steps)))
            categories[entries[-1].entry_id] = ("steps", recipe.category)
            if len(names) in _INGREDIENTS or len(names) > _INGREDIENTS.stop:
                whole = shortened(f"{recipe.title}. {steps}")
                wanted = ", ".join(names[: _INGREDIENTS.stop - 1])
                entries.append(Entry(f"{recipe.title}/dish", f"{recipe.title}/dish", wanted, whole))
                categories[entries[-1].entry_id] = ("dish", recipe.category)
    return training_pairs(
        "recipes", entries, group_neighbours(entries, lambda entry: categories[entry.entry_id])
    )


def ingredient_name(text: str) -> str:
    """What an ingredient is, without the amount and remarks: "2 cups (500 ml) flour, sifted" is flour."""
    name = _REMARK.sub("", _AMOUNT.sub("", text)).strip(" .*")
    return name.lower() if 0 < len(name.split()) < 5 else ""


def _tidy(text: str) -> str:
    return one_line(_EMPTY_BRACKETS.sub("", html.unescape(text)))

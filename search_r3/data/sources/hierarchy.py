"""Items below their parents: which ones share a parent, which ones are above an item."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence


class Hierarchy:
    """Items, each below its parents.

    Args:
        parents: Ids of the direct parents of every item, by the item's id.
    """

    def __init__(self, parents: Mapping[str, Sequence[str]]) -> None:
        self._parents = parents
        self._children: dict[str, list[str]] = defaultdict(list)
        for item_id, its_parents in parents.items():
            for parent in its_parents:
                self._children[parent].append(item_id)
        self._ancestors: dict[str, frozenset[str]] = {}

    def siblings(self, item_id: str) -> list[str]:
        """Ids of the other items that share a parent and are neither above nor below this one."""
        above = self.ancestors(item_id)
        shared = {child: None for parent in self._parents[item_id] for child in self._children[parent]}
        return [
            other
            for other in shared
            if other != item_id and other not in above and item_id not in self.ancestors(other)
        ]

    def ancestors(self, item_id: str) -> frozenset[str]:
        """Ids of everything above an item; a loop in the data does no harm."""
        if item_id not in self._ancestors:
            found: set[str] = set()
            waiting = list(self._parents.get(item_id, ()))
            while waiting:
                if (parent := waiting.pop()) not in found:
                    found.add(parent)
                    waiting.extend(self._parents.get(parent, ()))
            self._ancestors[item_id] = frozenset(found)
        return self._ancestors[item_id]

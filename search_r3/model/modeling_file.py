"""One self-contained modelling file, so that a saved model loads where this package is not installed.

The modules that make up :class:`ReasoningTransformer` are joined in dependency order into one source text:
their imports of each other are dropped, the other imports are merged at the top, the rest is kept as it is.
"""

from __future__ import annotations

import ast
from importlib.resources import files

MODELING_FILE = "modeling_search_r3.py"
MODELING_CLASS = "modeling_search_r3.ReasoningTransformer"

_PARTS = (
    "errors",
    "arguments",
    "model/padding",
    "model/template",
    "model/thoughts",
    "model/prompt_encoder",
    "model/option_checks",
    "model/truncation",
    "model/generation",
    "model/reading_adapter",
    "model/batch_embedding",
    "model/reasoning_transformer",
)

_HEADER = '''"""Search-R3: an embedding model that thinks before it embeds (self-contained modelling file).

Generated from the search-r3 package (Apache-2.0); load it with
SentenceTransformer(path, trust_remote_code=True). Do not edit: change the package and save the model again.
"""
'''


def modeling_source() -> str:
    """Return the source text of the self-contained modelling file; the same package gives the same bytes."""
    imports: set[str] = set()
    bodies = []
    for part in _PARTS:
        source = files("search_r3").joinpath(f"{part}.py").read_text(encoding="utf-8")
        lines = source.splitlines()
        tree = ast.parse(source)
        for node in tree.body:
            is_docstring = node is tree.body[0] and isinstance(node, ast.Expr)
            if isinstance(node, ast.Import | ast.ImportFrom):
                if not (
                    isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "search_r3"
                ):
                    imports.update(ast.unparse(_single(node, name)) for name in node.names)
            elif not is_docstring:
                continue
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
        bodies.append("\n".join(lines).strip("\n"))
    imports.discard("from __future__ import annotations")
    head = [_HEADER, "from __future__ import annotations", "", *sorted(imports)]
    return "\n".join(head) + "\n\n\n" + "\n\n\n".join(bodies) + "\n"


def _single(node: ast.Import | ast.ImportFrom, name: ast.alias) -> ast.stmt:
    if isinstance(node, ast.Import):
        return ast.Import(names=[name])
    return ast.ImportFrom(module=node.module, names=[name], level=node.level)

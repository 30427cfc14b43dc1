"""The evidence of a model on one page of HTML that needs no other file."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import markdown


@dataclass(frozen=True)
class Plot:
    """A plot of the page.

    Attributes:
        group: Id of the part of the page that shows it.
        title: What it shows.
        note: How to read it.
        svg: The plot, with an opaque white background.
    """

    group: str
    title: str
    note: str
    svg: str

    @property
    def source(self) -> str:
        """Address of the plot with its content inside; the names in one plot cannot meet those of another."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.encode()).decode()


@dataclass(frozen=True)
class Table:
    """A section of the report: its title, and its text in HTML."""

    title: str
    text: str


def render_page(
    template: str, *, report: str, plots: Sequence[Plot], shown: dict[str, Any] | None = None
) -> str:
    """Render the page.

    Args:
        template: Jinja2 text; as :func:`search_r3.reporting.report.page_template` gives it.
        report: Tables in Markdown, as :func:`search_r3.reporting.tables.render` gives them.
        plots: In the order of the page.
        shown: Queries shown whole, and where they come from, as ``benchmarks/show_queries.py`` writes them.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    notes, *sections = re.split(r"^## ", report, flags=re.MULTILINE)
    tables = []
    for section in sections:
        title, _, text = section.partition("\n")
        tables.append(Table(title, _html(text)))
    notes = notes.removeprefix("# Evaluation")
    return environment.from_string(template).render(
        notes=_html(notes), tables=tables, plots=plots, shown=shown
    )


def _html(text: str) -> str:
    # Names come from result files that may be anybody's: Markdown would let their HTML through.
    found: str = markdown.markdown(html.escape(text, quote=False), extensions=["tables"])
    return found

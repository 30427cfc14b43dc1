"""The README and the pages of the documentation, read for their tests."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
# The page of the command line is generated; a test of its own holds it up to date.
PAGES = sorted({README, *(ROOT / "docs").glob("**/*.md")} - {ROOT / "docs" / "command-line.md"})
RECORDS = [ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", ROOT / "benchmarks" / "LOG.md"]


def name_of(page: Path) -> str:
    """A page's name in a test's id."""
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """The page's code blocks in a language, in order."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def snippets(page: Path) -> list[tuple[str, str | None]]:
    """The page's Python snippets in order, each with the output that is shown after it, if any."""
    found = re.finditer(
        r"^```python\n(?P<code>.*?)^```\n(?:\n?```text\n(?P<shown>.*?)^```)?",
        page.read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    return [(match["code"], match["shown"]) for match in found]

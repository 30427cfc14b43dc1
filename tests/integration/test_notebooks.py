"""The notebooks run from the first cell to the last, and print what they are there to show."""

import nbformat
import pytest
from documentation import ROOT
from nbclient import NotebookClient

FOLDER = ROOT / "docs" / "notebooks"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("search-your-own-files", ["1. how-it-works-", ". integrations-"]),
        ("train-on-your-own-pairs", ["480 pairs", "better"]),
        (
            "what-a-thought-does",
            ["'Eurasia'", "the wrong thought moves the query towards Paris: True", "same embedding: True"],
        ),
    ],
)
def test_notebook_shows_what_it_says(name, shown) -> None:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    ).execute()
    printed = "".join(
        output.text
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stdout"
    )
    for text in shown:
        assert text in printed
    assert "not better" not in printed


def test_every_notebook_is_tested_and_linked() -> None:
    names = {path.stem for path in FOLDER.glob("*.ipynb")}
    assert names == {"search-your-own-files", "train-on-your-own-pairs", "what-a-thought-does"}
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert all(f"notebooks/{name}.ipynb" in index for name in names)

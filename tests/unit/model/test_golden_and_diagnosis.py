"""Golden vectors tell a changed model from an unchanged one; the doctor reads versions right."""

from pathlib import Path

import pytest
import torch

from search_r3 import SentenceTransformer
from search_r3.cli.diagnosis import Dependency, dependencies, speeds
from search_r3.errors import ModelError
from search_r3.model.golden import check_golden, golden_vectors, write_golden


def test_golden_round_trip(tiny: SentenceTransformer, tmp_path: Path) -> None:
    """The same model agrees with its golden vectors to 1e-6."""
    report = check_golden(tiny, write_golden(tiny, tmp_path))
    assert report.worst_cosine == pytest.approx(1.0, abs=1e-6)
    assert report.passed


def test_golden_finds_a_changed_weight(fresh_tiny: SentenceTransformer, tmp_path: Path) -> None:
    """One scaled matrix is enough to fail."""
    path = write_golden(fresh_tiny, tmp_path)
    with torch.no_grad():
        fresh_tiny[0].model.model.layers[0].mlp.down_proj.weight.mul_(1.1)
    report = check_golden(fresh_tiny, path)
    assert report.worst_cosine < 0.9999
    assert not report.passed


def test_golden_is_looser_in_half_precision(fresh_tiny: SentenceTransformer) -> None:
    """bfloat16 is held to 0.999, float32 to 0.9999."""
    assert golden_vectors(fresh_tiny).shape == (16, 32)
    from search_r3.model.golden import GoldenReport

    assert GoldenReport(0.9995, 0.999).passed
    assert not GoldenReport(0.9995, 0.9999).passed


def test_golden_of_another_shape_is_refused(tiny: SentenceTransformer, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"vectors": torch.ones(16, 8)}, tmp_path / "golden.safetensors")
    with pytest.raises(ModelError, match=r"\(16, 8\)"):
        check_golden(tiny, tmp_path / "golden.safetensors")


@pytest.mark.parametrize(
    ("installed", "optional", "fits"),
    [
        ("6.2.0", False, True),
        ("5.9", False, False),
        ("7.0", False, False),
        (None, False, False),
        (None, True, True),
    ],
)
def test_package_fits(installed: str | None, optional: bool, fits: bool) -> None:
    assert Dependency("x", ">=6,<7", installed, optional).fits is fits


def test_packages_are_our_own_requirements() -> None:
    """The table comes from the distribution's metadata, and this environment satisfies it."""
    required = {package.name: package for package in dependencies() if not package.optional}
    assert {"torch", "transformers", "sentence-transformers", "faiss-cpu"} <= set(required)
    assert all(package.fits for package in required.values())


def test_speeds_restores_the_thread_count() -> None:
    before = torch.get_num_threads()
    measured = speeds(16, 32)
    assert torch.get_num_threads() == before
    assert {speed.dtype for speed in measured} == {"float32", "bfloat16"}
    assert all(speed.milliseconds > 0 for speed in measured)

"""Golden vectors tell a changed model from an unchanged one; the doctor reads versions right."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from search_r3 import SentenceTransformer
from search_r3.cli.diagnosis import Dependency, dependencies, speeds
from search_r3.errors import ModelError
from search_r3.model.golden import check_golden, golden_vectors, write_golden
from search_r3.model.prompt_encoder import PromptEncoder
from search_r3.model.template import Template


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


def test_golden_finds_another_way_of_reading(fresh_tiny: SentenceTransformer, tmp_path: Path) -> None:
    """A template that puts something else around passages fails; a file from before evidence passes."""
    path = write_golden(fresh_tiny, tmp_path)
    module = fresh_tiny[0]
    template = replace(Template.from_dict(module.template), passage_prefix="passage: ")
    module.prompt_encoder = PromptEncoder(module.tokenizer, template, module.embed_token)
    assert not check_golden(fresh_tiny, path).passed
    save_file({"vectors": load_file(path)["vectors"]}, path)
    assert check_golden(fresh_tiny, path).passed
    save_file({"reading": load_file(write_golden(fresh_tiny, tmp_path / "other"))["reading"]}, path)
    with pytest.raises(ModelError, match=r"damaged.*vectors"):
        check_golden(fresh_tiny, path)


def test_golden_is_looser_in_half_precision(fresh_tiny: SentenceTransformer) -> None:
    """bfloat16 is held to 0.999, float32 to 0.9999."""
    shapes = {name: vectors.shape for name, vectors in golden_vectors(fresh_tiny).items()}
    assert shapes == {"vectors": (16, 32), "reading": (2, 32)}
    from search_r3.model.golden import GoldenReport

    assert GoldenReport(0.9995, 0.999).passed
    assert not GoldenReport(0.9995, 0.9999).passed


def test_golden_of_another_shape_is_refused(tiny: SentenceTransformer, tmp_path: Path) -> None:
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

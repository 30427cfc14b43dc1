"""Offline fixtures: the tiny random LM of tests/fixtures, prepared anew by the code under test."""

import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before any import of huggingface_hub: no test may reach the network

import pytest
import torch

from search_r3 import COMPACT_TEMPLATE, SentenceTransformer, default_model, prepare_base

# The tiny model gains nothing from a second thread, and loses a lot when the cores are busy.
torch.set_num_threads(1)

TINY_LM = Path(__file__).parent / "fixtures" / "tiny_lm"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny LM as a saved base: compact template, limit of 128 tokens, budget of 8."""
    target = tmp_path_factory.mktemp("models") / "tiny"
    return prepare_base(
        TINY_LM, target, template=COMPACT_TEMPLATE, max_seq_length=128, max_reasoning_tokens=8
    )


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> SentenceTransformer:
    """The prepared tiny model. Shared: a test that changes it takes `fresh_tiny`."""
    return SentenceTransformer(tiny_folder, device="cpu")


@pytest.fixture
def fresh_tiny(tiny_folder: Path) -> SentenceTransformer:
    return SentenceTransformer(tiny_folder, device="cpu")


@pytest.fixture
def adapted_tiny(fresh_tiny: SentenceTransformer) -> SentenceTransformer:
    """The tiny model with an adapter on it that changes its vectors."""
    pytest.importorskip("pydantic")  # of the training extra
    from search_r3.training.lora import add_adapter
    from search_r3.training.run_config import AdapterConfig

    torch.manual_seed(0)
    add_adapter(fresh_tiny, AdapterConfig(rank=2))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in fresh_tiny.parameters():
            if weights.requires_grad:
                weights.add_(0.1 * torch.randn(weights.shape, generator=generator))
    return fresh_tiny


@pytest.fixture(scope="session")
def smollm2() -> SentenceTransformer:
    """The real thinking model, in float32 (slow tests only; its first preparation downloads 93 MB)."""
    return default_model("smollm2-135m")


@pytest.fixture(scope="session")
def gemma3() -> SentenceTransformer:
    """The real direct model, in float32 (slow tests only; its first preparation downloads 238 MB)."""
    return default_model("gemma3-270m")


@pytest.fixture(autouse=True)
def threads(request: pytest.FixtureRequest) -> None:
    """All threads for a real model, one for every other test, whatever ran before it.

    The number of threads changes the last digits, and some tests compare with another process bit for bit.
    """
    real = {"smollm2", "gemma3"} & set(request.fixturenames)
    torch.set_num_threads((os.cpu_count() or 1) if real else 1)

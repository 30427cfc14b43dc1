"""What every command shares: the consoles, quiet libraries, the model."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from search_r3.errors import InvalidOptionError, ModelError

if TYPE_CHECKING:
    from search_r3.model import SentenceTransformer

output = Console(highlight=False, soft_wrap=True)
"""Results, on standard output."""

messages = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress, warnings and hints, on standard error."""


def load_model(name: str | None) -> SentenceTransformer:
    """Load a model folder or Hub id; None means the embedded default model.

    Raises:
        ModelError: If it cannot be loaded; the message says why.
    """
    from safetensors import SafetensorError
    from transformers.utils import logging as transformers_logging

    from search_r3.embedded_model import default_model_folder
    from search_r3.model import SentenceTransformer
    from search_r3.modules import ReasoningTransformer

    transformers_logging.disable_progress_bar()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    if name is None:
        with messages.status("Loading the embedded default model (prepared on first use, about 30 seconds)"):
            folder = default_model_folder()
    else:
        folder = Path(name)
    if name is not None and not folder.exists() and (name.count("/") > 1 or name.startswith((".", "/", "~"))):
        raise InvalidOptionError(f"There is no model folder {name}.")
    try:
        model = SentenceTransformer(folder, local_files_only=folder.exists())
    except (OSError, ValueError, ImportError, RuntimeError, TypeError, KeyError, SafetensorError) as error:
        # A damaged file can surface as any of these.
        raise ModelError(f"Cannot load the model {name or folder}: {error}") from error
    if not isinstance(model[0], ReasoningTransformer):
        raise ModelError(f"{name} is a {type(model[0]).__name__} pipeline, not a Search-R3 model.")
    model.model_card_data.local_files_only = True
    return model


def model_name(name: str | None) -> str:
    """How an index records its model: an absolute folder, a Hub id, or "default"."""
    if name is None:
        return "default"
    return str(Path(name).resolve()) if Path(name).is_dir() else name

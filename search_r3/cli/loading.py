"""Loading a model for a command, with the libraries quiet."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from search_r3.cli.console import messages
from search_r3.errors import InvalidOptionError, ModelError

if TYPE_CHECKING:
    from search_r3.model.sentence_transformer import SearchR3


def load_model(name: str | None) -> SearchR3:
    """Load a model folder, a Hub id, or an embedded model by name; None means ``default``.

    Raises:
        ModelError: If it cannot be loaded; the message says why.
    """
    from safetensors import SafetensorError
    from transformers.utils import logging as transformers_logging

    from search_r3.model.default import EMBEDDED_MODELS
    from search_r3.model.sentence_transformer import SearchR3

    transformers_logging.disable_progress_bar()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    # About names that peft still uses when the default model is prepared: nothing that a user can mend.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    if name is None or name in EMBEDDED_MODELS:
        name = name or "default"
        with messages.status(f"Loading the {name} model (prepared on first use, about a minute)"):
            folder = EMBEDDED_MODELS[name]()
    else:
        folder = Path(name)
    if not folder.exists() and (name.count("/") > 1 or name.startswith((".", "/", "~"))):
        raise InvalidOptionError(f"There is no model folder {name}.")
    try:
        model = SearchR3(folder, local_files_only=folder.exists())
    except (OSError, ValueError, ImportError, RuntimeError, TypeError, KeyError, SafetensorError) as error:
        # A damaged file can surface as any of these.
        place = "" if folder.exists() else "There is no such folder here, and as an id on the Hub: "
        raise ModelError(f"Cannot load the model {name or folder}. {place}{error}") from error
    if not model.thinks:
        raise ModelError(
            f"Got {name}, a {type(model[0]).__name__} pipeline, wanted a Search-R3 model. "
            "A --direct export is for other tools: export it without."
        )
    model.model_card_data.local_files_only = True
    return model


def model_name(name: str | None) -> str:
    """How an index records its model: an absolute folder, a Hub id, or the name of an embedded model."""
    from search_r3.model.default import EMBEDDED_MODELS

    if name is None or name in EMBEDDED_MODELS:
        return name or "default"
    return str(Path(name).resolve()) if Path(name).is_dir() else name

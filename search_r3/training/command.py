"""The command line of both training stages."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from search_r3.errors import SearchR3Error


def run_stage(description: str | None, train: Callable[[Path, bool], Path]) -> None:
    """Read the command line, train, print the folder of the model; an error ends the process with its reason.

    Args:
        description: What ``--help`` says.
        train: Gets the configuration's path, and whether to go on from the newest checkpoint.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path, help="TOML file of the run")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    arguments = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # its rollout hook is used knowingly
    try:
        sys.stdout.write(f"{train(arguments.config, arguments.resume)}\n")
    except SearchR3Error as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; go on with: --resume")

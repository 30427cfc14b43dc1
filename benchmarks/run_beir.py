"""Evaluate a model with BEIR's own search and measures, as a check on mteb; options as in run_mteb.py.

    python benchmarks/run_beir.py --model default --tasks WikiTriviaMini --arms never always

The scores agree with those of run_mteb.py to 4 decimals.
"""

from __future__ import annotations

from pathlib import Path

from run_mteb import main

if __name__ == "__main__":
    main("beir", Path("benchmarks/results/beir"))

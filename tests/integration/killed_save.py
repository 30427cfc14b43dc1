"""A checkpoint as a kill leaves it, at moments spread over its save."""

import shutil
from collections.abc import Iterator
from pathlib import Path


def torn(checkpoint: Path, moments: int = 20) -> Iterator[Path]:
    """Replace a whole checkpoint by what each moment of its save leaves; it is whole again at the end.

    Files appear in the order in which they were written: those before the moment whole, the one at the moment
    in part, the others not at all.
    """
    whole = checkpoint.with_name(f"whole-{checkpoint.name}")
    checkpoint.rename(whole)
    files = sorted(
        (path for path in whole.rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime_ns
    )
    total = sum(path.stat().st_size for path in files)
    for moment in range(moments):
        left = total * moment // moments
        checkpoint.mkdir()
        for path in files:
            target = checkpoint / path.relative_to(whole)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes()[:left])
            left -= path.stat().st_size
            if left <= 0:
                break
        yield checkpoint
        shutil.rmtree(checkpoint)
    whole.rename(checkpoint)

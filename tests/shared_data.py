"""Where the large real captures lie, when they are there."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared(*parts: str) -> Path:
    """The path of a shared capture; the test is skipped with its reason when it is not on this machine."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"shared captures are not here: {'/'.join(parts)}")
    return path

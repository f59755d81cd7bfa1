"""The wheel's one step that no table can say: the console is built before its files are gathered.

Law: a wheel either holds a current console or says that it holds none (`PLOMBA_WEB=skip`); everything else stands in pyproject.toml.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

BUILD = Path(__file__).resolve().parent / "collector" / "web" / "build.py"


class BuildWithConsole(build_py):
    """`build_py`, the console first. An editable installation takes the checkout as it is."""

    def run(self) -> None:
        is_skipped = os.environ.get("PLOMBA_WEB") == "skip"
        if not self.editable_mode and not is_skipped:
            subprocess.run([sys.executable, str(BUILD), "--quick"], check=True)  # noqa: S603  # our own script
        super().run()
        if is_skipped:  # what an earlier build left in the checkout stays out too
            shutil.rmtree(Path(self.build_lib) / "collector" / "web" / "dist", ignore_errors=True)


setup(cmdclass={"build_py": BuildWithConsole})

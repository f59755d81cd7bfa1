"""The shell completes commands, options and the words that an option takes: asked of a real bash."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.live  # a real shell
PLOMBA = Path(sys.executable).with_name("plomba")
ASK = """
source <(_PLOMBA_COMPLETE=source_bash plomba)
complete -p plomba >/dev/null || exit 9
while read -ra COMP_WORDS; do
  [ "${COMP_WORDS[-1]}" = _ ] && COMP_WORDS[-1]=""
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _plomba_completion plomba "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
  echo "${COMPREPLY[@]}"
done
"""
ASKED = {
    "plomba al": {"alert"},
    "plomba alert a": {"ack"},
    "plomba alert list --vi": {"--view"},
    "plomba alert list --view _": {"active", "mine", "shelved", "events", "all"},
    "plomba alert resolve x --outcome FALSE": {"FALSE"},
    "plomba login --local --role s": {"supervisor"},
}


def test_bash_completes_commands_options_and_their_words() -> None:
    bash = shutil.which("bash")
    if bash is None or not PLOMBA.is_file():
        pytest.skip("no bash, or plomba is not installed beside this Python")
    done = subprocess.run(
        [bash, "--norc", "-c", ASK],
        input="\n".join(ASKED) + "\n",
        env={**os.environ, "PATH": f"{PLOMBA.parent}{os.pathsep}{os.environ.get('PATH', '')}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = [set(line.split()) for line in done.stdout.splitlines()]
    assert found == [*ASKED.values()]

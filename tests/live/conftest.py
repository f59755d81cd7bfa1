"""How live tests are dealt to the processes of one run: a file whose tests share a world stays together, any other test goes alone.

By whole files a run ends with one process that has minutes to go, and the others wait for it.
"""

from functools import cache

import pytest
from xdist.scheduler import LoadScopeScheduling

SHARES = 'scope="module"'


class ByWorld(LoadScopeScheduling):  # type: ignore[misc]  # xdist tells no types
    """`--dist loadscope`, with a scope as wide as the fixtures want it; the widest begin first."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if _shares(self.config, file) else nodeid


@pytest.hookimpl(optionalhook=True)  # with `-p no:xdist` there is nobody to ask for it
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByWorld | None:
    return ByWorld(config, log) if config.getoption("dist") == "loadscope" else None


@cache
def _shares(config: pytest.Config, file: str) -> bool:
    return SHARES in (config.rootpath / file).read_text()

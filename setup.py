"""Build step that pyproject.toml has no word for: a wheel holds a copy of conf/ as fbn_exp/conf."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConf(build_py):
    """Copies conf/ beside the modules; an editable install reads the checkout's own."""

    def run(self) -> None:
        """Build the modules, then add conf/."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "fbn_exp", "conf")
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree("conf", target)


setup(cmdclass={"build_py": BuildWithConf})

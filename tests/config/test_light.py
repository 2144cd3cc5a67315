"""What the scripts need to check a configuration loads nothing heavy."""

import subprocess
import sys
from pathlib import Path

import fbn_exp

SOURCE = Path(fbn_exp.__file__).parent
HEAVY = {"torch", "numpy", "pandas", "transformers", "datasets", "sklearn", "scipy", "matplotlib"}


def test_the_schemas_of_all_packages_are_imported_without_a_numerical_library():
    modules = [f"fbn_exp.{file.parent.name}.config" for file in sorted(SOURCE.glob("*/config.py"))]
    assert {f"fbn_exp.{name}.config" for name in ("datasets", "methods", "models", "signals")} < set(modules)
    code = f"import sys, {', '.join(modules)}, fbn_exp.config.register; print(*{HEAVY} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

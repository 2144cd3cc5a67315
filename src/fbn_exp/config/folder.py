"""Location of the yaml files: inside an installed package, or ``conf/`` of a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
# setup.py copies conf/ into a wheel
CONF = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parents[1] / "conf"

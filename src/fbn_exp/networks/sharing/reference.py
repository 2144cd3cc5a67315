"""Names of repositories on the hub, and files that a repository of networks consists of."""

import re
from dataclasses import dataclass
from fnmatch import fnmatch

from fbn_exp.networks.folder import DESCRIPTION, NEURONS, TENSORS

CARD = "README.md"
# what is pushed and pulled; networks are read from the first two alone
FETCHED = (DESCRIPTION, TENSORS, NEURONS, CARD)
# what may lie beside them, and is not fetched
BESIDE = (".gitattributes", ".gitignore", "LICENSE*", "*.md", "*.png", "*.jpg", "*.svg")
NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class HubReference:
    """A repository of the hub, and a branch, tag or commit of it; None for its main branch."""

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return self.repository if self.revision is None else f"{self.repository}@{self.revision}"


def reference_in(name: str) -> HubReference | None:
    """Read ``user/name`` or ``user/name@revision``; None for what is neither.

    Examples
    --------
    >>> reference_in("user/smollm2-networks@v1")
    HubReference(repository='user/smollm2-networks', revision='v1')
    """
    repository, marked, revision = name.partition("@")
    if NAME.fullmatch(repository) is None or (marked and not revision):
        return None
    return HubReference(repository, revision or None)


def strangers(files: list[str]) -> list[str]:
    """Name the files that do not belong into a repository of networks, such as pickles and code."""
    return [name for name in files if not any(fnmatch(name, known) for known in (*FETCHED, *BESIDE))]

"""Code that task files of lm-evaluation-harness run: found before lm-eval reads them, refused by default.

lm-eval reads every ``**/*.yaml`` in a folder of tasks, and whatever these ``include``. Such a file runs code
by the tag ``!function``, by a metric that lm-eval does not have (it is then loaded as a script of the library
``evaluate``, from a folder or the hub), by code that comes with a data set, and by its templates, which are
expressions of Jinja: those are confined to a sandbox.
"""

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from yaml.events import CollectionEndEvent, CollectionStartEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fbn_exp.core.errors import BenchmarkError, ConfigError
from fbn_exp.core.package_file import package_folder

log = logging.getLogger(__name__)

# the loader that lm-eval derives its own from
LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.FullLoader
STANDARD = "tag:yaml.org,2002:"
# metrics that are part of lm-eval
METRICS = {
    *("acc", "acc_all", "acc_bytes", "acc_mutual_info", "acc_norm", "bits_per_byte", "bleu", "brier_score"),
    *("bypass", "byte_perplexity", "chrf", "chrf++", "exact_match", "f1", "likelihood", "mcc", "perplexity"),
    *("ter", "word_perplexity"),
}
# a builder of the library datasets that unpickles; removed in its version 5
PICKLES = "pandas"
# collections inside one another; 100,000 of them crash the parser
DEEPEST = 100
OWN = ("fbn_exp", "lm_eval")
REMEDY = "benchmark.trust_task_code=true runs the code of a folder whose authors you trust"


@dataclass(frozen=True)
class TaskCode:
    """Place in a task file that makes lm-eval run code.

    Attributes
    ----------
    file : Path
        The yaml file.
    line : int
        Line in it, from 1.
    what : str
        What runs, in words.
    """

    file: Path
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file} line {self.line}: {self.what}"


def require_no_code(folder: Path) -> None:
    """Refuse a folder of tasks from outside this package and lm-eval if a file in it runs code.

    Raises
    ------
    ConfigError
        If a file runs code or cannot be checked; names the file, the line and the setting that allows it.
    """
    if code := task_code(folder):
        more = f" (and {len(code) - 1} more)" if len(code) > 1 else ""
        raise ConfigError(f"benchmark.include_path: {code[0]}{more}; {REMEDY}")


def task_code(folder: Path) -> list[TaskCode]:
    """Code that the task files of a folder run, in the order of files and lines; nothing is run or imported.

    Files of this package and of lm-eval are passed over.
    """
    own = tuple(path.resolve() for path in map(package_folder, OWN) if path is not None)
    # the files that lm-eval lists: the same pattern, which treats links to folders alike
    waiting = [path.resolve() for path in sorted(folder.expanduser().glob("**/*.yaml"))]
    seen: set[Path] = set()
    code: list[TaskCode] = []
    while waiting:
        file = waiting.pop(0)
        if file in seen or any(file.is_relative_to(path) for path in own):
            continue
        seen.add(file)
        try:
            content = file.read_bytes()
            if _is_deep(content):
                code.append(TaskCode(file, 1, "nested too deeply to be checked for code"))
                continue
            root = yaml.compose(content, Loader=LOADER)
        except (OSError, yaml.YAMLError):
            continue  # lm-eval cannot read it either
        nodes = list(_nodes(root))
        code += sorted({TaskCode(file, *found) for node in nodes for found in _code_of(node)}, key=_place)
        waiting += [_included(file, name) for node in nodes for name in _values(node, "include")]
    return code


def _is_deep(content: bytes) -> bool:
    """True if too many collections are inside one another, by events, which are read without recursion."""
    depth = 0
    for event in yaml.parse(content, Loader=LOADER):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEEPEST:
            return True
    return False


def _place(code: TaskCode) -> tuple[int, str]:
    return code.line, code.what


def _included(file: Path, name: str) -> Path:
    # as lm-eval resolves it
    return (file.parent / name).expanduser().resolve()


def _nodes(root: Node | None) -> Iterator[Node]:
    """All nodes below a root, which may refer to one another in circles, each once."""
    waiting = [] if root is None else [root]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, MappingNode):
            waiting += [each for pair in node.value for each in pair]
        elif isinstance(node, SequenceNode):
            waiting += node.value


def _values(node: Node, key: str) -> list[str]:
    """Text of a key's value in a mapping, or of each entry of a list; empty if there is none."""
    if not isinstance(node, MappingNode):
        return []
    found = [value for name, value in node.value if isinstance(name, ScalarNode) and name.value == key]
    entries = [
        each for value in found for each in (value.value if isinstance(value, SequenceNode) else [value])
    ]
    return [str(each.value) for each in entries if isinstance(each, ScalarNode)]


def _code_of(node: Node) -> Iterator[tuple[int, str]]:
    """Line and description of what one node runs."""
    line = node.start_mark.line + 1
    if node.tag == "!function":
        yield line, f"!function {node.value} runs Python code"
    elif node.tag.startswith(f"{STANDARD}python/"):
        yield line, f"{node.tag.removeprefix(STANDARD)} makes a Python object"
    for name in _values(node, "dataset_path"):
        if name == PICKLES:
            yield line, "dataset_path pandas unpickles files"
    if any(map(_is_on, _values(node, "trust_remote_code"))):
        yield line, "trust_remote_code runs code that comes with a data set"
    if isinstance(node, MappingNode):
        for name, value in node.value:
            if isinstance(name, ScalarNode) and name.value == "metric_list":
                yield from _foreign_metrics(value)


def _foreign_metrics(metrics: Node) -> Iterator[tuple[int, str]]:
    for node in _nodes(metrics):
        line = node.start_mark.line + 1
        for name in _values(node, "metric"):
            if name not in METRICS:
                yield line, f"metric {name} is not part of lm-eval and would be a script"
        if any(map(_is_on, _values(node, "hf_evaluate"))):
            yield line, "hf_evaluate loads a metric that is a script"


def _is_on(value: str) -> bool:
    return value.lower() not in ("false", "no", "off", "null", "~", "")


@functools.lru_cache(maxsize=16)
def log_code(folder: str, digest: str | None) -> None:
    """Log once that a folder is trusted, and the files that run code; ``digest`` is that of its content."""
    if code := task_code(Path(folder)):
        files = ", ".join(dict.fromkeys(str(each.file) for each in code))
        log.warning("benchmark.trust_task_code: code that these files name is run: %s", files)


@contextmanager
def confined_templates(confined: bool) -> Iterator[None]:
    """Render lm-eval's templates in a sandbox while the context is open: their expressions could run code.

    Raises
    ------
    BenchmarkError
        If a template reaches for what the sandbox forbids.
    """
    if not confined:
        yield
        return
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from lm_eval import utils

    kept = utils.env
    utils.env = ImmutableSandboxedEnvironment(
        loader=kept.loader, undefined=kept.undefined, keep_trailing_newline=kept.keep_trailing_newline
    )
    utils.env.filters.update(kept.filters)
    try:
        yield
    except SecurityError as error:
        raise BenchmarkError(f"benchmark.tasks: a template was stopped ({error}); {REMEDY}") from error
    finally:
        utils.env = kept

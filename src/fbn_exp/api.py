"""The public API: functions for the stages of the scripts, which can be used independently."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import yaml
from hydra.utils import get_class

from fbn_exp.analysis.keystones.scan import known_keystones
from fbn_exp.benchmarks.base import Benchmark
from fbn_exp.benchmarks.cache import ScoreCache
from fbn_exp.benchmarks.comparison import Comparison
from fbn_exp.benchmarks.evaluator import Scorer, evaluate
from fbn_exp.benchmarks.sizes import EditSizes, SizeMeasure
from fbn_exp.config.folder import CONF
from fbn_exp.config.register import SCHEMAS
from fbn_exp.core.errors import ConfigError
from fbn_exp.core.layout import Site
from fbn_exp.datasets.base import TextDataset, Texts
from fbn_exp.datasets.files import FilesDataset
from fbn_exp.interventions.controls.config import ControlsConfig, usual_kinds, without_texts
from fbn_exp.interventions.controls.draw import draw_for
from fbn_exp.interventions.controls.expected import expected_energy, expected_size
from fbn_exp.interventions.rules import NoIntervention
from fbn_exp.interventions.target import no_target
from fbn_exp.interventions.targeted import TargetedIntervention
from fbn_exp.methods.base import Decomposition
from fbn_exp.models.config import ModelConfig
from fbn_exp.models.language_model import LanguageModel
from fbn_exp.models.load import load
from fbn_exp.networks.artifact import FunctionalNetworks
from fbn_exp.networks.extractor import fitted, networks_of
from fbn_exp.networks.sharing.config import SharingConfig
from fbn_exp.networks.sharing.pull import local_folder
from fbn_exp.networks.sharing.push import push
from fbn_exp.report.card import model_card
from fbn_exp.report.edit_size import size_columns
from fbn_exp.report.scores import comparison_row
from fbn_exp.signals.base import Signals
from fbn_exp.signals.config import SignalsConfig, Storage
from fbn_exp.signals.recording import recorded
from fbn_exp.thresholds.z import ZThreshold

CACHE = Path("outputs/cache")


def load_model(name: str, *, cache: str | Path = CACHE, **settings: Any) -> LanguageModel:
    """Load a language model.

    Parameters
    ----------
    name : str
        An option of ``conf/model`` such as ``smollm2``, a hub id, a local folder, or a ``.gguf`` file.
    cache : path
        Folder in which a converted GGUF file is kept.
    **settings
        Fields of ``ModelConfig``, such as ``dtype="float32"`` or ``device="cuda"``.

    Raises
    ------
    ConfigError, ModelError
        If a setting is out of range, or the model cannot be found, reached or read.

    Examples
    --------
    >>> lm = fbn.load_model("gpt2", dtype="float32")
    """
    _, fields = _option("model", name) or (None, {"name": name})
    return load(ModelConfig(**{**fields, **settings}), Path(cache))


def load_texts(source: str | Sequence[str], lm: LanguageModel, **settings: Any) -> Texts:
    """Sample texts as token ids of a model.

    Parameters
    ----------
    source : str or sequence of str
        An option of ``conf/dataset`` such as ``wiki`` or ``agnews``, or local files.
    lm : LanguageModel
        Its tokenizer is used.
    **settings
        Fields of the dataset, such as ``n_texts=100``, ``split="test"``, ``seed=1``.

    Raises
    ------
    ConfigError, DatasetError
        If a setting is out of range, or the texts are missing or too few.

    Examples
    --------
    >>> texts = fbn.load_texts("wiki", lm, n_texts=100, tokens_per_text=128)
    >>> texts = fbn.load_texts(["mine.txt", "yours.jsonl"], lm)
    """
    option = _option("dataset", source) if isinstance(source, str) else None
    if option is None:
        if isinstance(source, str) and not Path(source).expanduser().exists():
            names = ", ".join(sorted(file.stem for file in (CONF / "dataset").glob("*.yaml")))
            raise ConfigError(f"{source!r} is neither a file nor a data set; the data sets are: {names}")
        paths = [source] if isinstance(source, str) else list(source)
        return FilesDataset(paths, **settings).sample(lm.tokenizer)
    schema, fields = option
    dataset: TextDataset = get_class(schema._target_)(**{**fields, **settings})  # type: ignore[attr-defined]
    return dataset.sample(lm.tokenizer)


def record(
    lm: LanguageModel,
    texts: Texts,
    *,
    site: str = "mlp_output",
    standardise: str = "none",
    skip_first: int = 0,
    batch_tokens: int = 2048,
) -> Signals:
    """Run texts through a model and record the activations of its neurons in memory.

    Parameters
    ----------
    lm : LanguageModel
        The model; active interventions stay active.
    texts : Texts
        Texts from ``load_texts``.
    site : str
        ``mlp_output``, ``mlp_hidden``, ``attention_output`` or ``block_output``.
    standardise : str
        ``none``, ``zscore`` (every neuron over tokens) or ``row_l2`` (every token).
    skip_first : int
        Number of leading tokens of each text to exclude, since they can be attention sinks.
    batch_tokens : int
        Largest number of tokens in a batch, padding included.

    Returns
    -------
    Signals
        T tokens × N neurons, float32.

    Raises
    ------
    SignalError
        If an activation is not finite, or no token is left.

    Examples
    --------
    >>> fbn.record(lm, texts, standardise="zscore", skip_first=1)
    Signals(10,823 tokens × 17,280 neurons of SmolLM2-135M-Instruct.Q4_1, mlp_output)
    """
    config = SignalsConfig(
        first_tokens_excluded=skip_first,
        standardise=standardise,  # type: ignore[arg-type]  # a name becomes its member
        batch_tokens=batch_tokens,
        storage=Storage.memory,
    )
    # in memory: the folder stays empty, unless several ranks share the work
    layout = lm.layout(site)
    with TemporaryDirectory() as scratch, recorded(lm, texts, layout, config, Path(scratch)) as signals:
        return signals


def fit(method: Decomposition, signals: Signals, *, keep_time_courses: bool = False) -> FunctionalNetworks:
    """Decompose signals into networks.

    Parameters
    ----------
    method : Decomposition
        Method such as ``ICA(n_components=10)``; its fitted attributes are set (of ``per_block``, by the last
        block).
    signals : Signals
        Signals from ``record``.
    keep_time_courses : bool
        Keep the networks' time courses, shape (T, K), in ``networks.time_courses``.

    Raises
    ------
    MethodError
        If the signals hold fewer independent tokens or neurons than networks are asked for.

    Examples
    --------
    >>> networks = fbn.fit(fbn.ICA(n_components=10), signals)
    >>> networks
    FunctionalNetworks(10 networks over 30 × 576 neurons, mlp_output, of SmolLM2-135M-Instruct.Q4_1)
    """
    config = {
        "site": signals.layout.site.value,
        "signals": asdict(signals.config),
        "method": asdict(method),
    }
    learned = fitted(method, signals)
    return networks_of(learned, signals, config, keep_time_courses)


def load_networks(folder: str | Path) -> FunctionalNetworks:
    """Read networks that ``extract.py`` or ``networks.save`` wrote.

    Parameters
    ----------
    folder : path
        The folder, or a repository of the Hugging Face hub: ``user/name`` or ``user/name@revision``.

    Raises
    ------
    NetworksError
        If a file is missing, truncated, changed, or not of this format, or the hub cannot give it.

    Examples
    --------
    >>> networks = fbn.load_networks("outputs/extract/2026-01-31/12-00-00/networks")
    >>> networks = fbn.load_networks("user/smollm2-networks")
    """
    return FunctionalNetworks.load(local_folder(folder))


def push_networks(
    networks: FunctionalNetworks, repository: str, *, private: bool = True, license: str | None = None
) -> str:
    """Push networks and a card that tells their provenance to the Hugging Face hub.

    Parameters
    ----------
    networks : FunctionalNetworks
        The networks.
    repository : str
        ``user/name``, made if it is not there, or ``user/name@branch``. The token is that of ``hf auth
        login`` or ``HF_TOKEN``.
    private : bool
        Whether a repository that is made is private.
    license : str or None
        Licence in the card, by its name on the hub; None says that none was given.

    Returns
    -------
    str
        Address of the commit.

    Raises
    ------
    ConfigError
        If ``repository`` is no name of one.
    NetworksError
        If there is no token, or the hub does not take the networks.

    Examples
    --------
    >>> fbn.push_networks(fbn.load_networks("outputs/…/networks"), "user/smollm2-networks")
    """
    sharing = SharingConfig(repository, private, license)
    assert sharing.repository is not None
    card = model_card(networks, ZThreshold(), sharing.repository, license)
    with TemporaryDirectory() as place:
        networks.save(Path(place) / "networks")
        return push(Path(place) / "networks", card, sharing.repository, private)


@dataclass(frozen=True, repr=False)
class Scores:
    """Scores of a model under an intervention, with baseline and controls.

    Attributes
    ----------
    comparisons : list of Comparison
        One for each task and metric.
    sizes : mapping of str to EditSizes
        Energy of the edit and of its controls, by ``<task>/<metric>``, from the statistics of the extraction
        texts; empty for edits that these do not tell, such as ``fill="resample"`` or a projection.
    """

    comparisons: list[Comparison]
    sizes: Mapping[str, EditSizes] = field(default_factory=dict)

    def __repr__(self) -> str:
        changes = (
            f"{comparison.score.name} {comparison.baseline.value:.4g} → {comparison.score.value:.4g}"
            for comparison in self.comparisons
        )
        return f"Scores({', '.join(changes)})"

    def to_frame(self) -> pd.DataFrame:
        """Table with one row per task and metric: value, baseline, difference, controls, energies."""
        return pd.DataFrame(
            [
                {**comparison_row(each), **size_columns(self.sizes.get(each.score.name))}
                for each in self.comparisons
            ]
        )


def score(
    lm: LanguageModel,
    benchmark: Benchmark,
    lesion: TargetedIntervention | None = None,
    *,
    controls: int = 5,
    seed: int = 0,
    texts: Texts | None = None,
    cache: str | Path = CACHE,
) -> Scores:
    """Score a model under an intervention, and compare it with the intact model and controls.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    benchmark : Benchmark
        Benchmark such as ``Perplexity("wiki")``.
    lesion : TargetedIntervention or None
        Intervention such as ``Inhibit([3]).on(networks)``; None scores the intact model.
    controls : int
        Number of draws of each kind of control, see ``ControlKind``; 0 for no controls. A kind that cannot be
        drawn is left out with a warning. Keystones of an earlier scan in the cache are kept out.
    seed : int
        Seed of the draws.
    texts : Texts, optional
        Texts for the backward pass of the reference ``attribution``, other than those of the extraction and
        of the benchmark; without them it is left out.
    cache : path
        Folder in which scores are cached.

    Raises
    ------
    BenchmarkError
        If the benchmark scores texts that the networks were fitted on, or cannot be scored.

    Examples
    --------
    >>> fbn.score(lm, fbn.Perplexity("wiki"), lesion, controls=20).to_frame()
    """
    kinds = usual_kinds() if texts is not None else without_texts()
    settings = ControlsConfig(kinds, controls, seed) if controls else None
    if lesion is not None:
        if not isinstance(lesion, TargetedIntervention):
            raise ConfigError(f"lesion is {lesion!r}: choose its neurons first, lesion.on(networks)")
        lesion.require_model(lm)
    benchmark.prepare(lm)
    store = ScoreCache(Path(cache) / "scores")
    if lesion is None:
        target = no_target(lm.layout(Site.mlp_output))
        scorer = Scorer(lm, target.layout, benchmark, store)
        return Scores(evaluate(scorer, NoIntervention(), target, {}).comparisons)
    lesion.networks.require_unseen(benchmark.text_digests())
    layout = lesion.target.layout
    keystones = known_keystones(Path(cache), lm, layout)
    drawn = draw_for(lesion, lm, settings, keystones, texts, Path(cache)).by_kind if settings else {}
    scorer = Scorer(lm, layout, benchmark, store)
    evaluation = evaluate(scorer, lesion.intervention, lesion.target, drawn)
    energy = expected_energy(lesion.intervention, lesion.target)
    if energy is not None:
        size = partial(expected_size, energy, lesion.target)
        evaluation = evaluation.with_sizes(SizeMeasure(size, lambda edit: size(edit).energy))
    return Scores(evaluation.comparisons, evaluation.sizes)


def _option(group: str, name: str) -> tuple[type, dict[str, Any]] | None:
    """Schema and fields of ``conf/<group>/<name>.yaml``, None if there is no such file."""
    file = CONF / group / f"{name}.yaml"
    if not file.is_file():
        return None
    fields = yaml.safe_load(file.read_text(encoding="utf-8"))
    schema = fields.pop("defaults")[0].removeprefix("/schema/").removesuffix("@_here_")
    # fields that refer to another part of a composed config take the schema's default here
    return SCHEMAS[schema], {key: value for key, value in fields.items() if not str(value).startswith("${")}

"""Put every schema into Hydra's config store, under the name that the yaml files extend."""

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from fbn_exp.analysis import config as analysis
from fbn_exp.benchmarks import config as benchmarks
from fbn_exp.benchmarks.harness import config as harness
from fbn_exp.config import prune, root
from fbn_exp.config.single_values import accept_single_values
from fbn_exp.datasets import config as datasets
from fbn_exp.datasets.conditions import config as conditions
from fbn_exp.datasets.probes import config as prompts
from fbn_exp.experiments.decisive import config as decisive
from fbn_exp.interventions import config as interventions
from fbn_exp.interventions.component import config as component
from fbn_exp.interventions.controls import config as controls
from fbn_exp.launch import config as launch
from fbn_exp.methods import config as methods
from fbn_exp.methods.localizer import config as localizer
from fbn_exp.models import config as models
from fbn_exp.reliability import config as reliability
from fbn_exp.signals import config as signals
from fbn_exp.thresholds import config as thresholds
from fbn_exp.tracking import config as tracking
from fbn_exp.training import config as training

# one group for all schemas, so that the other groups list only options that a user can choose
SCHEMAS: dict[str, type] = {
    "extract": root.ExtractConfig,
    "evaluate": root.EvaluateConfig,
    "explore": root.ExploreConfig,
    "model": models.ModelConfig,
    "embedded": datasets.EmbeddedDatasetConfig,
    "hub": datasets.HubDatasetConfig,
    "files": datasets.FilesDatasetConfig,
    "probe_prompts": prompts.ProbePromptsConfig,
    "conditions": conditions.ConditionsConfig,
    "signals": signals.SignalsConfig,
    "ica": methods.ICAConfig,
    "canica": methods.CanICAConfig,
    "dictionary": methods.DictionaryConfig,
    "sae": methods.SAEConfig,
    "pca": methods.PCAConfig,
    "random": methods.RandomConfig,
    "localizer": localizer.LocalizerConfig,
    "no_reliability": reliability.NoReliabilityConfig,
    "icasso": reliability.IcassoConfig,
    "split_halves": reliability.SplitHalvesConfig,
    "z": thresholds.ZThresholdConfig,
    "top": thresholds.TopThresholdConfig,
    "mixture": thresholds.MixtureThresholdConfig,
    "fdr": thresholds.FDRThresholdConfig,
    "wandb": tracking.WandbConfig,
    "none": tracking.NoTrackingConfig,
    "untouched": interventions.NoInterventionConfig,
    "inhibit": interventions.InhibitConfig,
    "scale": interventions.ScaleConfig,
    "amplify": interventions.AmplifyConfig,
    "shift": interventions.ShiftConfig,
    "mean": interventions.MeanConfig,
    "preserve": interventions.PreserveConfig,
    "project": component.ProjectConfig,
    "subtract": component.SubtractConfig,
    "controls": controls.ControlsConfig,
    "perplexity": benchmarks.PerplexityConfig,
    "divergence": benchmarks.DivergenceConfig,
    "probes": harness.ProbesConfig,
    "lm_eval": harness.HarnessConfig,
    "classification": benchmarks.ClassificationConfig,
    "generation": benchmarks.GenerationConfig,
    "consistency": analysis.ConsistencyConfig,
    "overlap": analysis.OverlapConfig,
    "connectivity": analysis.ConnectivityConfig,
    "order": analysis.OrderConfig,
    "keystones": analysis.KeystonesConfig,
    "fingerprint": analysis.FingerprintConfig,
    "decisive_sink": decisive.SinkConfig,
    "decisive_ica": decisive.ICAClaimConfig,
    "decisive_preservation": decisive.PreservationConfig,
    "decisive_share": decisive.ShareConfig,
    "train": root.TrainConfig,
    "prune": prune.PruneConfig,
    "task_classification": training.ClassificationTaskConfig,
    "task_language_modeling": training.LanguageModelingTaskConfig,
    "train_all": training.TrainAllConfig,
    "train_last": training.TrainLastConfig,
    "train_inside": training.TrainInsideConfig,
    "train_outside": training.TrainOutsideConfig,
    "train_lora": training.TrainLoraConfig,
    "local_launch": launch.LaunchConfig,
    "accelerate_launch": launch.AccelerateConfig,
    "cluster_launch": launch.ClusterConfig,
    "slurm_launch": launch.SlurmConfig,
    "ray_launch": launch.RayConfig,
}

# base schemas for user-defined classes: their yaml may add fields, which the class's constructor checks
OWN_SCHEMAS: dict[str, type] = {
    "own_dataset": datasets.DatasetConfig,
    "own_method": methods.MethodConfig,
    "own_threshold": thresholds.ThresholdConfig,
    "own_intervention": interventions.InterventionConfig,
    "own_benchmark": benchmarks.BenchmarkConfig,
    "own_analysis": analysis.AnalysisConfig,
}


def register() -> None:
    """Store all schemas, and accept single values for lists; call once before ``hydra.main``."""
    accept_single_values()
    store = ConfigStore.instance()
    for name, schema in SCHEMAS.items():
        store.store(group="schema", name=name, node=schema)
    for name, schema in OWN_SCHEMAS.items():
        store.store(group="schema", name=name, node=OmegaConf.structured(schema, flags={"struct": False}))

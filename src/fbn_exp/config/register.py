"""Put every schema into Hydra's config store, under the name that the yaml files extend."""

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from fbn_exp.config import launch, measuring, options, reliability, scoring, stages, training

# one group for all of them, so that the choices of the real groups are only what a user can pick
SCHEMAS: dict[str, type] = {
    "extract": stages.ExtractConfig,
    "evaluate": stages.EvaluateConfig,
    "model": options.ModelConfig,
    "embedded": options.EmbeddedDatasetConfig,
    "hub": options.HubDatasetConfig,
    "files": options.FilesDatasetConfig,
    "signals": options.SignalsConfig,
    "fastica": options.FastICAConfig,
    "canica": options.CanICAConfig,
    "dictionary": options.DictionaryConfig,
    "pca": options.PCAConfig,
    "random": options.RandomConfig,
    "no_reliability": reliability.NoReliabilityConfig,
    "icasso": reliability.IcassoConfig,
    "z": options.ZThresholdConfig,
    "top": options.TopThresholdConfig,
    "fdr": options.FDRThresholdConfig,
    "wandb": options.WandbConfig,
    "none": options.NoTrackingConfig,
    "untouched": scoring.InterventionConfig,
    "inhibit": scoring.InhibitConfig,
    "scale": scoring.ScaleConfig,
    "amplify": scoring.AmplifyConfig,
    "shift": scoring.ShiftConfig,
    "mean": scoring.MeanConfig,
    "preserve": scoring.PreserveConfig,
    "perplexity": scoring.PerplexityConfig,
    "probes": scoring.ProbesConfig,
    "lm_eval": scoring.HarnessConfig,
    "classification": scoring.ClassificationConfig,
    "generation": scoring.GenerationConfig,
    "consistency": measuring.ConsistencyConfig,
    "overlap": measuring.OverlapConfig,
    "connectivity": measuring.ConnectivityConfig,
    "train": training.TrainConfig,
    "task_classification": training.ClassificationTaskConfig,
    "task_language_modeling": training.LanguageModelingTaskConfig,
    "train_all": training.TrainAllConfig,
    "train_inside": training.TrainInsideConfig,
    "train_outside": training.TrainOutsideConfig,
    "train_lora": training.TrainLoraConfig,
    "local_launch": launch.LaunchConfig,
    "accelerate_launch": launch.AccelerateConfig,
    "cluster_launch": launch.ClusterConfig,
    "slurm_launch": launch.SlurmConfig,
    "ray_launch": launch.RayConfig,
}

# bases for classes from outside this package: their yaml may add fields, which their constructor checks
OWN_SCHEMAS: dict[str, type] = {
    "own_dataset": options.DatasetConfig,
    "own_method": options.MethodConfig,
    "own_threshold": options.ThresholdConfig,
    "own_intervention": scoring.InterventionConfig,
    "own_benchmark": scoring.BenchmarkConfig,
}


def register() -> None:
    """Store all schemas; call once before ``hydra.main``."""
    store = ConfigStore.instance()
    for name, schema in SCHEMAS.items():
        store.store(group="schema", name=name, node=schema)
    for name, schema in OWN_SCHEMAS.items():
        store.store(group="schema", name=name, node=OmegaConf.structured(schema, flags={"struct": False}))

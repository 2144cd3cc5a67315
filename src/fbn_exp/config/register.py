"""Put every schema into Hydra's config store, under the name that the yaml files extend."""

from hydra.core.config_store import ConfigStore

from fbn_exp.config import options, stages

# one group for all of them, so that the choices of the real groups are only what a user can pick
SCHEMAS: dict[str, type] = {
    "extract": stages.ExtractConfig,
    "model": options.ModelConfig,
    "embedded": options.EmbeddedDatasetConfig,
    "hub": options.HubDatasetConfig,
    "files": options.FilesDatasetConfig,
    "signals": options.SignalsConfig,
    "fastica": options.FastICAConfig,
    "pca": options.PCAConfig,
    "random": options.RandomConfig,
    "z": options.ZThresholdConfig,
    "top": options.TopThresholdConfig,
    "fdr": options.FDRThresholdConfig,
    "wandb": options.WandbConfig,
    "none": options.NoTrackingConfig,
}


def register() -> None:
    """Store all schemas; call once before ``hydra.main``."""
    store = ConfigStore.instance()
    for name, schema in SCHEMAS.items():
        store.store(group="schema", name=name, node=schema)

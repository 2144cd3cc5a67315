"""Short arguments for what takes several settings: ``debug=true``, ``quiet=true``, ``verbose=true``."""

import os

DRY_RUN = ("model=tiny", "tracking=none", "figures.dpi=50")
EXTRACTION = ("dataset.n_texts=6", "method.n_components=3", "figures.max_networks=1")
# script -> settings of a dry run of seconds
DEBUG = {
    "extract": (*DRY_RUN, *EXTRACTION),
    "evaluate": (*DRY_RUN, *EXTRACTION, "controls.repeats=1", "keep_lesion=false"),
    "train": (*DRY_RUN, "dataset.n_texts=60", "trainer.max_steps=2"),
    "prune": (*DRY_RUN, *EXTRACTION, "forgetting=corpora", "prune.speed_pairs=1"),
}
LOGGING = {
    "quiet": "hydra.job_logging.root.level=WARNING",
    "verbose": "hydra.verbose=true",
}


def expanded(arguments: list[str], script: str) -> list[str]:
    """Replace short arguments by their settings; what else is set on the command line wins.

    Parameters
    ----------
    arguments : list of str
        Arguments of the command line.
    script : str
        Name of the script, as ``extract``.
    """
    asked = {name for name in ("debug", *LOGGING) if f"{name}=true" in arguments}
    short = {f"{name}={value}" for name in ("debug", *LOGGING) for value in ("true", "false")}
    others = [argument for argument in arguments if argument not in short]
    settings = [*(DEBUG.get(script, ()) if "debug" in asked else ())]
    settings += [setting for name, setting in LOGGING.items() if name in asked]
    if "quiet" in asked:
        # read by progress bars, in the processes of launched jobs too
        os.environ["TQDM_DISABLE"] = "1"
    named = {argument.lstrip("+~").partition("=")[0] for argument in others}
    if "method=localizer" in others:
        # it has as many networks as contrasts
        named.add("method.n_components")
    return [*others, *(setting for setting in settings if setting.partition("=")[0] not in named)]

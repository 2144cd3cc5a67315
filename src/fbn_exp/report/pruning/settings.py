"""Settings that tell jobs of a sweep over prune.py apart, beside those that its table has as columns."""

import pandas as pd

OVERRIDE = "override/"
# settings that stand in other columns of the table, and seeds, over which curves are averaged
KNOWN = {
    f"{OVERRIDE}{name}"
    for name in (
        *("prune.criterion", "prune.ratio", "prune.form", "prune.bias", "prune.spared_first"),
        *("prune.spared_last", "prune.seed", "seed"),
    )
}
MODELS = (f"{OVERRIDE}model", f"{OVERRIDE}model.name")


def varied_settings(table: pd.DataFrame) -> list[str]:
    """Columns of settings that differ among jobs, such as ``override/method.n_components``.

    Parameters
    ----------
    table : DataFrame
        Rows of the table ``pruning`` of all jobs.
    """
    return [
        str(name)
        for name in table
        if str(name).startswith(OVERRIDE) and name not in KNOWN and table[name].nunique() > 1
    ]


def setting_in_words(setting: str, value: object) -> str:
    """Name and value of a setting, as it is given on the command line."""
    return f"{setting.removeprefix(OVERRIDE)}={value}"

"""The tokens at which each network is strongest, in context."""

import numpy as np
import pandas as pd
from torch import Tensor

from fbn_exp.models.load import LanguageModel
from fbn_exp.signals.recording import Signals

COLUMNS = ("network", "rank", "strength", "token", "before", "after", "text", "position", "origin")


def strongest_tokens(
    lm: LanguageModel, signals: Signals, time_courses: Tensor, count: int, context: int
) -> pd.DataFrame:
    """Tokens with the largest magnitude of each network's time course.

    Parameters
    ----------
    lm : LanguageModel
        For its tokenizer.
    signals : Signals
        What the networks were found in.
    time_courses : Tensor of shape (T, K)
        Unit variance, so strengths count standard deviations.
    count : int
        Tokens per network.
    context : int
        Tokens shown before and after.

    Returns
    -------
    DataFrame
        Columns network, rank, strength (signed), token, before, after, text, position, origin.
    """
    text_of_row, position_of_row = signals.token_of_row()
    rows: list[dict[str, object]] = []
    for network in range(time_courses.shape[1]):
        course = time_courses[:, network].numpy()
        order = np.argsort(-np.abs(course), kind="stable")[:count]
        for rank, row in enumerate(order, start=1):
            text, position = int(text_of_row[row]), int(position_of_row[row])
            ids = list(signals.texts.ids[text])
            rows.append(
                {
                    "network": network,
                    "rank": rank,
                    "strength": float(course[row]),
                    "token": lm.tokenizer.decode(ids[position : position + 1]),
                    "before": lm.tokenizer.decode(ids[max(0, position - context) : position]),
                    "after": lm.tokenizer.decode(ids[position + 1 : position + 1 + context]),
                    "text": text,
                    "position": position,
                    "origin": signals.texts.documents[text].origin,
                }
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))

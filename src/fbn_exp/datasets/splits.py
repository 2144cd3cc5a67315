"""Division of an undivided corpus into train, dev and test."""

import hashlib

from fbn_exp.datasets.config import Split

# out of ten digests, six are train, two are dev, two are test
PARTS = (Split.train,) * 6 + (Split.dev,) * 2 + (Split.test,) * 2


def split_of(text: str) -> Split:
    """Split of a text by its digest, independent of the order and of the other texts.

    Parameters
    ----------
    text : str
        The whole text of a document.

    Returns
    -------
    Split
        ``train`` for about 60 % of texts, ``dev`` and ``test`` for about 20 % each.
    """
    digest = hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).digest()
    return PARTS[int.from_bytes(digest[:8], "big") % len(PARTS)]


def in_split(text: str, split: Split) -> bool:
    """True if a text belongs to ``split``; every text belongs to ``Split.all``."""
    return split is Split.all or split_of(text) is split

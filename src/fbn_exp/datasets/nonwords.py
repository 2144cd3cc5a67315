"""Lists of pronounceable non-words, matched letter by letter in length to the words of real sentences."""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

# words of plain letters, at most commas between them
SENTENCE = re.compile(r"[A-Z][A-Za-z]*(,? [A-Za-z]+){11,24}\.")
END_OF_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
WORD = re.compile(r"[A-Za-z]+")
TRIES = 200
EDGE = " "
VOWELS, CONSONANTS = "aeiou", "bcdfghjklmnprstvwz"


def plain_sentence(text: str) -> str | None:
    """First sentence of 12 to 25 words that consists of letters and commas; None if there is none."""
    return next((each for each in END_OF_SENTENCE.split(text) if SENTENCE.fullmatch(each)), None)


class NonWords:
    """Non-words whose letters follow each other as in words of a language.

    Letters are drawn one by one, each given the two before it, with the frequencies of these triples in the
    words of texts (a second-order Markov chain, Shannon 1948). A draw that is a word of the texts, or does
    not end as words do, is drawn again.

    Parameters
    ----------
    texts : iterable of str
        Texts whose words are the model of the language, and are avoided.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.words = {word.lower() for text in texts for word in WORD.findall(text)}
        self._next: dict[str, Counter[str]] = defaultdict(Counter)
        # sorted, so that draws do not depend on the order of a set
        for word in sorted(self.words):
            spelled = EDGE * 2 + word + EDGE
            for place in range(len(word) + 1):
                self._next[spelled[place : place + 2]][spelled[place + 2]] += 1

    def replaced(self, sentence: str) -> str:
        """Replace every word by a non-word of as many letters, two at least; the same for the same sentence.

        Capitals at the start of words and all that stands between words are kept.
        """
        rng = random.Random(sentence)

        def other(match: re.Match[str]) -> str:
            drawn = self.draw(max(2, len(match[0])), rng)
            return drawn.capitalize() if match[0][0].isupper() else drawn

        return WORD.sub(other, sentence)

    def draw(self, length: int, rng: random.Random) -> str:
        """Draw a non-word of a number of letters."""
        for _ in range(TRIES):
            word = self._chain(length, rng)
            if word is not None and word not in self.words:
                return word
        # consonants and vowels in turn can be pronounced as well
        spelled = _syllables(length, rng)
        while spelled in self.words:
            spelled = _syllables(length, rng)
        return spelled

    def _chain(self, length: int, rng: random.Random) -> str | None:
        word = ""
        while len(word) < length:
            letters = self._next[(EDGE * 2 + word)[-2:]]
            going = {letter: count for letter, count in letters.items() if letter != EDGE}
            if not going:
                return None
            word += rng.choices(tuple(going), tuple(going.values()))[0]
        return word if self._next[word[-2:]][EDGE] else None


def _syllables(length: int, rng: random.Random) -> str:
    turn = rng.randrange(2)
    return "".join(rng.choice((CONSONANTS, VOWELS)[(place + turn) % 2]) for place in range(length))

"""Find functional networks in language models and test by intervention what they do."""

from importlib.metadata import version

__version__ = version("fbn_exp")

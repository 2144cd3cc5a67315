"""Options of pictures and tables."""

from dataclasses import dataclass


@dataclass
class FiguresConfig:
    """Pictures and tables of the networks.

    Attributes
    ----------
    max_networks : int
        Above this number only the largest networks are drawn one by one.
    dpi : int
        Resolution of the pictures.
    strongest_tokens : int
        Tokens that are listed for each network.
    context_tokens : int
        Tokens shown before and after each of them.
    """

    max_networks: int = 32
    dpi: int = 110
    strongest_tokens: int = 10
    context_tokens: int = 8

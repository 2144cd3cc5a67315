"""Options of the pictures and tables of networks."""

from dataclasses import dataclass

from fbn_exp.core.checks import require_at_most, require_count

# the largest pictures would outgrow memory
HIGHEST_DPI = 1000


@dataclass
class FiguresConfig:
    """Pictures and tables of the networks.

    Attributes
    ----------
    max_networks : int
        Largest number of networks that are drawn one by one, those of largest explained variance first.
    dpi : int
        Resolution of the pictures.
    strongest_tokens : int
        Number of strongest tokens that are listed for each network.
    context_tokens : int
        Tokens shown before and after each strongest token.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    max_networks: int = 32
    dpi: int = 110
    strongest_tokens: int = 10
    context_tokens: int = 8

    def __post_init__(self) -> None:
        require_count("figures.dpi", self.dpi)
        require_at_most("figures.dpi", self.dpi, HIGHEST_DPI)
        for name in ("max_networks", "strongest_tokens", "context_tokens"):
            require_count(f"figures.{name}", getattr(self, name), 0)

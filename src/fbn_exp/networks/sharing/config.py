"""Options to share the networks of an extraction."""

from dataclasses import dataclass

from fbn_exp.core.errors import ConfigError
from fbn_exp.networks.sharing.reference import HubReference, reference_in


@dataclass
class SharingConfig:
    """Repository of the Hugging Face hub that networks are pushed to; null keeps them on this machine.

    Attributes
    ----------
    push : str or None
        Repository, as in ``user/smollm2-networks``; it is made if it is not there. ``user/name@branch``
        pushes to a branch of it. The token is that of ``hf auth login`` or ``HF_TOKEN``.
    private : bool
        Whether a repository that is made is private.
    license : str or None
        Licence in the model card, by its name on the hub, as in ``cc-by-4.0``; null says that none was given.

    Raises
    ------
    ConfigError
        If ``push`` is no name of a repository.
    """

    push: str | None = None
    private: bool = True
    license: str | None = None

    def __post_init__(self) -> None:
        if self.push is not None and self.repository is None:
            raise ConfigError(
                f"networks.push is {self.push!r}: name a repository, as in user/smollm2-networks"
            )

    @property
    def repository(self) -> HubReference | None:
        """Repository to push to; None for none."""
        return None if self.push is None else reference_in(self.push)

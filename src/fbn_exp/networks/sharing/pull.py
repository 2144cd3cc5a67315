"""Folders of networks, from this machine or from the Hugging Face hub."""

import logging
import os
from functools import cache
from pathlib import Path

from fbn_exp.core.errors import NetworksError
from fbn_exp.networks.sharing.errors import hub_errors
from fbn_exp.networks.sharing.reference import FETCHED, HubReference, reference_in, strangers

log = logging.getLogger(__name__)


def local_folder(name: str | Path) -> Path:
    """Folder of networks on this machine; those of the hub are fetched into the cache of the hub.

    Parameters
    ----------
    name : str or Path
        A folder, or a repository of the hub, as in ``user/smollm2-networks``, with a branch, tag or commit as
        in ``user/smollm2-networks@v1``. A folder of that name comes first.

    Returns
    -------
    Path
        The folder. It is not checked: ``FunctionalNetworks.load`` does, and refuses what was changed.

    Raises
    ------
    NetworksError
        If the name is that of a repository which does not exist, cannot be reached, or holds other files than
        networks consist of.
    """
    folder = Path(name).expanduser()
    reference = reference_in(str(name))
    if reference is None or os.path.lexists(folder):
        return folder
    return _pulled(reference)


# a run names its networks at several places: all of them get the same commit
@cache
def _pulled(reference: HubReference) -> Path:
    """Fetch the files of networks; those that are in the cache already are taken from there."""
    # late: most networks lie on this machine
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    with hub_errors(reference):
        if not constants.HF_HUB_OFFLINE:
            try:
                info = HfApi().model_info(reference.repository, revision=reference.revision)
            except (HTTPError, OSError):
                # there may be a copy in the cache, and without one snapshot_download says what is wrong
                pass
            else:
                _require_networks(reference, [file.rfilename for file in info.siblings or []])
        folder = snapshot_download(
            reference.repository, revision=reference.revision, allow_patterns=list(FETCHED)
        )
    log.info("networks of the hub: %s, commit %s, in %s", reference, Path(folder).name, folder)
    return Path(folder)


def _require_networks(reference: HubReference, files: list[str]) -> None:
    if others := strangers(files):
        raise NetworksError(
            f"{reference} holds {', '.join(others[:5])}, which networks do not consist of: nothing is "
            f"fetched; networks are {', '.join(FETCHED)}"
        )

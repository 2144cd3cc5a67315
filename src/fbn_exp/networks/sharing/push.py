"""Push a folder of networks to the Hugging Face hub."""

from pathlib import Path

from fbn_exp.core.errors import NetworksError
from fbn_exp.core.files import new_file
from fbn_exp.networks.folder import description_in
from fbn_exp.networks.sharing.errors import LOG_IN, hub_errors
from fbn_exp.networks.sharing.reference import CARD, FETCHED, HubReference


def require_writable(reference: HubReference) -> None:
    """Check that the hub can be reached with a token, before hours of work.

    Raises
    ------
    NetworksError
        If this is offline, there is no token, the token is not valid, or the hub cannot be reached.
    """
    from huggingface_hub import HfApi, constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise NetworksError(f"networks cannot be pushed to {reference} while HF_HUB_OFFLINE is set: unset it")
    if get_token() is None:
        raise NetworksError(f"networks cannot be pushed to {reference} without a token: {LOG_IN}")
    with hub_errors(reference):
        HfApi().whoami()


def push(folder: Path, card: str, reference: HubReference, private: bool) -> str:
    """Push networks and their card, as one commit.

    Parameters
    ----------
    folder : Path
        Folder of networks; the card is written into it as ``README.md``. Other files in it stay here.
    card : str
        Content of the card.
    reference : HubReference
        Repository, made if it is not there, and the branch to push to, made if it is not there.
    private : bool
        Whether a repository that is made is private.

    Returns
    -------
    str
        Address of the commit.

    Raises
    ------
    NetworksError
        If the folder holds no networks, or the hub does not take them.
    """
    from huggingface_hub import HfApi

    description_in(folder)
    require_writable(reference)
    with new_file(folder / CARD) as partial:
        partial.write_text(card, encoding="utf-8")
    api = HfApi()
    with hub_errors(reference):
        api.create_repo(reference.repository, private=private, exist_ok=True)
        if reference.revision is not None:
            api.create_branch(reference.repository, branch=reference.revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=reference.repository,
            folder_path=folder,
            revision=reference.revision,
            allow_patterns=list(FETCHED),
            commit_message="Functional networks",
        )
    return str(commit.commit_url)

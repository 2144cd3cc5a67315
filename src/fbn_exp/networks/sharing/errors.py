"""Errors of the hub, in words that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from fbn_exp.core.errors import NetworksError
from fbn_exp.networks.sharing.reference import HubReference

LOG_IN = "log in by `hf auth login`, or set HF_TOKEN"


@contextmanager
def hub_errors(reference: HubReference) -> Iterator[None]:
    """Turn errors of ``huggingface_hub`` into a ``NetworksError`` about a repository.

    Raises
    ------
    NetworksError
        If the repository or its revision does not exist, may not be read or written with the token that is
        set, or the hub cannot be reached.
    """
    # of the hub's HTTP client, whichever that is; most errors of the hub itself are OSErrors
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    try:
        yield
    except (HTTPError, OSError, ValueError) as error:
        raise NetworksError(_in_words(reference, error)) from error


def _in_words(reference: HubReference, error: Exception) -> str:
    from huggingface_hub import constants, errors

    reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
    if isinstance(error, errors.GatedRepoError):
        return f"{reference} of the hub is gated: ask for access at its page, and {LOG_IN}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"there is no repository {reference.repository} at {constants.ENDPOINT} and no such folder here, "
            f"or it is private, and not open to your token: {LOG_IN}"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{reference.repository} of the hub has no branch, tag or commit {reference.revision!r}"
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        why = (
            "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"{constants.ENDPOINT} cannot be reached"
        )
        return (
            f"{reference} is no folder here, and not in the cache of the hub, {constants.HF_HUB_CACHE}, "
            f"while {why}"
        )
    if isinstance(error, errors.HfHubHTTPError) and error.response.status_code in (401, 403):
        return f"{constants.ENDPOINT} refuses access to {reference.repository} to your token: {LOG_IN}"
    return f"{reference} at {constants.ENDPOINT}: {reason}"

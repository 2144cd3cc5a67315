"""Networks on the hub: pushed to and pulled from a stand-in on this machine, and read from its cache."""

import shutil

import pytest
import torch
from hub_stand_in import TOKEN, connect, served
from huggingface_hub import constants
from synthetic import lay_out, networks_of

from fbn_exp.api import load_networks, push_networks
from fbn_exp.core.errors import ConfigError, NetworksError
from fbn_exp.networks.folder import DESCRIPTION, NEURONS, TENSORS
from fbn_exp.networks.sharing import pull
from fbn_exp.networks.sharing.config import SharingConfig
from fbn_exp.networks.sharing.reference import HubReference, reference_in, strangers

NAME = "user/planted-networks"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def networks():
    return networks_of(3, lay_out(2, 8))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """A cache of the hub of this test's own, offline and without a token."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(tmp_path / "tokens"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    pull._pulled.cache_clear()
    yield
    pull._pulled.cache_clear()


@pytest.fixture
def hub(monkeypatch):
    """The stand-in, online, with a token that it knows."""
    with served() as made:
        connect(monkeypatch, made)
        yield made


def kept_in_cache(networks, tmp_path, reference="main"):
    """The layout of the hub's cache: content in blobs, a snapshot of links, a branch that names a commit."""
    place = tmp_path / "hub" / f"models--{NAME.replace('/', '--')}"
    for folder in ("blobs", "refs", f"snapshots/{COMMIT}"):
        (place / folder).mkdir(parents=True)
    networks.save(tmp_path / "made")
    for name in (DESCRIPTION, TENSORS):
        shutil.move(tmp_path / "made" / name, place / "blobs" / name)
        (place / "snapshots" / COMMIT / name).symlink_to(place / "blobs" / name)
    (place / "refs" / reference).write_text(COMMIT)
    return place


@pytest.mark.parametrize("name", [NAME, f"{NAME}@main", f"{NAME}@{COMMIT}"])
def test_networks_are_read_from_the_cache_of_the_hub_offline(networks, tmp_path, name):
    kept_in_cache(networks, tmp_path)
    assert torch.equal(load_networks(name).maps, networks.maps)


def test_a_folder_of_that_name_comes_before_the_hub(networks, tmp_path):
    kept_in_cache(networks, tmp_path)
    networks_of(2, lay_out(2, 8)).save(tmp_path / NAME)
    assert len(load_networks(NAME)) == 2


def test_networks_that_were_changed_in_the_cache_are_refused(networks, tmp_path):
    place = kept_in_cache(networks, tmp_path)
    damaged = bytearray((place / "blobs" / TENSORS).read_bytes())
    damaged[-1] ^= 1
    (place / "blobs" / TENSORS).write_bytes(damaged)
    with pytest.raises(NetworksError, match="truncated or changed"):
        load_networks(NAME)


def test_offline_an_error_names_cache_and_setting(tmp_path):
    with pytest.raises(NetworksError, match=r"no folder here.*not in the cache.*HF_HUB_OFFLINE is set"):
        load_networks(NAME)


def test_what_is_pushed_comes_back_whole_with_a_card(networks, hub):
    address = push_networks(networks, NAME, license="cc-by-4.0")
    assert address.startswith(f"{hub.address}/{NAME}/commit/")
    assert hub.private[NAME]
    back = load_networks(NAME)
    assert torch.equal(back.maps, networks.maps)
    assert back.provenance == networks.provenance
    files = hub.commits[hub.branches[NAME]["main"]]
    assert set(files) == {".gitattributes", "README.md", DESCRIPTION, NEURONS, TENSORS}
    card = files["README.md"].decode()
    assert card.startswith("---\n")
    assert "license: cc-by-4.0" in card
    assert "made up" in card  # the texts


def test_what_was_pulled_once_is_there_offline(networks, hub, monkeypatch):
    push_networks(networks, NAME)
    load_networks(NAME)
    pull._pulled.cache_clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert torch.equal(load_networks(NAME).maps, networks.maps)


def test_a_branch_is_pushed_to_and_pulled_from(networks, hub):
    push_networks(networks, NAME)
    other = networks_of(2, lay_out(2, 8))
    push_networks(other, f"{NAME}@second")
    assert len(load_networks(f"{NAME}@second")) == 2
    assert len(load_networks(f"{NAME}@{hub.branches[NAME]['main']}")) == 3
    with pytest.raises(NetworksError, match="no branch, tag or commit 'third'"):
        load_networks(f"{NAME}@third")


@pytest.mark.parametrize(
    "stranger", ["weights.pkl", "pytorch_model.bin", "modeling.py", "networks.json/x.pt"]
)
def test_a_repository_with_pickles_or_code_is_refused_before_anything_is_fetched(
    networks, hub, tmp_path, stranger
):
    push_networks(networks, NAME)
    hub.commit(NAME, "main", {stranger: b"\x80\x04."})
    with pytest.raises(NetworksError, match=f"holds {stranger}, which networks do not consist of"):
        load_networks(NAME)
    assert not list((tmp_path / "hub").rglob("*.safetensors"))


def test_networks_that_were_damaged_on_the_hub_are_refused(networks, hub):
    push_networks(networks, NAME)
    content = hub.commits[hub.branches[NAME]["main"]][TENSORS]
    hub.commit(NAME, "main", {TENSORS: content[:-4]})
    with pytest.raises(NetworksError, match="truncated or changed"):
        load_networks(NAME)


def test_private_networks_need_a_token(networks, hub, monkeypatch):
    push_networks(networks, NAME)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(
        NetworksError, match=r"no repository user/planted-networks .* or it is private.*HF_TOKEN"
    ):
        load_networks(NAME)
    with pytest.raises(
        NetworksError, match=r"cannot be pushed to .* without a token: log in by `hf auth login`"
    ):
        push_networks(networks, NAME)


def test_a_token_that_is_not_valid_is_said(networks, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    with pytest.raises(NetworksError, match=r"(?i)token"):
        push_networks(networks, NAME)


def test_nothing_is_pushed_offline(networks):
    with pytest.raises(NetworksError, match="HF_HUB_OFFLINE is set: unset it"):
        push_networks(networks, NAME)


def test_a_hub_that_does_not_answer_is_said(networks, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(NetworksError, match="cannot be reached"):
        load_networks(NAME)
    with pytest.raises(NetworksError, match=r"http://127\.0\.0\.1:9"):
        push_networks(networks, NAME)


def test_names_of_repositories_are_told_from_folders():
    assert reference_in("user/name@v1") == HubReference("user/name", "v1")
    for folder in (
        "name",
        "/user/name",
        "./user/name",
        "~/name",
        "a/b/c",
        "../name",
        "user/name@",
        "outputs/…/x",
    ):
        assert reference_in(folder) is None
    with pytest.raises(ConfigError, match=r"networks\.push is './here'"):
        SharingConfig("./here")
    assert strangers(["README.md", "LICENSE.txt", "overview.png", DESCRIPTION, TENSORS]) == []

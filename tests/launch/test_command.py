"""What accelerate is told of a job, and which CUDA devices its processes see; nothing is started."""

import pytest
import yaml
from hostile import altered, damaged
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from fbn_exp.core.errors import ConfigError
from fbn_exp.launch.command import devices_of_slot, start_of, usable_devices
from fbn_exp.launch.config import AccelerateConfig, ClusterConfig, SlurmConfig
from fbn_exp.launch.jobs import Job
from fbn_exp.launch.settings import machine_rank, settings_of, wants_processes


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch):
    for name in ("SLURM_JOB_NUM_NODES", "SLURM_NODEID", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)


def config_of(kind=AccelerateConfig, **settings):
    return OmegaConf.create({"launch": OmegaConf.merge(OmegaConf.structured(kind), settings)})


def job_of(folder, config, machine=0):
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    return Job(folder, folder / "script.py", config, machine)


def written(folder, **content):
    file = folder / "my.yaml"
    file.write_text(yaml.safe_dump({"compute_environment": "LOCAL_MACHINE", **content}))
    return str(file)


@pytest.mark.parametrize(
    ("devices", "slots", "shares"),
    [
        ("0123", 2, ["01", "23"]),
        ("0123", 4, ["0", "1", "2", "3"]),
        ("01234", 2, ["01", "23"]),
        ("57", 3, ["5", "7", "5"]),
        ("", 2, ["", ""]),
    ],
)
def test_jobs_side_by_side_divide_the_devices(devices, slots, shares):
    found = [devices_of_slot(list(devices), slot, slots) for slot in range(slots)]
    assert found == [list(share) for share in shares]


def test_a_job_sees_the_devices_of_its_slot_whatever_ids_its_config_file_names(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    config = config_of(config_file=written(tmp_path, gpu_ids="0,1", num_processes=1), jobs_at_once=2)
    settings = settings_of(config)
    devices = usable_devices(settings)
    assert devices == ["0", "1"]
    seen = []
    for slot in range(2):
        job = job_of(tmp_path / str(slot), config)
        start = start_of(job, settings, devices_of_slot(devices, slot, 2), 2)
        seen.append(start.environment["CUDA_VISIBLE_DEVICES"])
        # accelerate would put any ids over what the environment says
        assert yaml.safe_load((job.logs / "accelerate.yaml").read_text())["gpu_ids"] == "all"
    assert seen == ["0", "1"]


def test_a_single_id_of_a_config_file_is_a_number_in_yaml(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert usable_devices(settings_of(config_of(config_file=written(tmp_path, gpu_ids=3)))) == ["3"]


def test_ids_that_are_not_visible_are_refused_with_those_that_are(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    settings = settings_of(config_of(config_file=written(tmp_path, gpu_ids="0,1")))
    with pytest.raises(ConfigError, match=r"gpu_ids 0,1, but the visible CUDA devices are 2, 3"):
        usable_devices(settings)


def test_a_job_on_the_cpu_sees_no_device(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    config = OmegaConf.merge(config_of(num_processes=2), {"model": {"device": "cpu"}})
    start = start_of(job_of(tmp_path, config), settings_of(config), ["0", "1"], 1)
    assert start.environment["CUDA_VISIBLE_DEVICES"] == ""
    assert start.environment["ACCELERATE_USE_CPU"] == "true"


def test_a_job_takes_one_rank_for_each_of_its_devices_and_not_more(tmp_path):
    config = config_of()
    start = start_of(job_of(tmp_path, config), settings_of(config), ["4", "6"], 1)
    assert (start.processes, start.environment["CUDA_VISIBLE_DEVICES"]) == (2, "4,6")
    config = config_of(num_processes=3)
    with pytest.raises(ConfigError, match="num_processes is 3, but a job has 2 CUDA devices here"):
        start_of(job_of(tmp_path, config), settings_of(config), ["4", "6"], 1)


TWO = {"num_machines": 2, "main_process_ip": "node1", "main_process_port": 29500}


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (SlurmConfig, {"nodes": 2}),
        (ClusterConfig, {"nodes": 2, "num_processes": 3}),
        (AccelerateConfig, {"num_processes": 1, **TWO}),
    ],
)
def test_machines_without_a_rank_each_are_refused(kind, settings):
    config = config_of(kind, **settings)
    # each node would do the whole job, into the same folder
    assert wants_processes(config)
    with pytest.raises(ConfigError, match=r"num_processes is [13], and the job has 2 machines or nodes"):
        settings_of(config)


def test_ranks_that_a_config_file_counts_are_divided_over_its_machines(tmp_path):
    config = config_of(config_file=written(tmp_path, num_machines=2, num_processes=3))
    with pytest.raises(ConfigError, match="num_processes is 3, and the job has 2 machines"):
        start_of(job_of(tmp_path, config), settings_of(config), [], 1)


def test_a_config_file_says_which_machine_this_is(tmp_path):

    assert machine_rank(config_of(config_file=written(tmp_path, machine_rank=1, **TWO))) == 1
    assert machine_rank(config_of(machine_rank=1, **TWO)) == 1
    assert machine_rank(config_of()) == 0
    config = config_of(config_file=written(tmp_path, machine_rank=2, num_processes=2, **TWO))
    with pytest.raises(ConfigError, match="is 2, and there are 2 machines"):
        usable_devices(settings_of(config))


def test_slurm_says_which_node_this_is(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "2")
    config = config_of(SlurmConfig, nodes=2, num_processes=2)
    # a script in an allocation of two nodes, which is not itself a task of it
    assert machine_rank(config) == 0
    monkeypatch.setenv("SLURM_NODEID", "1")
    assert machine_rank(config) == 1


CONFIG_FILE = {
    "num_processes": 2,
    "num_machines": 1,
    "machine_rank": 0,
    "gpu_ids": "0,1",
    "mixed_precision": "no",
}


@given(data=st.data())
def test_whatever_a_config_file_holds_a_job_can_be_started_or_the_file_is_named(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzed")
    file = folder / "my.yaml"
    valid = yaml.safe_dump(CONFIG_FILE).encode()
    file.write_bytes(
        data.draw(damaged(valid) | altered(CONFIG_FILE).map(lambda each: yaml.safe_dump(each).encode()))
    )
    config = config_of(config_file=str(file))
    try:
        start, said = start_of(job_of(folder, config), settings_of(config), [], 1), ""
    except ConfigError as error:
        start, said = None, str(error)
    assert start is not None or str(file) in said or "launch.num_processes" in said
    assert start is None or 1 <= start.machines <= start.processes
    assert machine_rank(config) >= 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00", "cannot be read"),
        (b"[" * 5_000, "cannot be read"),
        (b"a: 2026-13-45", "cannot be read"),
        (b"num_processes: " + b"1" * 5_000, "cannot be read"),
        (
            b"num_processes: two",
            "has num_processes 'two', which must be a whole number from 1 to 2,147,483,647",
        ),
        (b"num_machines: [1]", r"has num_machines \[1\]"),
        (b"machine_rank: true", "has machine_rank True"),
        (b"num_processes: -2", "has num_processes -2"),
        (
            b"main_process_port: 65536",
            "has main_process_port 65536, which must be a whole number from 0 to 65,535",
        ),
    ],
)
def test_a_config_file_that_cannot_be_used_is_named_with_the_reason(tmp_path, content, said):
    (tmp_path / "my.yaml").write_bytes(content)
    config = config_of(config_file=str(tmp_path / "my.yaml"))
    with pytest.raises(ConfigError, match=rf"my\.yaml {said}"):
        start_of(job_of(tmp_path, config), settings_of(config), [], 1)

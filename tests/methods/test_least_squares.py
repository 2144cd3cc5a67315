import pytest
import torch

from fbn_exp.methods.least_squares import least_squares_courses, separate_courses


def gaussian(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_courses_are_the_least_squares_solution():
    signals, maps = gaussian(50, 80) + 4, gaussian(3, 80, seed=1)
    maps[1] = maps[0] + 0.1 * maps[1]
    maps *= torch.tensor([1e-4, 1, 1e4])[:, None]
    centred = signals.double() - signals.double().mean(dim=0)
    exact = torch.linalg.lstsq(maps.double().T, centred.T).solution.T
    found = least_squares_courses(signals, maps)
    torch.testing.assert_close(found / exact.std(dim=0), exact / exact.std(dim=0), atol=1e-3, rtol=0)
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(3).double(), atol=1e-6, rtol=0)


def test_an_empty_map_has_no_course_and_changes_no_other():
    signals, maps = gaussian(50, 80), gaussian(3, 80, seed=1)
    with_empty = torch.cat([maps, torch.zeros(1, 80)])
    found = least_squares_courses(signals, with_empty)
    assert (found[:, 3] == 0).all()
    torch.testing.assert_close(found[:, :3], least_squares_courses(signals, maps), atol=1e-6, rtol=0)


def test_equal_maps_share_what_they_explain():
    signals, maps = gaussian(50, 80), gaussian(1, 80, seed=1)
    found = least_squares_courses(signals, torch.cat([maps, maps]))
    alone = least_squares_courses(signals, maps)
    torch.testing.assert_close(found, torch.cat([alone, alone], dim=1) / 2, atol=1e-6, rtol=0)


def test_separate_courses_fit_each_map_by_itself_and_know_what_all_explain():
    signals, maps = gaussian(50, 80) + 2, gaussian(3, 80, seed=1)
    maps[2] = maps[0] - maps[1]
    courses, energy = separate_courses(signals, maps)
    for index in range(3):
        alone = least_squares_courses(signals, maps[index : index + 1])
        torch.testing.assert_close(courses[:, index : index + 1], alone, atol=1e-6, rtol=0)
    joint = least_squares_courses(signals, maps) @ maps.double()
    assert energy == pytest.approx(float(joint.square().sum()), rel=1e-6)

"""The notebook of the public API runs from its first cell to its last, and shows what a real model gave."""

import nbformat
import pytest
from nbclient import NotebookClient
from scripts import REPOSITORY

TOUR = REPOSITORY / "examples" / "tour.ipynb"


def cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.slow
def test_the_tour_runs_on_the_tiny_model(tmp_path):
    notebook = nbformat.read(TOUR, as_version=4)
    for cell in cells(notebook):
        cell.source = cell.source.replace('"smollm2"', '"tiny"')
        cell.outputs = []
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute(cwd=str(tmp_path))
    shown = "".join(str(cell.outputs) for cell in cells(notebook))
    assert "random:llama" in shown
    assert shown.count("image/png") == 1


def test_the_tour_shows_ten_steps_of_a_real_model():
    notebook = nbformat.read(TOUR, as_version=4)
    assert len(cells(notebook)) == 10
    assert all(cell.outputs for cell in cells(notebook))
    shown = str(notebook)
    assert "SmolLM2" in shown
    assert "image/png" in shown

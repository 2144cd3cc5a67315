"""The dataclass of an option is its only truth: the class that does the work inherits it."""

import dataclasses

import pytest
from hydra.utils import get_class
from omegaconf import MISSING

from fbn_exp.config.register import SCHEMAS

TARGETS = {
    name: schema._target_
    for name, schema in SCHEMAS.items()
    if getattr(schema, "_target_", MISSING) != MISSING
}


@pytest.mark.parametrize("name", TARGETS)
def test_the_class_of_an_option_is_its_schema_with_behaviour(name):
    schema, made = SCHEMAS[name], get_class(TARGETS[name])
    assert issubclass(made, schema)
    written = [each for each in made.__mro__[:-1] if "__init__" in vars(each)]
    assert all("__dataclass_fields__" in vars(each) for each in written)  # all of them are generated
    assert dataclasses.fields(made) == dataclasses.fields(schema)

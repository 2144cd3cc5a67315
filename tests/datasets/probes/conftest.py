from probe_items import drawn, pytest_generate_tests  # noqa: F401 - a fixture and a hook

"""The order of the tests: files that take minutes come first, so that no process ends alone."""

import pytest

LONG = (
    "test_spark", "test_main_job", "test_features", "test_real_data", "test_mutants",
    "test_benchmarks", "test_kernel", "test_console_browser", "test_serving_fuzz", "test_train",
    "test_nightly", "test_identity", "test_lifecycle", "test_serving_life", "test_serving_edge",
    "test_serving_swap", "test_events_fresh", "test_bad_input", "test_facts", "test_build",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, in the order of the list; the others as they were found."""
    rank = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONG)))

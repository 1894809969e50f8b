import pytest
import torch
from torch.distributions import Distribution


@pytest.fixture(autouse=True)
def distributions_validate():
    """torch.compile switches validation off for the whole process, and wrong arguments would go unnoticed."""
    Distribution.set_default_validate_args(True)


@pytest.fixture
def compile_whole():
    """Compile a function to one graph, with validation off as torch.compile does when first used."""

    def compile_whole(function):
        torch.compiler.reset()
        Distribution.set_default_validate_args(False)
        return torch.compile(function, fullgraph=True, backend="eager")

    return compile_whole


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests: playwright cannot be started twice in a process."""
    from book.build.pdf import chromium

    with chromium() as opened_browser:
        yield opened_browser


def pytest_collection_modifyitems(items):
    """Browser tests come last: playwright leaves an event loop running, beside which asyncio.run fails."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)

import pytest
from torch.distributions import Distribution


@pytest.fixture(autouse=True)
def distributions_validate():
    """torch.compile switches validation off for the whole process, and wrong arguments would go unnoticed."""
    Distribution.set_default_validate_args(True)

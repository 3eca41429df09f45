import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `bench`, which the tests share

from host_aes import build_host


@pytest.fixture(scope="session")
def host_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The firmware's AES and DRBG, for the host."""
    return build_host(tmp_path_factory.mktemp("host"))

"""The platform's program under mocks, for tests that read what it declares."""

from tests.infra.conftest import program

__all__ = ["program"]

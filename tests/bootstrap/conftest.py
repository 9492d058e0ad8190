"""The program's fixtures are those of the platform's program."""

from tests.infra.conftest import event_loop_of_the_thread

__all__ = ["event_loop_of_the_thread"]

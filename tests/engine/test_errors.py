"""Each error has one gRPC status."""

import inspect

import grpc

from local.engine import errors


def test_every_error_has_a_status_that_exists():
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.EngineError)]
    assert len(classes) > 10
    for cls in classes:
        error = cls.__new__(cls)
        for table in (errors.REGISTRATION_STATUS, errors.INVOKE_STATUS):
            assert hasattr(grpc.StatusCode, errors.status_of(error, table))


def test_a_failed_invoke_can_be_caught_but_a_failed_registration_ends_the_program():
    assert errors.status_of(errors.ProviderError("x"), errors.INVOKE_STATUS) == "UNKNOWN"
    assert errors.status_of(errors.AlreadyExists("x", "y"), errors.REGISTRATION_STATUS) == "UNAVAILABLE"

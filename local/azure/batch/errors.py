"""The Batch service's error codes (data plane and the Batch part of ARM).

Status, code and text from https://learn.microsoft.com/rest/api/batchservice/batch-status-and-error-codes and from
public recordings; classes marked [guess] have a code or text that we could not find documented for that situation.
"""

from __future__ import annotations

from local.azure.platform.errors import AzureError


class BatchError(AzureError):
    """Any refusal of the Batch service."""

    target = "BatchAccount"


class InvalidPropertyValue(BatchError):
    """A value is wrong."""

    status, code = 400, "InvalidPropertyValue"
    default = "The value provided for one of the properties in the request body is invalid."


class MissingRequiredProperty(BatchError):
    """A property is absent."""

    status, code = 400, "MissingRequiredProperty"
    default = "A required property was not specified in the request body."


class InvalidRequestBody(BatchError):
    """The body is no JSON, or has a property that does not exist."""

    status, code = 400, "InvalidRequestBody"
    default = "The specified Request Body is not syntactically valid."


class InvalidQueryParameterValue(BatchError):
    """A query parameter is wrong."""

    status, code = 400, "InvalidQueryParameterValue"
    default = "Value for one of the query parameters specified in the request URI is invalid."


class MissingRequiredQueryParameter(BatchError):
    """A query parameter is absent."""

    status, code = 400, "MissingRequiredQueryParameter"
    default = "A query parameter that's mandatory for this request is not specified."


class MissingRequiredHeader(BatchError):
    """A header is absent (recorded for Authorization: no 401)."""

    status, code = 400, "MissingRequiredHeader"
    default = "An HTTP header that's mandatory for this request is not specified."


class InvalidHeaderValue(BatchError):
    """A header is wrong."""

    status, code = 400, "InvalidHeaderValue"
    default = "The value provided for one of the HTTP headers was not in the correct format."


class InvalidUri(BatchError):
    """The path is malformed."""

    status, code = 400, "InvalidUri"
    default = "The requested URI does not represent any resource on the server."


class PropertyCannotBeUpdated(BatchError):
    """ARM's answer to a changed pool property that Batch cannot change in place (Azure/Batch#85)."""

    status, code = 400, "PropertyCannotBeUpdated"
    default = "A property that cannot be updated was specified as part of the request."


class AutoScalingFormulaSyntaxError(BatchError):
    """A formula that cannot be read; which of its faults are found before it is taken is a guess."""

    status, code = 400, "AutoScalingFormulaSyntaxError"
    default = "The specified auto-scaling formula has a syntax error."


class AutoScalingFormulaTooLong(BatchError):
    """More than 8 KiB."""

    status, code = 400, "AutoScalingFormulaTooLong"
    default = "The specified auto-scaling formula exceeds lengths limit."


class TooManyEnableAutoScaleRequests(BatchError):
    """Two requests for one pool within 30 s (documented) [guess: status and text]."""

    status, code = 409, "TooManyEnableAutoScaleRequests"
    default = "Enable AutoScale requests for the same pool must be separated by at least 30 seconds."


class InvalidAutoStorage(BatchError):
    """ARM: the linked storage account cannot be used [guess: code]."""

    status, code, default = 400, "InvalidAutoStorageAccount", "The specified auto-storage account is invalid."


class SharedKeyNotAllowed(BatchError):
    """ARM: keys of an account without shared key authentication [guess: code and text]."""

    status, code = 403, "SharedKeyAuthenticationNotAllowed"
    default = "The account does not allow shared key authentication, so it has no keys to list or regenerate."


class AuthenticationRequired(BatchError):
    """No Authorization header, or a token that is not accepted."""

    status, code = 401, "AuthenticationFailed"
    default = (
        "Server failed to authenticate the request. "
        "Make sure the value of Authorization header is formed correctly including the signature."
    )


class AuthenticationFailed(AuthenticationRequired):
    """A shared key signature that is wrong, or a kind of authentication the account does not allow: 403."""

    status = 403


class PermissionDenied(BatchError):
    """The caller has no right to the data action [guess: code and text as reported in public threads]."""

    status, code = 403, "PermissionDenied"
    default = "Server failed to authorize the request."


class TaskDependenciesNotSpecifiedOnJob(BatchError):
    """The job was not created with usesTaskDependencies."""

    status, code = 400, "TaskDependenciesNotSpecifiedOnJob"
    default = "The task depends on other tasks, but the job was not created to use task dependencies."


class TaskDependencyListTooLong(BatchError):
    """The ids a task names are longer than 64000 characters together."""

    status, code = 400, "TaskDependencyListTooLong"
    default = "The list of task ids that the task depends on is too long; use ranges of ids instead."


class JobNotFound(BatchError):
    """No such job."""

    status, code, default = 404, "JobNotFound", "The specified job does not exist."


class TaskNotFound(BatchError):
    """No such task."""

    status, code, default = 404, "TaskNotFound", "The specified task does not exist."


class PoolNotFound(BatchError):
    """No such pool."""

    status, code, default = 404, "PoolNotFound", "The specified pool does not exist."


class NodeNotFound(BatchError):
    """No such node."""

    status, code, default = 404, "NodeNotFound", "The specified node does not exist."


class JobScheduleNotFound(BatchError):
    """No such job schedule."""

    status, code, default = 404, "JobScheduleNotFound", "The specified job schedule does not exist."


class ApplicationNotFound(BatchError):
    """No such application package in the account."""

    status, code, default = 404, "ApplicationNotFound", "The specified application does not exist."


class ApplicationPackageNotUploaded(BatchError):
    """A package is activated before anything was uploaded [guess: the code]."""

    status, code = 409, "ApplicationPackageNotUploaded"
    default = "The application package could not be activated: there is no blob at its storage URL. Upload it first."


class ApplicationUpdatesNotAllowed(BatchError):
    """An active package is put again in an application with allowUpdates false [guess: the code]."""

    status, code = 409, "ApplicationUpdatesNotAllowed"
    default = "The application does not allow updates: an active package cannot be replaced under the same version."


class InvalidApplicationPackageReferences(BatchError):
    """A pool or task names a package that there is not (documented)."""

    status, code = 409, "InvalidApplicationPackageReferences"
    default = (
        "One or more application package references could not be satisfied. This occurs if the application id or "
        "version does not exist or is not active, or if the reference did not specify a version and there is no "
        "default version configured."
    )


class AutoStorageRefused(BatchError):
    """The linked storage account does not let the Batch account in [guess: the code]."""

    status, code = 409, "AutoStorageAccountAuthorizationFailed"
    default = "The auto-storage account refused the Batch account."


class VMExtensionNotFound(BatchError):
    """The pool has no such extension [guess: code]."""

    status, code, default = 404, "VMExtensionNotFound", "The specified virtual machine extension does not exist."


class NodeUserNotFound(BatchError):
    """No such user on the node."""

    status, code, default = 404, "NodeUserNotFound", "The specified node user does not exist."


class FileNotFound(BatchError):
    """No such file."""

    status, code, default = 404, "FileNotFound", "The specified file does not exist."


class ResourceNotFound(BatchError):
    """The request's path is no resource of the service."""

    status, code, default = 404, "ResourceNotFound", "The specified resource does not exist."


class UnsupportedHttpVerb(BatchError):
    """The path exists, the method does not."""

    status, code = 405, "UnsupportedHttpVerb"
    default = "The resource doesn't support the specified HTTP verb."


class JobExists(BatchError):
    """The id is taken."""

    status, code, default = 409, "JobExists", "The specified job already exists."


class PoolExists(BatchError):
    """The id is taken."""

    status, code, default = 409, "PoolExists", "The specified pool already exists."


class JobScheduleExists(BatchError):
    """The id is taken."""

    status, code, default = 409, "JobScheduleExists", "The specified job schedule already exists."


class JobScheduleDisabled(BatchError):
    """The job schedule is disabled."""

    status, code, default = 409, "JobScheduleDisabled", "The specified job schedule is already disabled."


class JobScheduleCompleted(BatchError):
    """A completed job schedule makes no job any more."""

    status, code, default = 409, "JobScheduleCompleted", "The specified job schedule is already in a completed state."


class JobScheduleBeingTerminated(BatchError):
    """Too late."""

    status, code, default = 409, "JobScheduleBeingTerminated", "The specified job schedule is being terminated."


class JobScheduleBeingDeleted(BatchError):
    """Too late."""

    status, code = 409, "JobScheduleBeingDeleted"
    default = "The specified job schedule has been marked for deletion and is being deleted."


class TaskExists(BatchError):
    """The id is taken."""

    status, code, default = 409, "TaskExists", "The specified task already exists."


class TaskIdSameAsJobPreparationTask(BatchError):
    """The id is the preparation task's."""

    status, code = 409, "TaskIdSameAsJobPreparationTask"
    default = "The specified task id is same as the job preparation task."


class TaskIdSameAsJobReleaseTask(BatchError):
    """The id is the release task's."""

    status, code = 409, "TaskIdSameAsJobReleaseTask"
    default = "The specified task id is same as the job release task."


class JobPreparationTaskOrReleaseTaskNotSpecified(BatchError):
    """There is no status of what the job does not have (recorded)."""

    status, code = 409, "JobPreparationTaskOrReleaseTaskNotSpecified"
    default = "The specified job does not have either job preparation task or job release task."


class NodeUserExists(BatchError):
    """The name is taken."""

    status, code, default = 409, "NodeUserExists", "The specified node user already exists."


class JobBeingDeleted(BatchError):
    """Too late."""

    status, code, default = (
        409,
        "JobBeingDeleted",
        "The specified job has been marked for deletion and is being deleted.",
    )


class JobBeingTerminated(BatchError):
    """Too late."""

    status, code, default = 409, "JobBeingTerminated", "The specified job is being terminated."


class JobCompleted(BatchError):
    """A completed job takes nothing any more."""

    status, code, default = 409, "JobCompleted", "The specified job is already in a completed state."


class JobNotActive(BatchError):
    """The verb needs an active job."""

    status, code, default = 409, "JobNotActive", "The specified job is not in active state."


class JobNotDisabled(BatchError):
    """Moving a job to another pool needs a disabled job."""

    status, code, default = (
        409,
        "JobNotDisabled",
        "The specified operation is not valid for a job that is not disabled.",
    )


class TaskCompleted(BatchError):
    """The task is over."""

    status, code, default = 409, "TaskCompleted", "The specified task is already in a completed state."


class TaskNotCompleted(BatchError):
    """Only a completed task can be reactivated."""

    status, code, default = 409, "TaskNotCompleted", "The specified task is not completed."


class TaskSucceeded(BatchError):
    """A successful task cannot be reactivated."""

    status, code, default = 409, "TaskSucceeded", "The specified task already completed with success."


class TaskFilesUnavailable(BatchError):
    """The task never got a node, or its node is gone."""

    status, code = 409, "TaskFilesUnavailable"
    default = "The specified task did not run on any node or the files are unavailable because the node is gone."


class NodeNotReady(BatchError):
    """The node exists and cannot be asked now."""

    status, code, default = 409, "NodeNotReady", "The specified node is not ready."


class OperationNotValidOnNode(BatchError):
    """The node is not of a kind that the verb is for (recorded; that remote login gets it is a guess)."""

    status, code, default = 409, "OperationNotValidOnNode", "The specified operation is not valid on the node."


class NodeAlreadyInTargetSchedulingState(BatchError):
    """Nothing to change."""

    status, code = 409, "NodeAlreadyInTargetSchedulingState"
    default = "The specified node is already in the target scheduling state."


class OperationInvalidForCurrentState(BatchError):
    """A task, job or node is in a state in which the verb is not allowed."""

    status, code = 409, "OperationInvalidForCurrentState"
    default = "The specified operation is not valid for the current state of the resource."


class PoolBeingDeleted(BatchError):
    """Too late."""

    status, code, default = (
        409,
        "PoolBeingDeleted",
        "The specified pool has been marked for deletion and is being deleted.",
    )


class PoolBeingResized(BatchError):
    """A resize goes on."""

    status, code, default = 409, "PoolBeingResized", "The specified pool is being resized."


class ConditionNotMet(BatchError):
    """If-Match and its like."""

    status, code = 412, "ConditionNotMet"
    default = "The condition specified using HTTP conditional header(s) is not met."


class NotModified(ConditionNotMet):
    """The same for a read: 304, without a body."""

    status = 304


class RequestBodyTooLarge(BatchError):
    """More than 1 MiB, or more than 100 tasks in a collection."""

    status, code = 413, "RequestBodyTooLarge"
    default = "The request body is too large and exceeds the maximum permissible limit."


class InvalidRange(BatchError):
    """The range lies outside the file."""

    status, code, default = 416, "InvalidRange", "The range specified is invalid for the current size of the resource."


class UnsupportedRequestVersion(BatchError):
    """[guess: that it is what a version from before the first one gets]"""

    status, code, default = 400, "UnsupportedRequestVersion", "The specified request version is not supported."


class UnsupportedQueryParameter(BatchError):
    """A query parameter that the operation does not have."""

    status, code = 400, "UnsupportedQueryParameter"
    default = "One of the query parameters specified in the request URI is not supported."


class InvalidHttpVerb(BatchError):
    """A method that HTTP's standard does not have."""

    status, code = 400, "InvalidHttpVerb"
    default = "The HTTP verb specified was not recognized by the server."


class MissingContentLengthHeader(BatchError):
    """A request that may have a body says how long it is."""

    status, code, default = 411, "MissingContentLengthHeader", "The Content-Length header was not specified."


class InvalidAuthenticationInfo(BatchError):
    """A shared key that is not ACCOUNT:SIGNATURE."""

    status, code = 400, "InvalidAuthenticationInfo"
    default = (
        "The authentication information was not provided in the correct format. "
        "Verify the value of Authorization header."
    )


class MultipleConditionHeadersNotSupported(BatchError):
    """If-Match beside If-None-Match [guess: that it is these two]."""

    status, code = 400, "MultipleConditionHeadersNotSupported"
    default = "Multiple condition headers are not supported."


class EmptyMetadataKey(BatchError):
    """A metadata item without a name."""

    status, code = 400, "EmptyMetadataKey"
    default = "The key for one of the metadata key-value pairs is empty."


class TaskDependencyRangesTooLong(BatchError):
    """[guess: the limit, which is taken to be that of the list of ids]"""

    status, code = 400, "TaskDependencyRangesTooLong"
    default = (
        "A task was specified as depending on multiple ranges of task ids, and the list of ranges was too long to be "
        "stored."
    )


class JobWithSameIdExists(BatchError):
    """A job schedule cannot have a job's id."""

    status, code = 409, "JobWithSameIdExists"
    default = "A job with the specified job schedule id exists. Job and job schedule cannot have the same id."


class JobScheduleWithSameIdExists(BatchError):
    """A job cannot have a job schedule's id."""

    status, code = 409, "JobScheduleWithSameIdExists"
    default = "A job schedule with the specified job id exists. Job and job schedule cannot have the same id."


class ActiveJobAndScheduleQuotaReached(BatchError):
    """The account's `activeJobAndJobScheduleQuota`."""

    status, code = 409, "ActiveJobAndScheduleQuotaReached"
    default = "Active job and schedule quota for the account has been reached."


class PoolQuotaReached(BatchError):
    """The account's `poolQuota`."""

    status, code, default = 409, "PoolQuotaReached", "Pool quota for the account has been reached."


class OperationNotValidOnPool(BatchError):
    """What cannot be done with this kind of pool."""

    status, code, default = 409, "OperationNotValidOnPool", "The specified operation is not valid on the pool."


class NodeBeingCreated(BatchError):
    """The node has no machine yet."""

    status, code, default = 409, "NodeBeingCreated", "The specified node is being created."


class NodeBeingStarted(BatchError):
    """The node boots."""

    status, code, default = 409, "NodeBeingStarted", "The specified node is being started."


class NodeBeingReimaged(BatchError):
    """The node gets another machine."""

    status, code, default = 409, "NodeBeingReimaged", "The specified node is being reimaged."


class NodeBeingRebooted(BatchError):
    """The node reboots."""

    status, code, default = 409, "NodeBeingRebooted", "The specified node is being rebooted."


class NodeStateUnusable(BatchError):
    """The node's machine is of no use."""

    status, code, default = 409, "NodeStateUnusable", "The state of the specified node is unusable."


class TaskFilesCleanedup(BatchError):
    """The task's `retentionTime` is over."""

    status, code, default = 409, "TaskFilesCleanedup", "The files of the specified task are cleaned up."


class NotImplementedYet(BatchError):
    """What Azure Batch has and the local Azure does not have yet (our own code: Azure never answers it)."""

    status, code, default = 501, "NotImplemented", "The local Azure does not have this operation yet."


class TooManyRequests(BatchError):
    """The account's rate limit. Documented as 429 without a code of its own [guess]."""

    status, code = 429, "TooManyRequests"
    default = "Too many requests were made to the service within a given timeframe. Retry the request later."


class InternalError(BatchError):
    """The service's own mistake."""

    status, code = 500, "InternalError"
    default = "The server encountered an internal error. Please retry the request."


def invalid(path: str, value: object, reason: str) -> InvalidPropertyValue:
    """The service's answer to a wrong value, with its three details (recorded; the data plane names no path)."""
    name = path.rsplit(".", 1)[-1]
    return InvalidPropertyValue(
        details=[("PropertyName", name), ("PropertyValue", str(value)), ("Reason", _placed(reason, path))]
    )


def _placed(reason: str, path: str) -> str:
    return reason if "." not in path and "[" not in path else f"{path}: {reason}"

"""The environment of a command: Batch's own variables, and what host tasks get beside them.

The names are the documented ones; HOME and PATH are as observed on real nodes.
"""

from __future__ import annotations

from local.node.agent import packages
from local.node.agent.accounts import Account
from local.node.agent.config import NODE_ROOT, AgentConfig
from local.node.contract import RunSpec, UserIdentity

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Which of `containerHostBatchBindMounts` gives which variables; without the mount they are not set.
_MOUNT_VARIABLES = {
    "AZ_BATCH_NODE_SHARED_DIR": "Shared",
    "AZ_BATCH_NODE_STARTUP_DIR": "Startup",
    "AZ_BATCH_NODE_STARTUP_WORKING_DIR": "Startup",
    "AZ_BATCH_NODE_MOUNTS_DIR": "VfsMounts",
    "AZ_BATCH_TASK_DIR": "Task",
    "AZ_BATCH_TASK_WORKING_DIR": "Task",
    "AZ_BATCH_JOB_PREP_DIR": "JobPrep",
    "AZ_BATCH_JOB_PREP_WORKING_DIR": "JobPrep",
    "AZ_BATCH_NODE_ROOT_DIR": "",
}


def batch_variables(config: AgentConfig, run: RunSpec, account: Account) -> dict[str, str]:
    """What the run sets, and over it the node's own facts: its folders and the user are known here."""
    node, root = config.node, config.root
    task_dir = f"{root}/{run.directory}"
    own = {
        "AZ_BATCH_ACCOUNT_NAME": node.account_name,
        "AZ_BATCH_ACCOUNT_URL": node.account_url,
        "AZ_BATCH_POOL_ID": node.pool_id,
        "AZ_BATCH_NODE_ID": node.node_id,
        "AZ_BATCH_NODE_IS_DEDICATED": str(node.dedicated).lower(),
        "AZ_BATCH_NODE_ROOT_DIR": root,
        "AZ_BATCH_NODE_SHARED_DIR": f"{root}/shared",
        "AZ_BATCH_NODE_STARTUP_DIR": f"{root}/startup",
        "AZ_BATCH_NODE_STARTUP_WORKING_DIR": f"{root}/startup/wd",
        "AZ_BATCH_NODE_MOUNTS_DIR": f"{root}/fsmounts",
        "AZ_BATCH_TASK_DIR": task_dir,
        "AZ_BATCH_TASK_WORKING_DIR": f"{task_dir}/wd",
        "AZ_BATCH_TASK_USER": account.name,
        "AZ_BATCH_TASK_USER_IDENTITY": _identity(run.user),
    }
    if run.job_id:
        own["AZ_BATCH_JOB_ID"] = run.job_id
    if run.task_id:
        own["AZ_BATCH_TASK_ID"] = run.task_id
    own |= packages.variables(root, (*node.application_packages, *run.application_packages))
    given = {name: value.replace(NODE_ROOT, root) for name, value in run.environment.items()}
    return given | own


def host_environment(config: AgentConfig, run: RunSpec, account: Account, imds: str) -> dict[str, str]:
    """What a command on the node itself gets."""
    root, working_dir = config.root_path, config.root_path / run.directory / "wd"
    base = {
        "PATH": f"{_PATH}:{root}/shared:{working_dir}",
        "HOME": str(working_dir),
        "USER": account.name,
        "LANG": "C.UTF-8",
    }
    if not config.isolated:
        base["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = imds  # there is no link-local address to answer on
    return base | batch_variables(config, run, account)


def container_environment(config: AgentConfig, run: RunSpec, account: Account) -> dict[str, str]:
    """What a container gets: no PATH and HOME, which are the image's; no variable of a folder that is not mounted."""
    variables = batch_variables(config, run, account)
    mounts = run.container.bind_mounts if run.container else None
    if mounts is None:
        return variables
    mounted = {str(mount["source"]).lower() for mount in mounts}

    def is_mounted(name: str) -> bool:
        source = "Applications" if name.startswith(packages.VARIABLE) else _MOUNT_VARIABLES.get(name)
        return source is None or source.lower() in mounted

    return {name: value for name, value in variables.items() if is_mounted(name)}


def mount_sources(run: RunSpec) -> dict[str, str]:
    """The folders that `containerHostBatchBindMounts` can name, from the node root: JobPrep only where the job has a
    preparation task."""
    prepared = {"jobprep": run.preparation_directory} if run.preparation_directory else {}
    return prepared | {
        "task": run.directory,
        "shared": "shared",
        "startup": "startup",
        "vfsmounts": "fsmounts",
        "applications": "applications",
    }


def _identity(user: UserIdentity) -> str:
    if user.username:
        return user.username
    return f"{user.auto_user_scope.capitalize()}{'Admin' if user.admin else 'NonAdmin'}"

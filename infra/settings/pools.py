"""What a stack file says of its pools: machines, slots, scale, start task, who reaches a node. Plain data, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from infra import naming, start_task
from infra.settings.problems import Expect, Refused
from infra.settings.types import Flag, Network, Nodes, Section, Text, networks_differ

MAX_TASK_SLOTS: Final = 256
"""Batch's limit, or four times the VM's cores if that is less (`PoolArgs.task_slots_per_node`)."""
SLOTS_PER_CORE: Final = 4

MAX_VM_SIZE: Final = 64
"""Characters. Azure names no limit; the longest size has about 30."""
MAX_SSH_NETWORKS: Final = 24
"""Batch allows 25 rules for all endpoints of a pool; the last one denies everybody else."""

_GENERATION_1: Final = re.compile(r"Standard_(A\d+m?(_v2)?|D\d+(_v[23])?|NC(6|12|24)r?|NV(6|12|24))")
"""Sizes that boot images of generation 1 only (learn.microsoft.com/azure/virtual-machines/generation-2, and "VM
Generation Support" on the pages of the series Av2, Dv2, Dv3)."""

_Hour = Annotated[
    int, Field(ge=0, le=23, strict=True), Expect("an hour 0..23 in UTC", "formulas know no time zone and no summer")
]


def _in_quotes(value: object) -> object:
    """A hash of digits only, or like 12e3456789, is a number for YAML, which has lost its zeros here."""
    if isinstance(value, int | float):
        form = f"a text of {naming.POOL_HASH_DIGITS} hexadecimal digits"
        raise Refused("", form, f"the number {value}", "put it in quotes: YAML reads digits as a number")
    return value


_Generation = Annotated[
    str,
    BeforeValidator(_in_quotes),
    Field(pattern=rf"^[0-9a-f]{{{naming.POOL_HASH_DIGITS}}}$"),
    Expect(
        f"the {naming.POOL_HASH_DIGITS} hexadecimal digits at the end of a pool's id",
        "`pulumi stack output pools` shows the ids",
    ),
]


class FixedScale(Section):
    """As many nodes as the file says. A changed number resizes the pool; nodes leave when their tasks are done."""

    dedicated_nodes: Nodes = 0
    spot_nodes: Nodes = 0


class PendingTasksScale(Section):
    """As many nodes as waiting and running tasks fill, by slots, between two limits."""

    min_nodes: Nodes = 0
    max_nodes: Nodes
    spot: Annotated[Flag, Expect("true or false", "true takes spot nodes, which Azure may take back")] = False


class WorkingHoursScale(Section):
    """A number of dedicated nodes in the working hours of Monday to Friday, another one (none) at other times."""

    nodes: Nodes
    other_nodes: Nodes = 0
    from_hour: _Hour = 7
    to_hour: _Hour = 18
    """The first hour (UTC) that is not a working hour any more."""


class ZeroAtNightScale(Section):
    """By day as `pending_tasks`, at night none: tasks that run are finished, others wait for the morning."""

    min_nodes: Nodes = 0
    max_nodes: Nodes
    night_from_hour: _Hour = 19
    night_to_hour: _Hour = 6
    """The first hour (UTC) that is not night any more."""


class SpotWithDedicatedFloorScale(Section):
    """Some dedicated nodes always, so that work goes on when Azure takes spot nodes back; the rest of it on spot."""

    dedicated_nodes: Annotated[
        int,
        Field(ge=1, le=100, strict=True),
        Expect("a whole number 1..100", "without a floor it is {pending_tasks: {max_nodes: ..., spot: true}}"),
    ]
    max_spot_nodes: Nodes


def _limits(example: str) -> Expect:
    return Expect(f"a section like {example}", "the limits of the scenario; see docs/settings.md")


class Scale(Section):
    """How many nodes: exactly one scenario, by name. `infra/pools/scaling.py` makes Batch's settings of it."""

    fixed: Annotated[FixedScale | None, _limits("{dedicated_nodes: 2}")] = None
    pending_tasks: Annotated[PendingTasksScale | None, _limits("{max_nodes: 10}")] = None
    working_hours: Annotated[WorkingHoursScale | None, _limits("{nodes: 4, from_hour: 6, to_hour: 17}")] = None
    zero_at_night: Annotated[ZeroAtNightScale | None, _limits("{max_nodes: 8}")] = None
    spot_with_dedicated_floor: Annotated[
        SpotWithDedicatedFloorScale | None, _limits("{dedicated_nodes: 2, max_spot_nodes: 20}")
    ] = None

    @model_validator(mode="after")
    def _is_one_scenario_with_sense(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            known = ", ".join(type(self).model_fields)
            raise Refused("", f"one of {known}", " and ".join(given) or "none", "like {fixed: {dedicated_nodes: 2}}")
        for name in ("pending_tasks", "zero_at_night"):
            limits = getattr(self, name)
            if limits is not None and limits.max_nodes == 0:
                fix = "a pool without nodes is {fixed: {dedicated_nodes: 0}}"
                raise Refused(f"{name}.max_nodes", "1 or more nodes", "0", fix)
            if limits is not None and limits.min_nodes > limits.max_nodes:
                raise Refused(
                    f"{name}.min_nodes",
                    f"at most max_nodes, {limits.max_nodes}",
                    str(limits.min_nodes),
                    "raise max_nodes or lower min_nodes",
                )
        if (hours := self.working_hours) and hours.from_hour >= hours.to_hour:
            raise Refused(
                "working_hours.to_hour",
                f"an hour after from_hour, {hours.from_hour}",
                str(hours.to_hour),
                "hours are UTC; for hours over midnight use zero_at_night",
            )
        if (night := self.zero_at_night) and night.night_from_hour == night.night_to_hour:
            raise Refused(
                "zero_at_night.night_to_hour",
                f"another hour than night_from_hour, {night.night_from_hour}",
                str(night.night_to_hour),
                "a night of no hours is pending_tasks",
            )
        return self


def limits(scale: Scale) -> tuple[int, int]:
    """The most (dedicated, spot) nodes that a scenario ever asks for: quota and subnet must have room for them."""
    if scale.fixed is not None:
        return scale.fixed.dedicated_nodes, scale.fixed.spot_nodes
    if (pending := scale.pending_tasks) is not None:
        return (0, pending.max_nodes) if pending.spot else (pending.max_nodes, 0)
    if (hours := scale.working_hours) is not None:
        return max(hours.nodes, hours.other_nodes), 0
    if scale.zero_at_night is not None:
        return scale.zero_at_night.max_nodes, 0
    assert scale.spot_with_dedicated_floor is not None  # the settings have exactly one scenario
    return scale.spot_with_dedicated_floor.dedicated_nodes, scale.spot_with_dedicated_floor.max_spot_nodes


class NodeImage(Section):
    """The node's operating system: Microsoft's `ubuntu-hpc`, which has a container engine."""

    sku: Annotated[
        Text,
        Expect("2404 or 2204", "images of `microsoft-dsvm/ubuntu-hpc` that Batch has an agent for"),
        Field(pattern=r"^(2404|2204)$"),
    ] = "2404"
    version: Annotated[
        Text,
        Field(pattern=r"^(latest|[0-9]+(\.[0-9]+){2,3})$"),
        Expect("latest, or a version like 24.04.2026092501", "`az vm image list --all --offer ubuntu-hpc` lists them"),
    ] = "latest"
    """With `latest`, a node gets the newest image when it joins. A fixed version is the way back from a bad build."""


def _boots_our_images(size: str) -> str:
    if _GENERATION_1.fullmatch(size):
        form = "a size that boots images of generation 2, as `ubuntu-hpc` is"
        raise Refused("", form, f"{size}, which boots generation 1 only", "take a newer series, like Standard_D2ads_v5")
    return size


class PoolSettings(Section):
    """One pool: its machines, how many, and what they carry."""

    RETIRED: ClassVar[Mapping[str, str]] = {
        "name": "the pool's name as its key, as in `pools: {default: {...}}`",
        "dedicated_nodes": "scale: {fixed: {dedicated_nodes: ...}}",
        "spot_nodes": "scale: {fixed: {spot_nodes: ...}}",
    }

    vm_size: Annotated[
        str,
        Field(pattern=r"^[Ss][Tt][Aa][Nn][Dd][Aa][Rr][Dd]_[A-Za-z0-9_-]+$", max_length=MAX_VM_SIZE),
        AfterValidator(naming.vm_size),
        AfterValidator(lambda size: _boots_our_images(size)),
        Expect("a VM size like Standard_D2ads_v5", "take one of `az batch location list-skus`, generation 2"),
    ]
    scale: Annotated[Scale, Expect("a section like {fixed: {dedicated_nodes: 2}}", "see docs/settings.md")]
    task_slots_per_node: Annotated[
        int,
        Field(ge=1, le=MAX_TASK_SLOTS, strict=True),
        Expect(f"a whole number 1..{MAX_TASK_SLOTS}", "at most four times the VM size's cores"),
    ] = 1
    fill: Annotated[
        Literal["spread", "pack"],
        Expect("spread or pack", "spread: tasks on as many nodes as there are; pack: on as few as possible"),
    ] = "spread"
    node_image: Annotated[NodeImage, Expect("a section like {sku: 2404, version: latest}", "see docs/settings.md")] = (
        NodeImage()
    )
    prefetch_worker_image: Annotated[
        Flag, Expect("true or false", "true pulls the image at boot, and each new image makes a new generation")
    ] = False
    ssh_from: Annotated[
        tuple[Network, ...],
        AfterValidator(networks_differ),
        Field(max_length=MAX_SSH_NETWORKS),
        Expect(f"a list of 0..{MAX_SSH_NETWORKS} networks like 203.0.113.0/24", "leave it out to keep ssh closed"),
    ] = ()
    """Who may reach port 22 of a node; empty: nobody, and Batch opens no port."""
    start_steps: Annotated[
        Mapping[str, str], Expect("names and shell statements like {jq: apt-get install -y jq}", "see docs/settings.md")
    ] = {}
    """What each node does as root when it boots, after the platform's own steps."""
    keep: Annotated[tuple[_Generation, ...], Expect("a list of hashes", "the preview says which")] = ()
    """Earlier generations that stay beside the present one, as they are, until their hash is removed here."""
    discard: Annotated[tuple[_Generation, ...], Expect("a list of hashes", "the preview says which")] = ()
    """Earlier generations that the next `up` may delete with everything that runs in them."""

    @model_validator(mode="after")
    def _slots_fit_the_machine(self) -> Self:
        cores = naming.cores(self.vm_size)
        if cores is not None and self.task_slots_per_node > SLOTS_PER_CORE * cores:
            raise Refused(
                "task_slots_per_node",
                f"at most {SLOTS_PER_CORE * cores}, four times the {cores} cores of {self.vm_size}",
                str(self.task_slots_per_node),
                "lower it, or take a larger VM size",
            )
        return self

    @model_validator(mode="after")
    def _start_steps_are_whole_statements(self) -> Self:
        for name, script in self.start_steps.items():
            try:
                start_task.own_step(name, script)
            except ValueError as problem:
                fix = "one whole statement, or several with ; between them"
                raise Refused(f"start_steps.{name}", "shell statements on one line", str(problem), fix) from None
        return self

    @model_validator(mode="after")
    def _a_generation_is_kept_or_discarded(self) -> Self:
        for key in ("keep", "discard"):
            hashes: tuple[str, ...] = getattr(self, key)
            for twice in (one for one in hashes if hashes.count(one) > 1):
                raise Refused(key, "each generation once", f"{twice} {hashes.count(twice)} times", "remove one of them")
        for both in set(self.keep) & set(self.discard):
            raise Refused("discard", "generations that are not in keep", both, "remove it from one of the two")
        return self


TAKEN_NAMES: Final = frozenset(
    (
        *("root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "www-data"),
        *("backup", "list", "irc", "gnats", "nobody", "syslog", "messagebus", "uuidd", "tcpdump", "sshd", "landscape"),
        *("pollinate", "tss", "docker"),
    )
)
"""Users of Ubuntu's base system and of its server image (base-passwd, and what its packages add); `docker` is a group
that the admin user joins."""


class Users(Section):
    """The accounts of every node: one that may administer it and use Docker without sudo, one that may not.

    Their passwords are the secrets `adminPassword` and `userPassword`.
    """

    admin_name: Annotated[
        str,
        Field(pattern=start_task.USER_NAME_PATTERN),
        Expect("1 to 20 of a-z, 0-9, _ and -, a letter first", "like batchadmin"),
    ] = "batchadmin"
    user_name: Annotated[
        str,
        Field(pattern=start_task.USER_NAME_PATTERN),
        Expect("1 to 20 of a-z, 0-9, _ and -, a letter first", "like batchuser"),
    ] = "batchuser"

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        if self.admin_name == self.user_name:
            raise Refused(
                "user_name", f"another name than admin_name's, {self.admin_name}", self.user_name, "rename one"
            )
        for key in ("admin_name", "user_name"):
            if getattr(self, key) in TAKEN_NAMES:
                raise Refused(key, "a name that Linux does not have already", getattr(self, key), "like batchadmin")
        return self

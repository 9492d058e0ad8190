"""`doctor`: one check after the other, each with what to do about it. Changes nothing.

A check that needs what another could not get says so instead of failing a second time. Of a stack that is not deployed
yet it asks what can be known before: whether the subscription has what a first `up` would make. With `--preview` the
same is asked for what the next `up` of a deployed stack would make.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ...errors import Forbidden, JobsError, NotFound, Unreachable, UsageError
from ...exits import Exit
from ...preflight.finding import BAD, GOOD, WARNING, Finding, support_ends
from ...service import connection as connections
from ...service.batch import PoolState
from ...service.connection import Connection, NotDeployed
from ...session import Session
from ...terminal.render import Render
from ...terminal.visible import visible
from ...terminal.wording import folded
from ..pools import nodes

EXAMPLES: Final = ("doctor", "doctor --stack dev", "doctor --stack dev --preview")
_SIZE: Final = re.compile(r"[a-z]+(\d+).*")
_OLD_SIZES: Final = re.compile(r"(?:ds?|gs?)\d+(?:-\d+)?(?:_v2)?(?:_promo)?|a\d+|basic_.*")
PROBE: Final = "doctor-asks-for-a-job-that-is-not-there"
BATCH_API: Final = "2024-07-01"  # ARM: for the account's quotas
MARK_WIDTH: Final = 9  # cells of `warning` and the gap after it
NEARLY: Final = 0.8  # of a quota
EVERY_STACK: Final = ("batch", "containerregistry", "managedidentity", "storage")  # modules of azure-native


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--preview",
        action="store_true",
        help="ask Pulumi what the next up would make, and check that the subscription has it",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    """All checks; after one that nothing could answer, those that would ask the same are named and left out."""
    try:
        cloud = session.connection
    except NotDeployed as error:
        what = f"stack {error.stack} is not deployed; what follows is about its first up"
        _tell(session.render, Finding("connection", WARNING, what), GOOD)
        return _before_up(session, error.cloud, error.stack)
    worst = _deployed(session)
    if arguments.preview and worst != BAD:
        return _before_up(session, cloud, arguments.stack or connections.LOCAL)
    return Exit.SERVICE if worst == BAD else Exit.OK


def _before_up(session: Session, cloud: Connection, stack: str) -> Exit:
    from ...preflight import plan, subscription
    from ...service.rest import Rest

    preview = connections.pulumi(stack, cloud.home, "preview", "--json")
    planned = plan.read(stack, preview, cloud.subscription_id)
    asked = subscription.Subscription(Rest(cloud, cloud.arm), planned.subscription_id, session.clock.now())
    worst = GOOD
    for finding in subscription.before_up(asked, planned):
        worst = _tell(session.render, finding, worst)
    return Exit.SERVICE if worst == BAD else Exit.OK


def _deployed(session: Session) -> str:
    """The checks of a stack that is deployed; the worst outcome."""
    worst, names = GOOD, list(CHECKS)
    for place, name in enumerate(names):
        ends = False
        try:
            for finding in CHECKS[name](session):
                worst = _tell(session.render, finding, worst)
        except JobsError as error:
            ends = isinstance(error, Unreachable | UsageError)
            worst = _tell(session.render, _not_answered(name, error, session), worst)
        if ends:
            if rest := names[place + 1 :]:
                what = f"not asked, because of that: {', '.join(rest)}"
                worst = _tell(session.render, Finding("doctor", WARNING, what), worst)
            break
    return worst


def _tell(render: Render, finding: Finding, worst: str) -> str:
    """Print it; the worse of its outcome and of the worst so far."""
    if render.as_json:
        render.record(finding)
    else:
        mark = _mark(finding.outcome, render.colours)
        words = f"{finding.check}: {visible(finding.what)}"
        if render.on_terminal:
            words = folded(words, render.size[0] - MARK_WIDTH, hang=0).replace("\n", "\n" + " " * MARK_WIDTH)
        render.drawn(f"{mark}  {words}")
        if finding.fix:
            render.advice(f"         {finding.fix}")
    return max(worst, finding.outcome, key=(GOOD, WARNING, BAD).index)


def _not_answered(name: str, error: JobsError, session: Session) -> Finding:
    """Of the local Azure it is known what to do when nobody answers: it is stopped."""
    if isinstance(error, Unreachable) and session.connection.ca is not None:
        return Finding(
            name, BAD, "the local Azure does not answer: it is stopped", "make up, or: python -m local start"
        )
    return Finding(name, BAD, error.fact, error.next_step)


def connection(session: Session) -> Iterator[Finding]:
    found = session.connection
    who = (
        type(found.credential).__name__ if found.credential else "azure-identity (CLI, workload, environment, managed)"
    )
    yield Finding("connection", GOOD, f"{found.batch_endpoint}, credential: {who}")
    if found.outputs is None:
        yield Finding("connection", WARNING, "no stack: no containers and no worker image", "Use --stack NAME")


def batch(session: Session) -> Iterator[Finding]:
    """Rights to data, asked for with a job that is not there: "not found" is the good answer, and changes nothing."""
    for right, ask in (("read its jobs", session.batch.job), ("submit", session.batch.end_when_done)):
        try:
            ask(PROBE)
        except NotFound:
            yield Finding("batch", GOOD, f"the service answers, and you may {right}")
        except Forbidden as error:
            yield Finding("batch", BAD, f"you may not {right} ({error.code})", error.next_step)


def registry(session: Session) -> Iterator[Finding]:
    from ...service.registry import Registry

    outputs = session.connection.outputs
    if outputs is None:
        return
    repository, _, digest = outputs.worker_image.partition("/")[2].partition("@")
    try:
        known = {one.digest for one in Registry(session.connection).manifests(repository)}
    except Forbidden as error:
        fix = "`images` needs AcrPull; submitting does not. Ask for the role if you want to look"
        yield Finding("registry", WARNING, error.fact, fix)
        return
    if digest in known:
        yield Finding("registry", GOOD, f"{outputs.registry_server} has the worker image {digest[:19]}")
    else:
        yield Finding("registry", BAD, f"{repository}@{digest[:19]} is not there", "Run up: it builds and pushes it")


def containers(session: Session) -> Iterator[Finding]:
    outputs = session.connection.outputs
    for family, container in (outputs.job_containers if outputs else {}).items():
        try:
            next(iter(session.blobs.list(container, "")), None)
        except NotFound:
            yield Finding("containers", BAD, f"{container} (family {family}) does not exist", "Run up: it makes it")
        else:
            yield Finding("containers", GOOD, f"{container} (family {family}) can be read")


def pools(session: Session) -> Iterator[Finding]:
    outputs = session.connection.outputs
    for name, pool_id in (outputs.pools if outputs else {}).items():
        try:
            pool = session.batch.pool(pool_id)
        except NotFound:
            yield Finding("pools", BAD, f"{pool_id} ({name}) does not exist", "Run up: it makes it")
            continue
        found = list(session.batch.nodes(pool_id))
        wrong = [
            node for node in found if nodes.reason(node) or node.state in ("unusable", "starttaskfailed", "unknown")
        ]
        wanted = pool.target_dedicated + pool.target_low_priority
        told = f"{pool_id} ({name}): {pool.state}, {len(found)} of {wanted} nodes, {len(wrong)} with problems"
        for error in pool.resize_errors:
            yield Finding(
                "pools", BAD, f"{pool_id}: resize: {error}", "Mostly a core quota: lower the size or ask for more"
            )
        if pool.autoscale_error:
            yield Finding(
                "pools", BAD, f"{pool_id}: autoscale: {pool.autoscale_error}", "Correct the formula and run up"
            )
        if pool.state != "active":
            yield Finding("pools", BAD, told, "Wait for it, or run up")
        elif wrong:
            yield Finding("pools", BAD if len(wrong) == len(found) else WARNING, told, f"python -m jobs nodes {name}")
        elif not found and not pool.autoscale_formula:
            yield Finding("pools", WARNING, told, f"Nothing runs: python -m jobs pools {name} --nodes 2")
        else:
            yield Finding("pools", GOOD, told)
        yield from _image_end(session, pool.os_image, pool.node_agent)


def _image_end(session: Session, image: str, agent: str) -> Iterator[Finding]:
    ends = session.batch.image_ends()
    key = (image.casefold(), agent.casefold())
    if not image:
        yield Finding("images", GOOD, "the pool has an own image, about whose support Batch says nothing")
        return
    if key not in ends:
        yield Finding(
            "images",
            WARNING,
            f"{image} with {agent} is not among the images that Batch supports ",
            "Pools of it may not be made again: choose one of `az batch pool supported-images list`",
        )
        return
    end, now = ends[key], session.clock.now()
    if end is None:
        yield Finding("images", GOOD, f"{image}: no end of its support is known")
        return
    yield support_ends("images", image, end, now, "Change the pool's image in the stack's settings and run up")


def quotas(session: Session) -> Iterator[Finding]:
    from ...service.rest import Rest

    outputs = session.connection.outputs
    if outputs is None or not outputs.subscription_id:
        return
    path = (
        f"/subscriptions/{outputs.subscription_id}/resourceGroups/{outputs.resource_group}/providers/Microsoft.Batch"
        f"/batchAccounts/{outputs.batch_account}?api-version={BATCH_API}"
    )
    rest = Rest(session.connection, session.connection.arm)
    try:
        account = rest.call("GET", path, token=rest.token("https://management.azure.com/.default"))[0]["properties"]
    except Forbidden as error:
        yield Finding("quotas", WARNING, error.fact, "Reader on the resource group shows quotas; submitting needs none")
        return
    active = sum(1 for _ in session.batch.jobs("", state="active"))
    pools_now = sum(1 for _ in session.batch.pools())
    jobs_fix = "Jobs stay active until they are ended: python -m jobs list --state active, then cancel"
    yield _quota("active jobs", active, account.get("activeJobAndJobScheduleQuota"), jobs_fix)
    yield _quota("pools", pools_now, account.get("poolQuota"), "Delete pools that no stack has, or ask for more")
    known = {pool.id: pool for pool in session.batch.pools()}
    quota = {"dedicated": account.get("dedicatedCoreQuota"), "spot": account.get("lowPriorityCoreQuota")}
    yield from core_quota(list(known.values()), [known[one] for one in outputs.pools.values() if one in known], quota)


def subscription(session: Session) -> Iterator[Finding]:
    """Whether the providers are still registered, and Batch still has the sizes of the pools."""
    from ...preflight.plan import PROVIDERS
    from ...preflight.subscription import Subscription
    from ...service.rest import Rest

    outputs = session.connection.outputs
    if outputs is None or not outputs.subscription_id:
        return
    rest = Rest(session.connection, session.connection.arm)
    asked = Subscription(rest, outputs.subscription_id, session.clock.now())
    sizes = [pool.vm_size for pool in session.batch.pools() if pool.id in outputs.pools.values()]
    try:
        yield from asked.providers(PROVIDERS[module] for module in EVERY_STACK)
        yield from asked.sizes(sizes, outputs.location)
    except Forbidden as error:
        yield Finding("subscription", WARNING, error.fact, "Reader on the subscription shows it; submitting needs none")


def core_quota(every: list[PoolState], own: list[PoolState], quota: Mapping[str, int | None]) -> Iterator[Finding]:
    """Whether the account's cores are enough for its pools as they are, and for a second generation of each of the
    stack's: what cannot be changed in place makes a new pool before the old one goes."""
    unknown = [pool.id for pool in every if cores(pool.vm_size) is None]
    for pool_id in unknown:
        yield Finding("quotas", GOOD, f"pool {pool_id}: how many cores its size has is not in its name; not counted")
    for kind, most in quota.items():
        if most is None:
            continue
        used = sum(_cores_of(pool, kind) for pool in every)
        if used > most:
            fix = "Ask for more (portal: the account, Quotas), or lower the pools' sizes"
            yield Finding("quotas", BAD, f"{used} {kind} cores are wanted, {most} may be used", fix)
            continue
        yield Finding("quotas", GOOD, f"{used} of {most} {kind} cores are wanted")
        for pool in own:
            more = _cores_of(pool, kind)
            if used + more > most:
                what = f"a new generation of pool {pool.id} needs {more} {kind} cores, {most - used} are free"
                yield Finding("quotas", WARNING, what, "Ask for more, or resize the old one down when it is drained")


def cores(size: str) -> int | None:
    """The cores of a VM size, which its name says, but for the older series: there the number is none of cores."""
    name = size.casefold().removeprefix("standard_")
    match = _SIZE.fullmatch(name)
    return None if match is None or _OLD_SIZES.fullmatch(name) else int(match[1])


def _cores_of(pool: PoolState, kind: str) -> int:
    targets = (pool.target_dedicated, pool.target_low_priority)
    present = (pool.dedicated, pool.low_priority)
    place = 0 if kind == "dedicated" else 1
    return max(targets[place], present[place]) * (cores(pool.vm_size) or 0)


def _quota(what: str, used: int, most: int | None, fix: str) -> Finding:
    if most is None:
        return Finding("quotas", GOOD, f"{used} {what}; the account tells no quota")
    outcome = BAD if used >= most else WARNING if used >= NEARLY * most else GOOD
    return Finding("quotas", outcome, f"{used} of {most} {what}", "" if outcome == GOOD else fix)


def _mark(outcome: str, colours: bool) -> str:
    colour = {GOOD: 32, WARNING: 33, BAD: 31}[outcome]
    return f"\x1b[{colour}m{outcome:<7}\x1b[0m" if colours else f"{outcome:<7}"


CHECKS: Final[dict[str, Callable[[Session], Iterator[Finding]]]] = {
    "connection": connection,
    "batch": batch,
    "containers": containers,
    "pools": pools,
    "registry": registry,
    "quotas": quotas,
    "subscription": subscription,
}

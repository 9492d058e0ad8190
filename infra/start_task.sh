# The steps of a pool's start task, in order. A line `## NAME: WHAT` begins a step; which pools have which steps is in
# `start_task.py`. Each step travels as one environment variable of the start task, its lines joined with "; ", and the
# command line runs one after the other in one shell: functions and variables of a step are there in later ones.
# So each line is a whole statement; what would be another script on one line is refused at preview.
# Idempotent: it runs again when a node reboots. Everything it proves is in the start task's stdout, and what is known
# of the node when it fails in its stderr. $1 is the admin user's name, empty in pools without users.
# shellcheck disable=SC2154  # $step and $steps are set by the command line

## begin: how failures are told
set -eu
admin="${1:-}"; begun="$(date +%s)"
fail() { echo "start task failed: $1 (step $step)" >&2; exit 1; }
look() { echo "\$ $*"; timeout 10 "$@" 2>&1 | tail -n 15 || true; }
evidence() { code=$?; trap - EXIT; [ "$code" -eq 0 ] || { echo "start task: step $step ended with exit code $code, $(($(date +%s) - begun)) s after the begin"; look uptime; look df -h; look free -m; look systemctl --no-pager --lines 10 status docker; look docker info; } >&2; exit "$code"; }
trap evidence EXIT
trap "exit 124" TERM
echo "start task on node ${AZ_BATCH_NODE_ID:-unknown} as $(id -un)${admin:+, for user $admin}"
# The auto-user with admin elevation is root; should an image make it a sudoer instead, go through sudo.
root=""; [ "$(id -u)" -eq 0 ] || root="sudo -n"
$root true || fail "neither root nor sudo; the pool needs userIdentity autoUser, scope pool, elevationLevel admin"

## docker: the container engine answers
command -v docker >/dev/null || fail "no docker on this node image; the pool needs an image with capability DockerCompatible"
$root docker info >/dev/null 2>&1 || $root systemctl enable --now docker 2>/dev/null || $root service docker start || true
tries=0; until $root docker info >/dev/null 2>&1; do tries=$((tries + 1)); [ "$tries" -lt 60 ] || fail "the docker daemon does not answer after 60 s"; sleep 1; done
echo "docker daemon $($root docker version --format "{{.Server.Version}}") answers"

## admin: the admin user may use the engine without sudo
id "$admin" >/dev/null 2>&1 || fail "user $admin does not exist; it must be in userAccounts of the pool"
getent group docker >/dev/null || $root groupadd --system docker
$root chgrp docker /var/run/docker.sock
$root usermod --append --groups docker "$admin"
# The proof: membership by name, then the command that the membership is for, as the user itself.
id -nG "$admin" | grep -qw docker || fail "$admin is not in group docker, but in: $(id -nG "$admin")"
$root sudo -n -u "$admin" docker ps >/dev/null || fail "$admin is in group docker, but cannot run docker"
echo "user $admin runs docker without sudo; its groups: $(id -nG "$admin")"

## done: all steps were passed
echo "start task done after $(($(date +%s) - begun)) s: $steps"

# The pool's start task: the engine runs, and the admin user may use it without sudo. $1 is that user's name.
# `start_task.py` joins these lines with "; " into one quoted argument of /bin/sh, because Batch starts programs without
# a shell. So each line is a whole statement; what would be another script on one line is refused at preview.
# Idempotent: it runs again when a node reboots. Everything it proves is in the start task's stdout.
set -eu
admin="$1"
fail() { echo "start task failed: $1" >&2; exit 1; }
echo "start task on node ${AZ_BATCH_NODE_ID:-unknown} as $(id -un), for user $admin"

# The auto-user with admin elevation is root; should an image make it a sudoer instead, go through sudo.
root=""; [ "$(id -u)" -eq 0 ] || root="sudo -n"
$root true || fail "neither root nor sudo; the pool needs userIdentity autoUser, scope pool, elevationLevel admin"
command -v docker >/dev/null || fail "no docker on this node image; the pool needs an image with capability DockerCompatible"

$root docker info >/dev/null 2>&1 || $root systemctl enable --now docker 2>/dev/null || $root service docker start || true
tries=0; until $root docker info >/dev/null 2>&1; do tries=$((tries + 1)); [ "$tries" -lt 60 ] || fail "the docker daemon does not answer after 60 s"; sleep 1; done
echo "docker daemon $($root docker version --format "{{.Server.Version}}") answers"

id "$admin" >/dev/null 2>&1 || fail "user $admin does not exist; it must be in userAccounts of the pool"
getent group docker >/dev/null || $root groupadd --system docker
$root chgrp docker /var/run/docker.sock
$root usermod --append --groups docker "$admin"

# The proof: membership by name, then the command that the membership is for, as the user itself.
id -nG "$admin" | grep -qw docker || fail "$admin is not in group docker, but in: $(id -nG "$admin")"
$root sudo -n -u "$admin" docker ps >/dev/null || fail "$admin is in group docker, but cannot run docker"
echo "user $admin runs docker without sudo; its groups: $(id -nG "$admin")"

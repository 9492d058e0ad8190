#!/bin/sh
# First program of a compute node (under tini): prepares cgroups and the link-local addresses, starts the engine as a
# service, then becomes the agent.
set -u
# cgroup v1 hierarchies arrive read-only; the nested engine has to create groups in them.
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
    mountpoint -q "$hierarchy" && mount -o remount,rw,bind "$hierarchy" 2>/dev/null
done
# cgroup v2: processes must leave the root group before controllers can be delegated.
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p /sys/fs/cgroup/init
    xargs -rn1 < /sys/fs/cgroup/cgroup.procs > /sys/fs/cgroup/init/cgroup.procs 2>/dev/null || true
    sed -e 's/ / +/g' -e 's/^/+/' < /sys/fs/cgroup/cgroup.controllers > /sys/fs/cgroup/cgroup.subtree_control || true
fi
# Azure's identity endpoint and its platform address, answered by the agent's forwarders for the node and its containers.
ip address add 169.254.169.254/32 dev lo 2>/dev/null
ip address add 168.63.129.16/32 dev lo 2>/dev/null
# What a mounted blob container needs; the rights of the node's container allow the device, but do not make it.
[ -e /dev/fuse ] || mknod -m 0666 /dev/fuse c 10 229
# What a killed engine left behind would keep a new one from starting.
rm -f /var/run/docker.pid /var/run/docker-ssd.pid /run/docker/containerd/containerd.pid /run/sshd.pid
service docker start >/dev/null &
# A stop is passed on to the tasks by the agent (tini signals the whole group), then the engine ends with the container.
cd /opt/node-agent || exit 1
exec python3 -m local.node.agent /run/node-agent/runtime/boot.json

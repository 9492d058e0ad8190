# What every compute node needs from Debian: its own Docker engine, sudo, an SSH server, Python for the agent, and rclone
# (15 MB to load), which mounts blob containers.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
# DL3008 (pin versions): Debian keeps the last version only, so a pin fails at the next security fix.
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      docker.io iptables mount sudo rclone fuse3 tini procps openssh-server iproute2 python3-aiohttp ca-certificates \
 && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* \
# The Debian service raises limits, which needs CAP_SYS_RESOURCE; keep what the node has where it is refused.
 && sed -i -E 's/^(\s*)ulimit -n 1048576$/\1ulimit -n 1048576 2>\/dev\/null || :/; s/^(\s*)ulimit -([up]) unlimited$/\1ulimit -\2 unlimited 2>\/dev\/null || :/' /etc/init.d/docker

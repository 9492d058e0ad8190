# A compute node: the packages, the local Azure's certificate authority, and the agent.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY root/ /
RUN update-ca-certificates >/dev/null 2>&1 && install -d -m 0700 /run/node-agent && python3 -m compileall -q /opt/node-agent
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/sbin/node_boot"]

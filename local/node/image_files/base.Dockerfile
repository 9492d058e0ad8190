# The local base image: a bootstrapped Debian that also trusts the local Azure's certificate authority.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY root/ /
RUN update-ca-certificates >/dev/null 2>&1

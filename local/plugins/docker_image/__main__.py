"""Entry point of the executable `pulumi-resource-docker`."""

from local.plugins.docker_image.provider import DockerImages
from local.plugins.protocol.process import serve

if __name__ == "__main__":
    serve(DockerImages)

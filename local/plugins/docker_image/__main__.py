"""Entry point of the executable `pulumi-resource-docker`."""

from ..protocol.process import serve
from .provider import DockerImages

if __name__ == "__main__":
    serve(DockerImages)

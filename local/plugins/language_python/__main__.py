"""Entry point of the executable `pulumi-language-python`."""

from .host import serve

if __name__ == "__main__":
    serve()

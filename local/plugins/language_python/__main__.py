"""Entry point of the executable `pulumi-language-python`."""

from local.plugins.language_python.host import serve

if __name__ == "__main__":
    serve()

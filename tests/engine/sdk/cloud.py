"""The SDK of the test plugin `cloud`: property names are used as they are, so there is nothing to translate."""

import pulumi

VERSION = "1.0.0"


class _Resource(pulumi.CustomResource):
    computed = ("name", "etag")

    def __init__(self, name, opts=None, **props):
        options = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=VERSION), opts)
        known = dict.fromkeys((*self.computed, "tags"))
        super().__init__(f"cloud:index:{type(self).__name__}", name, {**known, **props}, options)

    @classmethod
    def get(cls, name, id):
        return cls(name, pulumi.ResourceOptions(id=id))


class Group(_Resource):
    """groupName"""


class Account(_Resource):
    """groupName, accountName"""


class Container(_Resource):
    """groupName, accountName, containerName"""


class Pool(_Resource):
    """groupName, accountName, poolName, vmSize"""


class Image(_Resource):
    """imageName, context"""

    computed = ("digest",)


class Provider(pulumi.ProviderResource):
    def __init__(self, name, opts=None, **props):
        super().__init__("cloud", name, props, opts)


def get_config(opts=None):
    return pulumi.runtime.invoke("cloud:index:getConfig", {}, _versioned(opts)).value


def get_config_output(opts=None):
    return pulumi.runtime.invoke_output("cloud:index:getConfig", {}, _versioned(opts))


def get_nothing():
    return pulumi.runtime.invoke("cloud:index:getNothing", {}, _versioned(None)).value


def _versioned(opts):
    return pulumi.InvokeOptions.merge(pulumi.InvokeOptions(version=VERSION), opts)

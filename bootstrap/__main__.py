"""The program: a group with state, keys and one identity for each GitHub environment; nothing of it is secret."""

import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # Pulumi runs this file by its folder

import pulumi
from pulumi_azure_native import authorization, keyvault, managedidentity, resources, storage

from bootstrap.rights import Scope, assignment_condition, identities
from bootstrap.settings import AUDIENCE, Names, Settings, exposed_by, variables

RECOVERY_DAYS = 90
ASSIGNMENTS = uuid.UUID("5b8f3c9e-2f0a-5d55-9a57-0f4f8f1f2a61")

settings = Settings.load(pulumi.Config())
deployer = authorization.get_client_config()
names = Names(settings.prefix, deployer.subscription_id)
if warning := exposed_by(settings.environments, deployer.subscription_id):
    pulumi.warn(warning)
# Without the state nobody knows what is deployed, without the keys nobody can read it.
kept = pulumi.ResourceOptions(protect=True)


def replaceable(parent: pulumi.Resource) -> pulumi.ResourceOptions:
    """Options of what belongs to a protected resource and may be made anew: rights, and what GitHub is known by."""
    return pulumi.ResourceOptions(parent=parent, protect=False)


group = resources.ResourceGroup(
    "group", resource_group_name=names.group, location=settings.location, tags=settings.tags, opts=kept
)

account = storage.StorageAccount(
    "state",
    account_name=names.storage,
    resource_group_name=group.name,
    location=group.location,
    tags=settings.tags,
    kind=storage.Kind.STORAGE_V2,
    sku=storage.SkuArgs(name=storage.SkuName.STANDARD_ZRS),
    allow_shared_key_access=False,
    allow_blob_public_access=False,
    enable_https_traffic_only=True,
    minimum_tls_version=storage.MinimumTlsVersion.TLS1_2,
    opts=kept,
)
storage.BlobServiceProperties(
    "state-recovery",
    account_name=account.name,
    resource_group_name=group.name,
    blob_services_name="default",
    is_versioning_enabled=True,
    delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=RECOVERY_DAYS),
    container_delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=RECOVERY_DAYS),
)
vault = keyvault.Vault(
    "vault",
    vault_name=names.vault,
    resource_group_name=group.name,
    location=group.location,
    tags=settings.tags,
    properties=keyvault.VaultPropertiesArgs(
        tenant_id=deployer.tenant_id,
        sku=keyvault.SkuArgs(family=keyvault.SkuFamily.A, name=keyvault.SkuName.STANDARD),
        enable_rbac_authorization=True,
        enable_soft_delete=True,
        enable_purge_protection=True,
        soft_delete_retention_in_days=RECOVERY_DAYS,
    ),
    opts=kept,
)

scopes: dict[tuple[Scope, str], pulumi.Input[str]] = {}
for name, environment in settings.environments.items():
    container = storage.BlobContainer(
        f"state-{name}",
        account_name=account.name,
        resource_group_name=group.name,
        container_name=names.state(name),
        public_access=storage.PublicAccess.NONE,
        opts=kept,
    )
    key = keyvault.Key(
        f"key-{name}",
        vault_name=vault.name,
        resource_group_name=group.name,
        key_name=names.key(name),
        # Pulumi's azurekeyvault provider encrypts a data key with RSA-OAEP-256.
        properties=keyvault.KeyPropertiesArgs(kty="RSA", key_size=3072, key_ops=["encrypt", "decrypt"]),
        opts=kept,
    )
    scopes[Scope.SUBSCRIPTION, name] = f"/subscriptions/{environment.subscription_id}"
    scopes[Scope.STATE, name] = container.id
    scopes[Scope.KEY, name] = key.id

github: dict[str, pulumi.Input[dict[str, pulumi.Input[str]]]] = {}
for one in identities({name: environment.image_from for name, environment in settings.environments.items()}):
    identity = managedidentity.UserAssignedIdentity(
        one.name,
        resource_name_=names.identity(one.name),
        resource_group_name=group.name,
        location=group.location,
        tags=settings.tags,
        opts=kept,  # GitHub's variables and the submitters of the stacks name it by its ids
    )
    managedidentity.FederatedIdentityCredential(
        f"{one.name}-github",
        resource_name_=identity.name,
        resource_group_name=group.name,
        federated_identity_credential_resource_name="github",
        issuer=settings.issuer,
        subject=settings.subject_of(one.name),
        audiences=[AUDIENCE],
        opts=replaceable(identity),
    )
    # Two environments may share a subscription: one assignment is enough there, and Azure allows no second.
    wanted = {
        (
            right.role,
            right.scope,
            settings.environments[name].subscription_id if right.scope is Scope.SUBSCRIPTION else name,
        ): (right, name)
        for right, name in one.grants
    }
    for (role, _, place), (right, name) in wanted.items():
        subscription = settings.environments[name].subscription_id
        definition = f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role.value}"
        where = f"{right.scope.name.lower()}-{place}"
        authorization.RoleAssignment(
            f"{one.name}-{role.name.lower().replace('_', '-')}-{where}",
            role_assignment_name=str(uuid.uuid5(ASSIGNMENTS, f"{names.identity(one.name)}|{role.value}|{where}")),
            scope=scopes[right.scope, name],
            principal_id=identity.principal_id,
            principal_type="ServicePrincipal",
            role_definition_id=definition,
            condition=assignment_condition() if right.conditional else None,
            condition_version="2.0" if right.conditional else None,
            opts=replaceable(identity),
        )
    github[one.name] = {
        "AZURE_CLIENT_ID": identity.client_id,
        "AZURE_TENANT_ID": deployer.tenant_id,
        **variables(names, settings.environments, one.environments),
    }

pulumi.export("github_variables", github)
pulumi.export("secrets_providers", {name: names.secrets_provider(name) for name in settings.environments})

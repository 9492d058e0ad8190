"""The commands of the stock azure-cli that are run against the local Azure, in order, and what each must answer.

A command's text is what a user types after `az` (`@20` is a space inside a word); `{names}` are filled in by
`azure_cli.py` and by `keep`. `answers` maps a path into the JSON result to its value (`len` at the end of a path
counts); `refused` is a text that the error of a command must have that Azure refuses, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Command:
    """One command."""

    text: str
    answers: Mapping[str, Any] = field(default_factory=dict)
    keep: Mapping[str, str] = field(default_factory=dict)
    refused: str | None = None


def _c(text: str, keep: Mapping[str, str] | None = None, refused: str | None = None, **answers: Any) -> Command:
    """`a__b=1` means the path `a.b`."""
    paths = {name.replace("__", "."): value for name, value in answers.items()}
    return Command(text, paths, keep or {}, refused)


SIGN_IN = (
    _c("cloud register --name local --endpoint-resource-manager {arm}"),
    _c("cloud set --name local"),
    _c("login --service-principal --username {client_id} --password {client_secret} --tenant {tenant}"),
    _c("account show", id="{subscription}", tenantId="{tenant}"),
    _c("account list", len=1),
    _c("account list-locations"),
    _c("account get-access-token", tokenType="Bearer"),
    _c("role assignment create --assignee-object-id {deployer} --assignee-principal-type ServicePrincipal "
       "--role Owner --scope /subscriptions/{subscription}"),
)  # fmt: skip

GROUPS = (
    _c("group create --name cli --location westeurope --tags team=a", properties__provisioningState="Succeeded"),
    _c("group exists --name cli"),
    _c("group show --name cli", tags__team="a"),
    _c("group list", len=1),
    _c("group list --tag team=a", len=1),
    _c("group list --tag team=b", len=0),
    _c("group update --name cli --set tags.owner=me", tags__owner="me", tags__team="a"),
    _c("group wait --name cli --created"),
    _c("group create --name other --location mars", refused="LocationNotAvailable"),
    _c("provider list"),
    _c("provider show --namespace Microsoft.Batch", registrationState="Registered"),
    _c("provider register --namespace Microsoft.Batch"),
    _c("tag create --resource-id {group} --tags a=1 b=2", properties__tags__b="2"),
    _c("tag update --resource-id {group} --operation Merge --tags c=3", properties__tags__a="1"),
    _c("tag list --resource-id {group}", properties__tags__c="3"),
    _c("tag list"),
    _c("tag delete --resource-id {group} --yes"),
    _c("deployment group list --resource-group cli", len=0),
    _c("lock create --name keep --lock-type CanNotDelete --resource-group cli", level="CanNotDelete"),
    _c("lock list --resource-group cli", len=1),
    _c("lock show --name keep --resource-group cli", name="keep"),
    _c("group delete --name cli --yes", refused="ScopeLocked"),
    _c("lock update --name keep --resource-group cli --notes why", notes="why"),
    _c("lock delete --name keep --resource-group cli"),
    _c("group lock create --name keep2 --lock-type ReadOnly --resource-group cli"),
    _c("group lock delete --name keep2 --resource-group cli"),
)

IDENTITIES = (
    _c("identity create --name one --resource-group cli", {"one": "id", "principal": "principalId"}, name="one"),
    _c("identity create --name two --resource-group cli --tags a=b", {"two": "id"}, tags__a="b"),
    _c("identity list --resource-group cli", len=2),
    _c("identity show --name one --resource-group cli", principalId="{principal}"),
    _c("identity federated-credential create --name fed --identity-name one --resource-group cli "
       "--issuer https://token.example --subject repo --audiences api://AzureADTokenExchange", name="fed"),
    _c("identity federated-credential list --identity-name one --resource-group cli", len=1),
    _c("identity federated-credential show --name fed --identity-name one --resource-group cli", subject="repo"),
    _c("identity federated-credential update --name fed --identity-name one --resource-group cli "
       "--issuer https://token.example --subject other --audiences api://AzureADTokenExchange", subject="other"),
    _c("identity federated-credential delete --name fed --identity-name one --resource-group cli --yes"),
)  # fmt: skip

ROLES = (
    _c("role definition list --name Contributor", len=1),
    _c("role definition list --custom-role-only true", len=0),
    _c("role assignment create --assignee-object-id {principal} --assignee-principal-type ServicePrincipal "
       "--role Reader --scope {group}", principalId="{principal}"),
    _c("role assignment create --assignee {principal} --role Contributor --scope {group}", principalId="{principal}"),
    _c("role assignment create --assignee {principal} --role NoSuchRole --scope {group}", refused="NoSuchRole"),
    _c("role assignment list --scope {group}", len=2),
    _c("role assignment list --all", len=6),
    _c("role assignment list --assignee {principal} --all", len=2),
    _c("role assignment list --resource-group cli --include-inherited", len=6),
    _c("role assignment list --role Reader --scope {group}", len=1),
    _c("role assignment delete --assignee {principal} --role Reader --scope {group}"),
    _c("role assignment delete --assignee {principal} --scope {group}"),
    _c("role assignment list --scope {group}", len=0),
    _c("role definition create --role-definition @{role_definition}", {"custom": "name"}, roleName="Pool Reader"),
    _c("role definition list --custom-role-only true", len=1),
    _c("role definition update --role-definition @{role_definition2}", description="changed"),
    _c("role definition delete --name Pool@20Reader"),
    _c("ad sp list --display-name one", len=1),
    _c("ad sp list --all"),
    _c("ad sp show --id {principal}", id="{principal}"),
    _c("ad sp show --id {client_id}", appId="{client_id}"),
    _c("ad app create --display-name app1", {"app": "appId"}, displayName="app1"),
    _c("ad app list --display-name app1", len=1),
    _c("ad app show --id {app}", appId="{app}"),
    _c("ad sp create --id {app}", appId="{app}"),
    _c("ad app credential reset --id {app}", appId="{app}"),
    _c("ad app delete --id {app}"),
    _c("ad sp create-for-rbac --name robot --role Reader --scopes {group}", {"robot": "appId"}, displayName="robot"),
    _c("ad sp delete --id {robot}"),
    _c("ad user list", len=0),
    _c("ad group list", len=0),
)  # fmt: skip

STORAGE = (
    _c("storage account check-name --name {storage}", nameAvailable=True),
    _c("storage account create --name {storage} --resource-group cli --sku Standard_LRS",
       {"storage_id": "id", "blobs": "primaryEndpoints.blob"}, provisioningState="Succeeded"),
    _c("storage account check-name --name {storage}", nameAvailable=False),
    _c("storage account list --resource-group cli", len=1),
    _c("storage account list", len=1),
    _c("storage account show --name {storage} --resource-group cli", kind="StorageV2"),
    _c("storage account show --name {storage}", name="{storage}"),
    _c("storage account update --name {storage} --resource-group cli --tags a=b", tags__a="b"),
    _c("storage account keys list --account-name {storage} --resource-group cli", {"storage_key": "0.value"}, len=2),
    _c("storage account keys renew --account-name {storage} --resource-group cli --key key2", len=2),
    _c("storage account show-connection-string --name {storage} --resource-group cli"),
    _c("storage account show-usage --location westeurope", currentValue=1),
    _c("storage account network-rule add --account-name {storage} --resource-group cli --ip-address 203.0.113.7"),
    _c("storage account network-rule list --account-name {storage} --resource-group cli", ipRules__len=1),
    _c("storage account network-rule remove --account-name {storage} --resource-group cli --ip-address 203.0.113.7"),
    _c("storage account blob-service-properties show --account-name {storage} --resource-group cli"),
    _c("storage account blob-service-properties update --account-name {storage} --resource-group cli "
       "--enable-delete-retention true --delete-retention-days 7", deleteRetentionPolicy__days=7),
    _c("storage account generate-sas --account-name {storage} --account-key {storage_key} --services b "
       "--resource-types sco --permissions rwdlac --expiry {tomorrow}", {"account_sas": ""}),
    _c("storage container-rm create --name made --storage-account {storage} --resource-group cli", name="made"),
    _c("storage container-rm list --storage-account {storage} --resource-group cli", len=1),
    _c("storage container-rm show --name made --storage-account {storage} --resource-group cli", name="made"),
    _c("storage container-rm exists --name made --storage-account {storage} --resource-group cli", exists=True),
    _c("storage container-rm update --name made --storage-account {storage} --resource-group cli --metadata a=b"),
    _c("storage container-rm delete --name made --storage-account {storage} --resource-group cli --yes"),
    _c("role assignment create --assignee-object-id {deployer} --assignee-principal-type ServicePrincipal "
       "--role Storage@20Blob@20Data@20Contributor --scope {storage_id}"),
    _c("storage container create --name data --blob-endpoint {blobs} --auth-mode login", created=True),
    _c("storage container list --blob-endpoint {blobs} --auth-mode login", len=1),
    _c("storage container exists --name data --blob-endpoint {blobs} --auth-mode login", exists=True),
    _c("storage container show --name data --blob-endpoint {blobs} --auth-mode login", name="data"),
    _c("storage container metadata update --name data --metadata a=b --blob-endpoint {blobs} --auth-mode login"),
    _c("storage container metadata show --name data --blob-endpoint {blobs} --auth-mode login", a="b"),
    _c("storage blob upload --container-name data --name a.txt --file {file} --blob-endpoint {blobs} "
       "--auth-mode login"),
    _c("storage blob list --container-name data --blob-endpoint {blobs} --auth-mode login", len=1),
    _c("storage blob show --container-name data --name a.txt --blob-endpoint {blobs} --auth-mode login",
       properties__contentLength=12),
    _c("storage blob exists --container-name data --name a.txt --blob-endpoint {blobs} --auth-mode login", exists=True),
    _c("storage blob download --container-name data --name a.txt --file {download} --blob-endpoint {blobs} "
       "--auth-mode login"),
    _c("storage blob metadata update --container-name data --name a.txt --metadata x=y --blob-endpoint {blobs} "
       "--auth-mode login"),
    _c("storage blob metadata show --container-name data --name a.txt --blob-endpoint {blobs} "
       "--auth-mode login", x="y"),
    _c("storage blob snapshot --container-name data --name a.txt --blob-endpoint {blobs} --auth-mode login"),
    _c("storage blob set-tier --container-name data --name a.txt --tier Cool --blob-endpoint {blobs} "
       "--auth-mode login"),
    _c("storage blob lease acquire --container-name data --blob-name a.txt --lease-duration 15 "
       "--blob-endpoint {blobs} --auth-mode login", {"lease": ""}),
    _c("storage blob lease release --container-name data --blob-name a.txt --lease-id {lease} "
       "--blob-endpoint {blobs} --auth-mode login"),
    _c("storage blob url --container-name data --name a.txt --blob-endpoint {blobs} --auth-mode login"),
    _c("storage blob generate-sas --container-name data --name a.txt --permissions r --expiry {tomorrow} "
       "--blob-endpoint {blobs} --account-name {storage} --account-key {storage_key}", {"blob_sas": ""}),
    _c("storage blob show --container-name data --name a.txt --blob-endpoint {blobs} --sas-token {blob_sas}"),
    _c("storage blob generate-sas --container-name data --name a.txt --permissions r --expiry {tomorrow} "
       "--blob-endpoint {blobs} --account-name {storage} --auth-mode login --as-user", {"user_sas": ""}),
    _c("storage blob show --container-name data --name a.txt --blob-endpoint {blobs} --sas-token {user_sas}"),
    _c("storage blob delete --container-name data --name a.txt --blob-endpoint {blobs} --sas-token {blob_sas}",
       refused="required permissions"),
    _c("storage container generate-sas --name data --permissions rl --expiry {tomorrow} --blob-endpoint {blobs} "
       "--account-name {storage} --account-key {storage_key}", {"container_sas": ""}),
    _c("storage blob list --container-name data --blob-endpoint {blobs} --sas-token {container_sas}"),
    _c("storage container list --blob-endpoint {blobs} --sas-token {account_sas}", len=1),
    _c("storage blob copy start --destination-container data --destination-blob b.txt --source-uri {blobs}data/a.txt "
       "--blob-endpoint {blobs} --account-name {storage} --account-key {storage_key}", copy_status="success"),
    _c("storage blob upload-batch --destination data --source {folder} --blob-endpoint {blobs} --auth-mode login"),
    _c("storage blob download-batch --source data --destination {downloads} --blob-endpoint {blobs} "
       "--auth-mode login"),
    _c("storage blob delete --container-name data --name a.txt --delete-snapshots include --blob-endpoint {blobs} "
       "--auth-mode login"),
    _c("storage blob delete-batch --source data --blob-endpoint {blobs} --auth-mode login"),
    _c("storage container delete --name data --blob-endpoint {blobs} --auth-mode login", deleted=True),
    _c("storage account create --name Bad_Name --resource-group cli", refused="AccountNameInvalid"),
)  # fmt: skip

REGISTRY = (
    _c("acr check-name --name {registry}", nameAvailable=True),
    _c("acr create --name {registry} --resource-group cli --sku Basic --admin-enabled true",
       {"registry_id": "id"}, provisioningState="Succeeded"),
    _c("acr check-name --name {registry}", nameAvailable=False),
    _c("acr list --resource-group cli", len=1),
    _c("acr show --name {registry}", name="{registry}"),
    _c("acr update --name {registry} --tags a=b", tags__a="b"),
    _c("acr show-usage --name {registry}"),
    _c("acr credential show --name {registry}", {"registry_password": "passwords.0.value"}, username="{registry}"),
    _c("acr credential renew --name {registry} --password-name password"),
    _c("acr login --name {registry} --expose-token"),
    _c("acr show-endpoints --name {registry}"),
    _c("role assignment create --assignee-object-id {deployer} --assignee-principal-type ServicePrincipal "
       "--role AcrPush --scope {registry_id}"),
    _c("acr repository list --name {registry}", len=0),
    _c("acr update --name {registry} --admin-enabled false", adminUserEnabled=False),
    _c("acr credential show --name {registry}", refused="to enable admin first"),
    _c("acr config content-trust show --registry {registry}", refused="Premium SKU"),
    _c("acr replication list --registry {registry}", refused="Premium SKU"),
    _c("acr webhook list --registry {registry}", len=0),
    _c("acr private-endpoint-connection list --registry-name {registry}", len=0),
)  # fmt: skip

BATCH_ACCOUNT = (
    _c("batch account create --name {batch} --resource-group cli --location westeurope",
       {"batch_id": "id", "endpoint": "accountEndpoint"}, provisioningState="Succeeded"),
    _c("batch account show --name {batch} --resource-group cli", poolAllocationMode="BatchService"),
    _c("batch account list --resource-group cli", len=1),
    _c("batch account list", len=1),
    _c("batch account set --name {batch} --resource-group cli --storage-account {storage_id}", name="{batch}"),
    _c("batch account show --name {batch} --resource-group cli", autoStorage__storageAccountId="{storage_id}"),
    _c("batch account autostorage-keys sync --name {batch} --resource-group cli"),
    _c("batch account keys list --name {batch} --resource-group cli", {"batch_key": "primary"}),
    _c("batch account keys renew --name {batch} --resource-group cli --key-name secondary"),
    _c("batch account outbound-endpoints --name {batch} --resource-group cli", len=4),
    _c("batch account identity assign --name {batch} --resource-group cli --user-assigned {one}",
       type="UserAssigned"),
    _c("batch account identity show --name {batch} --resource-group cli", type="UserAssigned"),
    _c("batch account identity remove --name {batch} --resource-group cli --user-assigned {one} --yes", type="None"),
    _c("batch account network-profile show --name {batch} --resource-group cli"),
    _c("batch account network-profile set --name {batch} --resource-group cli --profile BatchAccount "
       "--default-action Allow"),
    _c("batch account network-profile network-rule add --name {batch} --resource-group cli --profile BatchAccount "
       "--ip-address 203.0.113.7"),
    _c("batch account network-profile network-rule list --name {batch} --resource-group cli"),
    _c("batch account network-profile network-rule delete --name {batch} --resource-group cli --profile BatchAccount "
       "--ip-address 203.0.113.7 --yes"),
    _c("batch private-link-resource list --account-name {batch} --resource-group cli", len=2),
    _c("batch private-link-resource show --account-name {batch} --resource-group cli --name batchAccount",
       name="batchAccount"),
    _c("batch private-endpoint-connection list --account-name {batch} --resource-group cli", len=0),
    _c("batch location quotas show --location westeurope", accountQuota=3),
    _c("batch location list-skus --location westeurope"),
    _c("batch application create --name {batch} --resource-group cli --application-name app", name="app"),
    _c("batch application list --name {batch} --resource-group cli", len=1),
    _c("batch application package create --name {batch} --resource-group cli --application-name app --version 1.0 "
       "--package-file {zip}", state="Active"),
    _c("batch application package activate --name {batch} --resource-group cli --application-name app --version 1.0 "
       "--format zip"),
    _c("batch application package show --name {batch} --resource-group cli --application-name app --version 1.0",
       format="zip", state="Active"),
    _c("batch application package list --name {batch} --resource-group cli --application-name app", len=1),
    _c("batch application set --name {batch} --resource-group cli --application-name app --default-version 1.0"),
    _c("batch application show --name {batch} --resource-group cli --application-name app", defaultVersion="1.0"),
    _c("batch account login --name {batch} --resource-group cli"),
    _c("role assignment create --assignee-object-id {deployer} --assignee-principal-type ServicePrincipal "
       "--role Azure@20Batch@20Data@20Contributor --scope {batch_id}"),
    _c("batch application summary list", len=1),
    _c("batch application summary show --application-id app", id="app"),
)  # fmt: skip

POOLS = (
    _c("batch pool supported-images list"),
    _c("batch pool create --id pool --vm-size Standard_D2s_v3 --image microsoft-dsvm:ubuntu-hpc:2204:latest "
       "--node-agent-sku-id batch.node.ubuntu@2022.04 --target-dedicated-nodes 2 "
       "--application-package-references app#1.0"),
    _c("batch pool create --json-file {pool_json}"),
    _c("batch pool create --id image --vm-size Standard_A1_v2 --image a:b:c "
       "--node-agent-sku-id batch.node.windows@20amd64",
       refused="imageReference"),
    _c("batch pool list", len=2),
    _c("batch pool show --pool-id pool", id="pool", allocationState="steady"),
    _c("batch pool show --pool-id pool --select id,state", state="active"),
    _c("batch pool node-counts list", len=2),
    _c("batch pool set --pool-id pool --start-task-command-line hostname"),
    _c("batch pool reset --pool-id pool --start-task-command-line hostname --metadata a=b c=d",
       metadata__len=2),
    _c("batch pool resize --pool-id pool --target-dedicated-nodes 3"),
    _c("batch pool resize --pool-id pool --abort", refused="OperationInvalidForCurrentState"),
    _c("batch pool autoscale enable --pool-id json --auto-scale-formula $TargetDedicatedNodes=1;"),
    _c("batch pool autoscale evaluate --pool-id json --auto-scale-formula $TargetDedicatedNodes=2;"),
    _c("batch pool autoscale disable --pool-id json"),
    _c("batch pool usage-metrics list"),
    _c("batch pool create --id secure --vm-size Standard_D2s_v3 "
       "--image canonical:0001-com-ubuntu-server-jammy:22_04-lts "
       "--node-agent-sku-id batch.node.ubuntu@2022.04 --security-type TrustedLaunch --encryption-at-host true "
       "--enable-secure-boot true --enable-vtpm true"),
    _c("batch pool delete --pool-id secure --yes"),
    _c("batch node list --pool-id pool", {"node": "0.id"}, len=3),
    _c("batch node show --pool-id pool --node-id {node}", id="{node}"),
    _c("batch node user create --pool-id pool --node-id {node} --name me --password P@ssw0rd12345"),
    _c("batch node user reset --pool-id pool --node-id {node} --user-name me --password P@ssw0rd54321"),
    _c("batch node user delete --pool-id pool --node-id {node} --user-name me --yes"),
    _c("batch node scheduling disable --pool-id pool --node-id {node}"),
    _c("batch node scheduling enable --pool-id pool --node-id {node}"),
    _c("batch node reboot --pool-id pool --node-id {node}"),
    _c("batch node file list --pool-id pool --node-id {node}"),
    _c("batch node file download --pool-id pool --node-id {node} --file-path startup/stdout.txt "
       "--destination {node_file}"),
    _c("batch node delete --pool-id pool --node-list {node}"),
)  # fmt: skip

JOBS = (
    _c("batch job create --id job --pool-id pool"),
    _c("batch job create --json-file {job_json}"),
    _c("batch job create --id job --pool-id pool", refused="JobExists"),
    _c("batch job list", len=2),
    _c("batch job list --filter \"id eq 'job'\"", len=1),
    _c("batch job show --job-id job", id="job", state="active"),
    _c("batch job set --job-id job --priority 5 --metadata a=b"),
    _c("batch job reset --job-id job --pool-id pool --priority 7"),
    _c("batch job show --job-id job", priority=7),
    _c("batch task create --job-id job --task-id one --command-line hostname", id="one"),
    _c("batch task create --job-id job --json-file {task_json}", id="two"),
    _c("batch task create --job-id job --json-file {tasks_json}", len=2),
    _c("batch task list --job-id job", len=4),
    _c("batch task list --job-id job --filter \"state eq 'completed'\""),
    _c("batch task show --job-id job --task-id one", id="one"),
    _c("batch job task-counts show --job-id job", taskCounts__completed=4),
    _c("batch task reset --job-id job --task-id one --max-task-retry-count 3", refused="TaskCompleted"),
    _c("batch task file list --job-id job --task-id one"),
    _c("batch task file download --job-id job --task-id one --file-path stdout.txt --destination {task_file}"),
    _c("batch task subtask list --job-id job --task-id one"),
    _c("batch task stop --job-id job --task-id one", refused="TaskCompleted"),
    _c("batch task reactivate --job-id job --task-id one", refused="TaskSucceeded"),
    _c("batch task file delete --job-id job --task-id one --file-path stdout.txt --yes"),
    _c("batch task delete --job-id job --task-id one --yes"),
    _c("batch task show --job-id job --task-id one", refused="TaskNotFound"),
    _c("batch job prep-release-status list --job-id job", refused="JobPreparationTask"),
    _c("batch job disable --job-id job --disable-tasks requeue"),
    _c("batch job enable --job-id job"),
    _c("batch job stop --job-id job --terminate-reason enough"),
    _c("batch job delete --job-id job --yes"),
    _c("batch job-schedule create --id nightly --pool-id pool --recurrence-interval PT2H"),
    _c("batch job-schedule list", len=1),
    _c("batch job-schedule show --job-schedule-id nightly", id="nightly"),
    _c("batch job list --job-schedule-id nightly", len=1),
    _c("batch job-schedule set --job-schedule-id nightly --recurrence-interval PT3H"),
    _c("batch job-schedule reset --job-schedule-id nightly --pool-id pool --recurrence-interval PT4H"),
    _c("batch job-schedule disable --job-schedule-id nightly"),
    _c("batch job-schedule enable --job-schedule-id nightly"),
    _c("batch job-schedule stop --job-schedule-id nightly"),
    _c("batch job-schedule delete --job-schedule-id nightly --yes"),
    _c("batch job list --account-name {batch} --account-key {batch_key} --account-endpoint {endpoint}"),
    _c("batch application package delete --name {batch} --resource-group cli --application-name app "
       "--version 1.0 --yes"),
    _c("batch application delete --name {batch} --resource-group cli --application-name app --yes"),
    _c("batch pool delete --pool-id pool --yes"),
)  # fmt: skip

RESOURCES = (
    _c("resource list --resource-group cli", len=5),
    _c("resource list --resource-type Microsoft.Batch/batchAccounts", len=1),
    _c("resource list --name {batch}", len=1),
    _c("resource list --tag a=b"),
    _c("resource list --location westeurope"),
    _c("resource show --ids {batch_id}", name="{batch}"),
    _c("resource show --resource-group cli --resource-type Microsoft.Batch/batchAccounts --name {batch}",
       location="westeurope"),
    _c("resource tag --ids {batch_id} --tags a=b", tags__a="b"),
    _c("resource update --ids {batch_id} --set tags.c=d", tags__c="d"),
    _c("resource wait --ids {batch_id} --exists"),
    _c("resource create --resource-group cli --resource-type Microsoft.ManagedIdentity/userAssignedIdentities "
       "--name three --properties {{}}", name="three"),
    _c("resource invoke-action --action listKeys --ids {batch_id}"),
    _c("resource lock create --name guard --lock-type CanNotDelete --resource {batch_id}"),
    _c("resource delete --ids {batch_id}", refused="failed to be deleted"),
    _c("resource lock delete --ids {batch_id}/providers/Microsoft.Authorization/locks/guard"),
    _c("resource delete --resource-group cli --resource-type Microsoft.ManagedIdentity/userAssignedIdentities "
       "--name three"),
    _c("rest --method get --url {arm}{batch_id}?api-version=2024-07-01", name="{batch}"),
)  # fmt: skip

MONITORING = (
    _c("monitor log-analytics workspace create --resource-group cli --workspace-name logs", {"workspace": "id"}),
    _c("monitor log-analytics workspace show --resource-group cli --workspace-name logs", name="logs"),
    _c("monitor log-analytics workspace list --resource-group cli", len=1),
    _c("monitor diagnostic-settings categories list --resource {batch_id}"),
    _c("monitor diagnostic-settings create --name diag --resource {batch_id} --workspace {workspace} "
       "--logs [{{category:ServiceLog,enabled:true}}]", name="diag"),
    _c("monitor diagnostic-settings list --resource {batch_id}", len=1),
    _c("monitor diagnostic-settings show --name diag --resource {batch_id}", name="diag"),
    _c("monitor diagnostic-settings delete --name diag --resource {batch_id}"),
    _c("monitor action-group create --name ops --resource-group cli --action email me me@example.com", name="ops"),
    _c("monitor action-group list --resource-group cli", len=1),
    _c("monitor action-group show --name ops --resource-group cli", name="ops"),
    _c("monitor action-group delete --name ops --resource-group cli"),
    _c("network vnet create --name net --resource-group cli --subnet-name nodes", newVNet__name="net"),
    _c("network vnet subnet list --vnet-name net --resource-group cli", len=1),
    _c("network vnet subnet show --vnet-name net --resource-group cli --name nodes", {"subnet": "id"}, name="nodes"),
    _c("network private-endpoint create --name pe --resource-group cli --subnet {subnet} "
       "--private-connection-resource-id {batch_id} --group-id batchAccount --connection-name pe", name="pe"),
    _c("batch private-endpoint-connection list --account-name {batch} --resource-group cli", {"pe": "0.name"}, len=1),
    _c("batch private-endpoint-connection show --account-name {batch} --resource-group cli --name {pe}", name="{pe}"),
    _c("network private-endpoint list --resource-group cli", len=1),
    _c("network private-endpoint delete --name pe --resource-group cli"),
)  # fmt: skip

ENDING = (
    _c("batch account delete --name {batch} --resource-group cli --yes"),
    _c("acr delete --name {registry} --yes"),
    _c("storage account delete --name {storage} --resource-group cli --yes"),
    _c("identity delete --name two --resource-group cli"),
    _c("group delete --name cli --yes"),
    _c("group exists --name cli"),
    _c("logout"),
)

SECTIONS: Mapping[str, tuple[Command, ...]] = {
    "Sign-in": SIGN_IN,
    "Groups, tags, locks, providers": GROUPS,
    "Managed identities": IDENTITIES,
    "Roles and the directory": ROLES,
    "Storage": STORAGE,
    "Container registry": REGISTRY,
    "Batch accounts and applications": BATCH_ACCOUNT,
    "Batch pools and nodes": POOLS,
    "Batch jobs, tasks, schedules": JOBS,
    "Resources": RESOURCES,
    "Monitoring and network": MONITORING,
    "Clean-up": ENDING,
}

NOT_HERE: Mapping[str, str] = {
    "storage queue, table, file, share, fs": "the local Azure has blobs only",
    "acr build, run, task, import": "they build or copy images in Azure's own agents; `docker push` works",
    "acr token, scope-map, cache, connected-registry": "Premium features that the program does not use",
    "deployment ... create, bicep, ts, stack, policy": "no template engine and no policies: Pulumi deploys the program",
    "vm, aks, functionapp, ...": "resource types that the local Azure does not have; refused by name",
    "batch certificate": "retired by Azure on 29 February 2024",
    "login (interactive), account lock": "users cannot sign in; an application does",
    "batch task file show, node file show": "azure-cli 2.91 fails on the answer by itself "
    "(`'RestRequestsTransportResponse' object has no attribute 'items'`); `file list` and `file download` are run",
    "monitor metrics, activity-log": "nothing is measured or logged by ARM here",
}
"""Groups of commands that are not run, and why."""

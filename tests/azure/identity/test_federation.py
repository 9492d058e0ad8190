"""Tokens of another issuer stand for the identity that names their issuer, subject and audience, and for no other."""

from __future__ import annotations

import json
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from azure.identity import ClientAssertionCredential
from cryptography.hazmat.primitives.asymmetric import rsa

from local.azure.control_plane.ids import FEDERATED_CREDENTIALS
from local.azure.control_plane.ids import USER_ASSIGNED_IDENTITIES as IDENTITIES
from local.azure.control_plane.resources import Resource
from local.azure.identity.federation import ASSERTION_TYPE
from local.plugins.azure_native import config
from local.plugins.azure_native.arm_client import ArmClient
from local.plugins.protocol.errors import CloudError
from tests.azure.running import RunningAzure
from tests.ci import github_server
from tests.ci.github_server import KEY_ID, FakeGitHub, signing_key, subject_of

AUDIENCE = "api://AzureADTokenExchange"
ARM = "https://management.azure.com/.default"
CLIENT, PRINCIPAL = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"


class Tenant:
    """A running authority, an issuer, and an identity for the jobs of the environment dev."""

    def __init__(self, azure: RunningAzure, issuer: FakeGitHub) -> None:
        self.azure = azure
        self.issuer = issuer
        self._group = f"/subscriptions/{azure.cloud.settings.subscription_id}/resourceGroups/g/providers"
        self.add_identity("dev", CLIENT, PRINCIPAL)
        self.add_credential("dev", "github")

    def add_identity(self, name: str, client_id: str, principal_id: str) -> None:
        made = {"clientId": client_id, "principalId": principal_id, "tenantId": self.azure.cloud.settings.tenant_id}
        self.azure.cloud.resources.put(
            Resource(f"{self._group}/{IDENTITIES}/{name}", IDENTITIES, name, properties=made)
        )

    def add_credential(self, identity: str, name: str, **other: Any) -> None:
        properties = {"issuer": self.issuer.url, "subject": subject_of(identity), "audiences": [AUDIENCE], **other}
        place = f"{self._group}/{IDENTITIES}/{identity}/federatedIdentityCredentials/{name}"
        self.azure.cloud.resources.put(Resource(place, FEDERATED_CREDENTIALS, name, properties=properties))

    def token(self, assertion: str, client_id: str = CLIENT, **other: str) -> dict[str, Any]:
        """The authority's answer to a token request."""
        form = {
            "grant_type": "client_credentials", "client_id": client_id, "scope": ARM,
            "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **other,
        }  # fmt: skip
        cloud = self.azure.cloud
        url = f"{cloud.arm_url}/{cloud.settings.tenant_id}/oauth2/v2.0/token"
        try:
            with urllib.request.urlopen(
                url,
                urllib.parse.urlencode(form).encode(),
                context=ssl.create_default_context(cafile=str(self.azure.paths.ca)),
            ) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return {"status": error.code, **json.load(error)}

    def refused(self, assertion: str, **other: str) -> tuple[int, str]:
        """Status and number of the refusal."""
        answer = self.token(assertion, **other)
        assert "access_token" not in answer
        return answer["status"], answer["error_description"].partition(":")[0]


@pytest.fixture
def tenant(azure: RunningAzure) -> Iterator[Tenant]:
    with github_server.running(azure.paths) as issuer:
        yield Tenant(azure, issuer)


def test_the_right_subject_gets_a_token_of_the_identity(tenant: Tenant) -> None:
    cloud = tenant.azure.cloud
    answer = tenant.token(tenant.issuer.identity_token(subject_of("dev"), AUDIENCE))
    caller = cloud.tokens.verify(answer["access_token"], cloud.arm_audiences)
    assert (caller.principal_id, caller.client_id) == (PRINCIPAL, CLIENT)


def test_azure_identity_signs_in_by_it(tenant: Tenant) -> None:
    cloud = tenant.azure.cloud
    credential = ClientAssertionCredential(
        cloud.settings.tenant_id, CLIENT, lambda: tenant.issuer.identity_token(subject_of("dev"), AUDIENCE),
        authority=cloud.arm_url, disable_instance_discovery=True, connection_verify=str(tenant.azure.paths.ca),
    )  # fmt: skip
    assert cloud.tokens.verify(credential.get_token(ARM).token, cloud.arm_audiences).principal_id == PRINCIPAL


def client(environment: dict[str, str]) -> ArmClient:
    """Of Pulumi's plugin for azure-native, configured by the environment alone."""
    return ArmClient(config.load({}, environment), threading.Event())


def test_pulumis_plugin_signs_in_as_a_job_of_github(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = tenant.azure.cloud
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tenant.azure.paths.ca))
    job = tenant.issuer.start_job(subject_of("dev"))
    environment = {
        **job, "ARM_USE_OIDC": "true", "ARM_CLIENT_ID": CLIENT, "ARM_TENANT_ID": cloud.settings.tenant_id,
        "ARM_SUBSCRIPTION_ID": cloud.settings.subscription_id,
        "ARM_METADATA_HOSTNAME": cloud.arm_url.removeprefix("https://"),
    }  # fmt: skip
    assert client(environment).object_id() == PRINCIPAL
    other = {**environment, **tenant.issuer.start_job(subject_of("prod"))}
    with pytest.raises(CloudError, match="AADSTS700213"):
        client(other).token()
    with pytest.raises(CloudError, match="no identity token for the job"):
        client({**environment, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "ended"}).token()


@pytest.mark.parametrize(
    "subject",
    [
        "repo:mallory/platform:environment:dev",
        "repo:team/platform:ref:refs/heads/change",
        "repo:team/platform:pull_request",
        subject_of("prod"),
        subject_of("DEV"),
        f"{subject_of('dev')} ",
        "",
    ],
    ids=["a fork", "another branch", "a pull request", "another environment", "other letters", "a space", "none"],
)
def test_another_subject_is_refused(tenant: Tenant, subject: str) -> None:
    assert tenant.refused(tenant.issuer.identity_token(subject or "x:y", AUDIENCE, sub=subject)) == (
        401,
        "AADSTS700213",
    )


def test_another_issuer_or_audience_is_refused_though_the_key_is_right(tenant: Tenant) -> None:
    issuer, subject = tenant.issuer, subject_of("dev")
    assert tenant.refused(issuer.identity_token(subject, AUDIENCE, iss="https://example.org")) == (401, "AADSTS700211")
    assert tenant.refused(issuer.identity_token(subject, "https://github.com/team")) == (401, "AADSTS700212")
    assert "access_token" in tenant.token(issuer.identity_token(subject, AUDIENCE, aud=["other", AUDIENCE]))


def test_parts_of_two_credentials_do_not_add_up_to_one(tenant: Tenant) -> None:
    tenant.add_credential("dev", "other", subject=subject_of("prod"), audiences=["another"])
    assert tenant.refused(tenant.issuer.identity_token(subject_of("prod"), AUDIENCE)) == (401, "AADSTS700212")


def test_one_identitys_token_does_not_stand_for_another(tenant: Tenant) -> None:
    other = "22222222-0000-4000-8000-000000000001"
    tenant.add_identity("dev-2", other, "22222222-0000-4000-8000-000000000002")  # the name begins alike
    assertion = tenant.issuer.identity_token(subject_of("dev"), AUDIENCE)
    assert tenant.refused(assertion, client_id=other) == (401, "AADSTS70025")
    assert tenant.refused(assertion, client_id=tenant.azure.cloud.settings.client_id) == (401, "AADSTS70025")
    assert tenant.refused(assertion, client_id="33333333-0000-4000-8000-000000000001") == (401, "AADSTS700016")


def test_a_token_that_the_issuer_did_not_sign_is_refused(tenant: Tenant) -> None:
    claims = jwt.decode(tenant.issuer.identity_token(subject_of("dev"), AUDIENCE), options={"verify_signature": False})
    strangers = rsa.generate_private_key(public_exponent=65537, key_size=3072)  # keys of one size are made once
    forged = jwt.encode(claims, strangers, algorithm="RS256", headers={"kid": KEY_ID})
    assert tenant.refused(forged) == (401, "AADSTS700027")
    assert tenant.refused(jwt.encode(claims, strangers, algorithm="RS256", headers={"kid": "x"})) == (
        401,
        "AADSTS7000272",
    )
    unsigned = jwt.encode(claims, "", algorithm="none", headers={"kid": KEY_ID})
    assert tenant.refused(unsigned) == (401, "AADSTS700027")
    public = signing_key().public_key().public_numbers().n.to_bytes(256, "big")
    by_secret = jwt.encode(claims, public, algorithm="HS256", headers={"kid": KEY_ID})
    assert tenant.refused(by_secret) == (401, "AADSTS700027")
    assert tenant.refused("not.a.token") == (400, "AADSTS50027")


@pytest.mark.parametrize("times", [{"exp": time.time() - 1}, {"nbf": time.time() + 3000}, {"exp": "soon"}])
def test_a_token_out_of_its_time_is_refused(tenant: Tenant, times: dict[str, Any]) -> None:
    number = tenant.refused(tenant.issuer.identity_token(subject_of("dev"), AUDIENCE, **times))[1]
    assert number == "AADSTS700024"


def test_an_issuer_that_cannot_be_asked_is_named_as_the_reason(tenant: Tenant) -> None:
    tenant.add_credential("dev", "gone", issuer="https://127.0.0.1:9")
    tenant.add_credential("dev", "plain", issuer=tenant.issuer.url.replace("https", "http"))
    for issuer in ("https://127.0.0.1:9", tenant.issuer.url.replace("https", "http")):
        assertion = tenant.issuer.identity_token(subject_of("dev"), AUDIENCE, iss=issuer)
        assert tenant.refused(assertion) == (400, "AADSTS501661")


def test_an_assertion_of_another_kind_is_refused(tenant: Tenant) -> None:
    assertion = tenant.issuer.identity_token(subject_of("dev"), AUDIENCE)
    kind = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
    assert tenant.refused(assertion, client_assertion_type=kind)[0] == 400

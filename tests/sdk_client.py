"""The official typed SDKs, for tests of services of an emulated cloud."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from scf_local.cloud.dispatcher import SERVICES

if TYPE_CHECKING:
    from scf_local.cloud.server import EmulatedCloud
    from scf_local.credentials import AccountCredentials


@dataclass(frozen=True)
class SdkClient:
    """Calls the actions of a service, with the account's keys or others."""

    cloud: EmulatedCloud
    service: str
    region: str = "ap-guangzhou"
    keys: AccountCredentials | None = None
    sign_method: str = "TC3-HMAC-SHA256"

    def module(self, name: str) -> Any:  # noqa: ANN401 - a module
        """Return a module of the SDK, such as `models`."""
        version = SERVICES[self.service].version.replace("-", "")
        return import_module(f"tencentcloud.{self.service}.v{version}.{name}")

    def __call__(self, action: str, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - the action's
        """Return the reply of an action, checked by the SDK's types.

        Raises:
            TencentCloudSDKException: an error reply.
        """
        keys = self.keys or self.cloud.credentials
        http = HttpProfile(protocol="http", endpoint=self.cloud.url.removeprefix("http://"))
        profile = ClientProfile(self.sign_method, http)
        credential = Credential(keys.secret_id, keys.secret_key, keys.token)
        name = f"{self.service.capitalize()}Client"
        client = getattr(self.module(f"{self.service}_client"), name)
        request = getattr(self.module("models"), f"{action}Request")()
        request.from_json_string(json.dumps(params))
        answer = getattr(client(credential, self.region, profile), action)(request)
        reply: dict[str, Any] = json.loads(answer.to_json_string())
        return reply

    def error(self, action: str, **params: Any) -> str:  # noqa: ANN401 - the action's
        """Return the code of the error reply of an action, or nothing."""
        try:
            self(action, **params)
        except TencentCloudSDKException as error:
            return str(error.get_code())
        return ""


TRUST = {"effect": "allow", "action": "name/sts:AssumeRole"}


def policy(*statements: dict[str, Any]) -> str:
    """Return a policy document."""
    return json.dumps({"version": "2.0", "statement": statements})


SCF_TRUST = policy({**TRUST, "principal": {"service": "scf.qcloud.com"}})
"""A trust policy that lets functions have the role."""
ALL = policy({"effect": "allow", "action": "*", "resource": "*"})


def add_role(cloud: EmulatedCloud, name: str, document: str = ALL, trust: str = SCF_TRUST) -> str:
    """Create a role with a policy of the same name, and return the role's id."""
    cam = SdkClient(cloud, "cam")
    role_id: str = cam("CreateRole", RoleName=name, PolicyDocument=trust)["RoleId"]
    cam("CreatePolicy", PolicyName=name, PolicyDocument=document)
    cam("AttachRolePolicy", AttachRoleName=name, PolicyName=name)
    return role_id

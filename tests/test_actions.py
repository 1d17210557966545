"""API actions: a row each, as the SDK and the emulated cloud know them."""

from __future__ import annotations

import pytest
from tencentcloud.cvm.v20170312 import models as cvm
from tencentcloud.tag.v20180813 import models as tag

from image_steward.cloud.actions import ACTIONS, Action
from image_steward.model import ATTRIBUTES
from scf_local.cloud import cvm as emulated_cvm
from scf_local.cloud import tags as emulated_tag

SENT = {
    "DescribeImages": {"ImageIds", "Filters", "Offset", "Limit"},
    "ModifyImageAttribute": {"ImageId", *ATTRIBUTES},
    "TagResources": {"ResourceList", "Tags"},
    "UnTagResources": {"ResourceList", "TagKeys"},
}
"""What `cloud.image_api` sends with each action."""

MODELS = {"cvm": cvm, "tag": tag}
EMULATED = {"cvm": emulated_cvm.SERVICE, "tag": emulated_tag.SERVICE}


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_parameters_are_the_api_s(action: Action) -> None:
    """What the function sends are parameters of the action, by the SDK's own models."""
    request = getattr(MODELS[action.service], f"{action.name}Request")()
    assert SENT[action.name] <= {name.lstrip("_") for name in vars(request)}


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_emulated_cloud_agrees(action: Action) -> None:
    """The emulated cloud has each action at the same version, with the same limit."""
    service = EMULATED[action.service]
    assert service.version == action.version
    assert service.actions[action.name].per_second == action.limit
    assert SENT[action.name] <= set(service.actions[action.name].shape)

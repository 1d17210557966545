"""API actions: each row agrees with the SDK, the emulated cloud and the run role."""

from __future__ import annotations

import pytest
from tencentcloud.cvm.v20170312 import models as cvm
from tencentcloud.tag.v20180813 import models as tag

from conftest import ACTIONS
from image_steward.cloud.image_api import Action
from scf_local.cloud import cvm as emulated_cvm
from scf_local.cloud import tags as emulated_tag

MODELS = {"cvm": cvm, "tag": tag}
EMULATED = {"cvm": emulated_cvm.SERVICE, "tag": emulated_tag.SERVICE}


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_parameters_are_those_of_the_api(action: Action) -> None:
    """Every parameter of an action exists in the SDK's model of its request."""
    request = getattr(MODELS[action.service], f"{action.name}Request")()
    assert set(action.parameters.split()) <= {name.lstrip("_") for name in vars(request)}


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_emulated_cloud_agrees(action: Action) -> None:
    """The emulated cloud has each action, with the same version and limit."""
    service = EMULATED[action.service]
    assert service.version == action.version
    assert service.actions[action.name].per_second == action.limit
    assert set(action.parameters.split()) <= set(service.actions[action.name].shape)

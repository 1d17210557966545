"""API actions: a row each, as the SDK and the emulated cloud know them."""

from __future__ import annotations

import pytest
from tencentcloud.cvm.v20170312 import models as cvm
from tencentcloud.tag.v20180813 import models as tag

from image_steward.cloud import actions
from image_steward.cloud.actions import ACTIONS, Action
from scf_local.cloud import cvm as emulated_cvm
from scf_local.cloud import tags as emulated_tag

MODELS = {"cvm": cvm, "tag": tag}
EMULATED = {"cvm": emulated_cvm.SERVICE, "tag": emulated_tag.SERVICE}


def test_every_action_is_listed() -> None:
    """What the tests below hold for `ACTIONS` they hold for every row."""
    assert set(ACTIONS) == {each for each in vars(actions).values() if isinstance(each, Action)}


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_parameters_are_the_api_s(action: Action) -> None:
    """What the function may send are parameters of the action, by the SDK's own models."""
    request = getattr(MODELS[action.service], f"{action.name}Request")()
    assert set(action.parameters.split()) <= {name.lstrip("_") for name in vars(request)}


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_emulated_cloud_agrees(action: Action) -> None:
    """The emulated cloud has each action at the same version, with the same limit."""
    service = EMULATED[action.service]
    assert service.version == action.version
    assert service.actions[action.name].per_second == action.limit
    assert set(action.parameters.split()) <= set(service.actions[action.name].shape)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_permission_is_that_of_the_action(action: Action) -> None:
    """The run role's permission bears the names of service and action."""
    assert action.permission == f"name/{action.service}:{action.name}"

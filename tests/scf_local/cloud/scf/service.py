"""SCF 2018-04-16: the table of its actions."""

from __future__ import annotations

from scf_local.cloud.actions import Service
from scf_local.cloud.scf import triggers

SERVICE = Service("2018-04-16", {**triggers.ACTIONS})

"""Packer manifests for tests, as written by the post-processor `manifest`."""

from __future__ import annotations

from typing import Any

RUN = "2d1b2a0e-5f4e-3c3c-9a55-0d8f0c7f1a11"
OTHER_RUN = "00000000-5f4e-3c3c-9a55-0d8f0c7f1a11"
TIME = 1764000000  # 2025-11-24T16:00:00Z


def build(custom_data: object = None, **members: object) -> dict[str, Any]:
    """Return a build as Packer writes it."""
    return {
        "name": "web",
        "builder_type": "tencentcloud-cvm",
        "build_time": TIME,
        "files": None,
        "artifact_id": "ap-guangzhou:img-6pb6lrmy",
        "packer_run_uuid": RUN,
        "custom_data": custom_data,
        **members,
    }


def manifest(*builds: object) -> dict[str, Any]:
    """Return a manifest with these builds."""
    return {"builds": list(builds), "last_run_uuid": RUN}

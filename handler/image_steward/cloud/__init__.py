"""The only package that imports the official SDKs: `api` for CVM and Tag, `objects` for COS.

Both are imported by `run` when they are needed, not before: a refused document loads neither, a
timer never loads the COS SDK.
"""

import importlib.util
import sys
import warnings


def lazily(name: str) -> None:
    """Let a module be loaded when it is first used, not when it is imported."""
    spec = importlib.util.find_spec(name)
    if name not in sys.modules and spec and spec.loader:
        spec.loader = importlib.util.LazyLoader(spec.loader)
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


# The bundle leaves these libraries out; replies that name no charset are UTF-8.
warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
# urllib3 imports it for what is not used here; it is a twentieth of a cold start.
lazily("importlib.metadata")

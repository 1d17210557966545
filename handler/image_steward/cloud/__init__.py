"""The only package that imports the official SDKs: `api` for CVM and Tag, `objects` for COS.

Both are imported by `run` when they are needed, not before: a refused document loads neither, a
timer never loads the COS SDK.
"""

import warnings

# The bundle leaves these libraries out; replies that name no charset are UTF-8.
warnings.filterwarnings("ignore", "Unable to find acceptable character detection")

"""The only package that imports the official SDKs: `api` for CVM and Tag, `objects` for COS.

Both are imported by `run` when they are needed, not before: a refused document loads neither, a
timer never loads the COS SDK.
"""

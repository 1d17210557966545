"""The only package that imports the official SDKs: `api` for CVM and Tag, `objects` for COS.

`instance` loads each of the two when it is first needed. A direct call whose document is refused
loads neither. An event that reads and writes no object does without the COS SDK: a timer or a
direct call that brings its own document, and a function without a journal or with nothing to do.
"""

"""The only package that imports the official SDKs: `api` for CVM and Tag, `objects` for COS.

`instance` loads each of them on first use. A direct call with a rejected document loads neither.
The COS SDK is loaded only to read or write an object, not for a timer or direct call with an
inline document, unless a journal is to be written.
"""

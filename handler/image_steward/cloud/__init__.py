"""The only package that imports the official SDKs: `api` for CVM and Tag, `objects` for COS.

`registry` imports each of the two when it is first needed: a document that is refused inline loads
neither, an event that reads or writes no object (a timer or a direct call with a document of its
own, and no journal) does without the COS SDK.
"""

"""Image Steward: keeps the custom images of a Tencent Cloud account properly named and tagged.

The folders are the stages that an event goes through, in the order of `invocation`. Values pass
from one to the next (`model`); a module imports only from the lines below its own, which
`lint-imports` checks:

    invocation          one event through all stages
    instance            what a warm instance keeps, what a run opens
    registry            kinds of documents; what is imported when it is first needed
    reporting           journal, undo, result document, log
    execution           a plan            -> outcomes
    planning            request + images  -> a plan, pure
    current_images      a request         -> the images as they are
    events              an event          -> its parts, and their bytes
    documents           bytes             -> typed requests
    cloud               calls to COS, CVM and Tag: the only package that imports the SDKs
    naming              what names look like and what they are made of, pure
    model               the values in between
    settings            environment variables
    and the ground      error_codes, errors, strict_json, messages, clock, regions, limits,
                        parallel, lazy
"""

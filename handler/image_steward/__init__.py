"""Image Steward: keeps the custom images of a Tencent Cloud account properly named and tagged.

Most packages are stages of an event, which `invocation` calls one after the other. Only values
(`model`) pass from stage to stage. A module imports only from the lines below its own, which
`lint-imports` checks:

    invocation          takes one event through all stages
    instance            what a warm instance keeps, and the API clients of a run
    registry            the kinds of documents, with their lazy imports
    reporting           journal, undo, result document, log
    execution           plan              -> outcomes
    planning            request + images  -> plan; pure
    current_images      request           -> current images
    events              event             -> its parts and the bytes of their documents
    documents           bytes             -> typed requests
    cloud               calls to COS, CVM and Tag; the only package that imports the SDKs
    naming              templates, styles, patterns and temporary names; pure
    model               the values that pass between the stages
    settings            environment variables
    used everywhere     errors, strict_json, messages, clock, regions, limits, parallel, lazy
"""

"""Image Steward: keeps the custom images of a Tencent Cloud account properly named and tagged.

Data flows one way through these modules; each imports only from the lines above it:

    codes  errors  clock  regions  settings  logs  strict_json      what everything stands on
    schema (schemas/*.json)          JSON Schema, its errors as sentences
    triggers                         event    -> where the documents are
    documents                        bytes    -> typed change requests
    images                           DescribeImages, ModifyImageAttribute, tag calls as functions
    planning                         wanted + current -> steps, pure
    retries, applying                steps    -> outcomes
    results                          outcomes -> the result document
    cloud                            the only package that imports the SDKs
    steward                          one document after another, through all of the above
    run                              an event's beginning and end
"""

"""Image Steward: keeps the custom images of a Tencent Cloud account properly named and tagged.

Data flows one way; each module imports only from the lines above it:

    codes  errors  clock  regions  strict_json  workers    what everything stands on
    logs                             one JSON line for each event of note
    settings                         environment variables
    schema (schemas/*.json)          JSON Schema, its errors as sentences
    triggers                         event    -> where the documents are
    documents                        bytes    -> typed change requests
    images                           the API's calls as functions, over any transport
    planning                         wanted + current -> steps, pure
    pacing  retries                  how fast, and when again
    applying                         steps    -> outcomes
    results                          outcomes -> the result document
    cloud                            the only package that imports the SDKs
    steward                          one document after another, through all of the above
    run                              an event's beginning and end
"""

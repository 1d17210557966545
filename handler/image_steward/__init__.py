"""Image Steward: keeps the custom images of a Tencent Cloud account properly named and tagged.

Data flows one way; each module imports only from the lines above it:

    codes  errors  clock  regions  strict_json  nearest  workers    what everything stands on
    logs                             one JSON line for each event of note
    settings                         environment variables
    schema (schemas/*.json)          JSON Schema, its errors as sentences
    triggers                         event    -> where the documents are
    images                           the API's calls as functions, over any transport
    names  templates                 what names look like, and what they are made of
    policies                         a naming policy, typed
    manifests                        a Packer manifest, typed
    documents                        bytes    -> typed requests
    planning                         wanted + current -> steps in an order that works, pure
    normalising                      policy + current -> the same, pure
    labelling                        manifest + current -> what is wanted, pure
    waiting                          ... until the images of a manifest are there
    plans  manifest_plans            a request -> its steps by region, the images being read
    pacing  retries                  how fast, and when again
    outcomes                         what became of each step
    writes                           steps    -> the calls, each until it is settled
    applying                         the writes of a region, a few at a time
    undoing                          outcomes -> what puts everything back
    results                          outcomes -> the result document
    cloud                            the only package that imports the SDKs
    steward                          one document after another, through all of the above
    run                              an event's beginning and end
"""

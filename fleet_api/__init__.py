"""The fleet API: REST, WebSocket and the console's files, over the registry and the telemetry.

One folder a feature (endpoints, service, repository, schemas); `kit` holds what has no feature
in it; `bootstrap` builds everything once and `app` puts the routes together.
"""

"""The query API: xAPI reads, /v1, and what operators ask, as one application on the state of its process."""
from fastapi import FastAPI

from services.api import about, courses, docs, errors, events, evidence, identity, learners, operations, quarantine, statements, transcripts
from services.api.context import Api
from services.api.middleware import Around
from services.api.programmes.routes import routers as programmes
from services.api.xapi import activities, agents, documents
from services.runtime.state import State

_DESCRIPTION = (
    "A learner record store: xAPI statements in, and what a learner has demonstrated out, with the statements behind it. "
    "Every path but health and /xapi/about takes HTTP Basic authentication with an API key, "
    "or a bearer token of an issuer that the settings trust. HEAD works wherever GET does. Errors are problem JSON. "
    "What a write answers as LRS-Position a read takes as LRS-Min-Position: it waits until that is folded, as long as `Prefer: wait=N` says (2 s, at most 10), "
    "and is a 503 if it is not. Without it a read of /v1 right after a write may not see it yet."
)


def create_api(state: State) -> FastAPI:
    """Return the application. It opens and closes nothing: `state` is its caller's."""
    app = FastAPI(title="Testamur", version="1", description=_DESCRIPTION, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    api = Api(state)
    for router in (
        statements.router(api), about.router(api), agents.router(api), activities.router(api), documents.router(api),
        learners.router(api), transcripts.router(api), evidence.router(api), identity.router(api), courses.router(api), quarantine.router(api),
        *programmes(api), events.router(api), operations.router(api), docs.router(app),
    ):
        app.include_router(router)
    errors.install(app, state)
    app.add_middleware(Around)
    return app

"""The routes of this package, which share what judges."""
from collections.abc import Iterator

from fastapi import APIRouter

from services.api.context import Api
from services.api.programmes import credentials, explain, issuers, of_learner, preview, publish, published
from services.api.programmes.judgements import Judgements


def routers(api: Api) -> Iterator[APIRouter]:
    """Give the routes of every file here."""
    judgements = Judgements(api)
    yield from (issuers.router(api), published.router(api), publish.router(api), preview.router(api, judgements))
    yield from (of_learner.router(api, judgements), explain.router(api, judgements), credentials.router(api))

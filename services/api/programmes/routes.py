"""The routes of this package, which share what judges."""
from collections.abc import Iterator

from fastapi import APIRouter

from services.api.context import Api
from services.api.programmes import credentials, explain, issuers, of_learner, preview, publish, published
from services.api.programmes.judging import Judging


def routers(api: Api) -> Iterator[APIRouter]:
    """Give the routes of every file here."""
    judging = Judging(api)
    yield from (issuers.router(api), published.router(api), publish.router(api), preview.router(api, judging))
    yield from (of_learner.router(api, judging), explain.router(api, judging), credentials.router(api))

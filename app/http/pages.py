"""The web page and the reference, under policies that let them talk to this server and to no other.

This module does not know the service: the pages call the same endpoints as any client.
"""

from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).parents[1] / "static"
# Swagger UI as local files: /docs loads nothing from another host, so it works in closed networks, and no other host
# could read a key that is typed into it.
SWAGGER = Path(str(files("fastapi_offline"))) / "static"

# No inline script or style, no other host, no frames: markup in a text cannot become part of the page.
_POLICY = {
    "default-src": "'none'",
    "connect-src": "'self'",
    "img-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
# Swagger UI writes style attributes and draws its icons from data: addresses.
_DOCS_POLICY = {**_POLICY, "style-src": "'self' 'unsafe-inline'", "img-src": "'self' data:"}


class _Files(StaticFiles):
    """Static files that a browser asks for again after every update of the service."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def add_page(app: FastAPI) -> None:
    """Serve the page at `/`, the reference at `/docs`, and their files below `/static`."""

    # The schema has this route, because the same path also takes POST.
    @app.get("/", summary="The web page", tags=["operations"], response_class=HTMLResponse)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers=_headers(_POLICY))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(STATIC / "docs.html", headers=_headers(_DOCS_POLICY))

    app.mount("/static/swagger", _Files(directory=SWAGGER), name="swagger")
    app.mount("/static", _Files(directory=STATIC), name="static")


def _headers(policy: dict[str, str]) -> dict[str, str]:
    content = "; ".join(f"{directive} {sources}" for directive, sources in policy.items())
    return {"Content-Security-Policy": content, "Cache-Control": "no-cache"}

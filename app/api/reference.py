"""The reference at /docs: one page of our own that reads /openapi.json and loads nothing from anywhere else."""

from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, RedirectResponse

router = APIRouter(include_in_schema=False)

PAGE = Path(__file__).parent / "reference.html"
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'"
)


@router.get("/")
async def root() -> Response:
    """The reference is the front page for now."""
    return RedirectResponse("/docs")


@router.get("/docs")
async def docs() -> Response:
    """The page."""
    headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
    return FileResponse(PAGE, media_type="text/html; charset=utf-8", headers=headers)

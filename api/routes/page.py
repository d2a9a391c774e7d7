"""GET /: the page on which a person can ask, and its assets."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

STATIC = Path(__file__).resolve().parent.parent / "static"

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page() -> Response:
    """The page. Browsers ask again each time, so that an update shows at once."""
    index = STATIC / "index.html"
    if not index.is_file():
        raise HTTPException(404, "the page is not installed: use /v1/answers")
    return FileResponse(index, headers={"Cache-Control": "no-cache"})


def install_assets(app: FastAPI) -> None:
    """Serve what the page needs under /static."""
    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")

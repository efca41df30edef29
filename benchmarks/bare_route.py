"""A bare FastAPI route that answers with the bytes of a file: `python -m benchmarks.bare_route`."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response


def main() -> None:
    """Serve the file of the first argument at `/` on the port of the second."""
    body = Path(sys.argv[1]).read_bytes()
    app = FastAPI()

    @app.get("/")
    async def read() -> Response:
        return Response(body, media_type="application/json")

    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")


if __name__ == "__main__":
    main()

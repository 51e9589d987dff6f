"""tuspyserver under uvicorn, as the bench starts it: python tuspyserver_server.py PORT FOLDER."""

import sys

import uvicorn
from fastapi import FastAPI
from tuspyserver import create_tus_router


def main(port: int, folder: str) -> None:
    """Serve until stopped; uploads go to /files/."""
    app = FastAPI()
    app.include_router(create_tus_router(prefix="files", files_dir=folder))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

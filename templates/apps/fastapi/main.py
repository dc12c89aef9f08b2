import os

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def index():
    return {"app": os.environ.get("DP_APP", "local"), "release": os.environ.get("DP_RELEASE", "none")}


@app.get("/health")
def health():
    return {"status": "ok"}

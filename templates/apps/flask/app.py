import os

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    return {"app": os.environ.get("DP_APP", "local"), "release": os.environ.get("DP_RELEASE", "none")}


@app.get("/health")
def health():
    return {"status": "ok"}

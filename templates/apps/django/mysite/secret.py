"""The key that Django signs sessions and links with: SECRET_KEY, else one that is made once and kept."""

import os
import secrets


def secret_key(path):
    if os.environ.get("SECRET_KEY"):
        return os.environ["SECRET_KEY"]
    try:
        with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(secrets.token_urlsafe(50))
    except FileExistsError:
        pass
    return path.read_text()

"""A small SaaS product: its accounts have users, and a number of seats. Customers' identity providers keep the users by SCIM."""

import hashlib
import hmac
import json
import os
import re
import sys

import waitress
from scimwell import AuthError, Credentials, Principal, Scim
from scimwell.sqlite import SqliteStorage

from users import Users

DATABASE = os.environ.get("DATABASE", "app.db")
HOST = os.environ.get("HOST", "127.0.0.1")
PORT = int(os.environ.get("PORT", "8080"))
SEATS = int(os.environ.get("SEATS", "25"))
TOKEN = os.environ.get("SCIM_TOKEN") or sys.exit(
    "SCIM_TOKEN is not set: choose a token for the identity provider, SCIM_TOKEN=… python app.py"
)


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def authenticate(credentials: Credentials) -> Principal:
    # One token for all accounts, to be short: a product keeps a token for each, and its digest only.
    if not hmac.compare_digest(digest(credentials.authorization or ""), digest(f"Bearer {TOKEN}")):
        raise AuthError("unauthenticated")
    return Principal(tenant=credentials.tenant_hint or "default", subject="scim-token")


def product(environ, start_response):
    """The product itself, as far as this example goes: who may sign in."""
    found = re.fullmatch(r"/accounts/([^/]+)/users", environ["PATH_INFO"])
    body = json.dumps(users.of(found[1]) if found else {"error": "not found"}, indent=2)
    start_response("200 OK" if found else "404 Not Found", [("Content-Type", "application/json")])
    return [f"{body}\n".encode()]


users = Users(DATABASE, SEATS)
scim = Scim(
    storage=SqliteStorage(DATABASE),
    authenticate=authenticate,
    review=users.review,
    on_write=lambda account: users.follow(scim, account),
    otherwise=product,
)

if __name__ == "__main__":
    # What was committed before a crash, and not yet followed.
    for account in users.accounts():
        users.follow(scim, account)
    server = waitress.create_server(scim, host=HOST, port=PORT)
    print(f"listening on http://{HOST}:{server.effective_port}", flush=True)
    server.run()

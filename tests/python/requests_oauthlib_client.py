"""requests-oauthlib (and so oauthlib), unchanged."""
import os

# documented: for development without TLS
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from oauthlib.oauth2 import (AccessDeniedError, BackendApplicationClient, InvalidClientError, InvalidGrantError,
                             InvalidScopeError, MismatchingStateError, OAuth2Error)
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

ISSUER, REDIRECT_URI = os.environ["ISSUER"], os.environ["REDIRECT_URI"]
CLIENT_ID, CLIENT_SECRET = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
RESOURCE_SERVER = os.environ["RESOURCE_SERVER_ID"], os.environ["RESOURCE_SERVER_SECRET"]
BASIC = HTTPBasicAuth(CLIENT_ID, CLIENT_SECRET)

METADATA = requests.get(f"{ISSUER}/.well-known/oauth-authorization-server").json()
TOKEN = METADATA["token_endpoint"]


def session(client_id=CLIENT_ID, scope=("read", "write")):
    return OAuth2Session(client_id, redirect_uri=REDIRECT_URI, scope=list(scope), pkce="S256")


def ask(client, word="Open"):
    url, _ = client.authorization_url(METADATA["authorization_endpoint"])
    print(word, url, flush=True)
    return input()


def refused(kind, action):
    try:
        answer = action()
    except kind as error:
        assert not isinstance(error, OAuth2Error) or error.description, error
        return error
    raise AssertionError(f"not refused: {answer}")


def introspect(token):
    return requests.post(METADATA["introspection_endpoint"], auth=RESOURCE_SERVER, data={"token": token}).json()


def whoami(client):
    answer = client.get(f"{ISSUER}/v1/whoami")
    assert answer.status_code == 200, answer.text
    return answer.json()["credential"]


def the_code_flow(client, **authentication):
    token = client.fetch_token(TOKEN, authorization_response=ask(client), **authentication)
    # a scope other than the requested one would have raised a Warning
    assert token["token_type"].lower() == "bearer" and token["scope"] == ["read", "write"], token
    assert whoami(client)["client_id"] == client.client_id
    assert introspect(token["access_token"])["active"] is True


def refresh_and_revocation(client, auth=None, **authentication):
    seen = [client.token["refresh_token"]]
    for _ in range(2):
        seen.append(client.refresh_token(TOKEN, auth=auth, **authentication)["refresh_token"])
    assert len(set(seen)) == 3  # RFC 9700 §4.14: rotated each time
    client.scope = ["read"]  # RFC 6749 §6
    assert client.refresh_token(TOKEN, auth=auth, **authentication)["scope"] == ["read"]
    assert whoami(client)["scope"] == "read"
    access = client.token["access_token"]
    form = {"token": client.token["refresh_token"], **authentication}
    assert requests.post(METADATA["revocation_endpoint"], auth=auth, data=form).status_code == 200
    assert introspect(access) == {"active": False}
    refused(InvalidGrantError, lambda: client.refresh_token(TOKEN, auth=auth, **authentication))


def an_expired_token_is_refreshed_on_the_way():
    client = session()
    client.fetch_token(TOKEN, authorization_response=ask(client), client_secret=CLIENT_SECRET)
    kept = []
    again = OAuth2Session(
        CLIENT_ID, token={**client.token, "expires_at": 1}, auto_refresh_url=TOKEN, token_updater=kept.append,
        auto_refresh_kwargs={"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
    )
    whoami(again)
    assert kept[0]["access_token"] != client.token["access_token"]


def client_credentials():
    basic = OAuth2Session(client=BackendApplicationClient(CLIENT_ID, scope=["read"]))
    assert basic.fetch_token(TOKEN, auth=BASIC)["scope"] == ["read"]
    post = OAuth2Session(client=BackendApplicationClient(CLIENT_ID, scope=["read"]))
    assert "refresh_token" not in post.fetch_token(TOKEN, client_secret=CLIENT_SECRET, include_client_id=True)
    assert whoami(basic)["client_id"] == whoami(post)["client_id"] == CLIENT_ID


def refusals_are_understood():
    client = session()
    denied = ask(client, "Refuse")
    refused(AccessDeniedError, lambda: client.fetch_token(TOKEN, authorization_response=denied, client_secret=CLIENT_SECRET))

    address = ask(client)
    forged = address.replace("state=", "state=x")
    refused(MismatchingStateError, lambda: client.fetch_token(TOKEN, authorization_response=forged, client_secret=CLIENT_SECRET))
    access = client.fetch_token(TOKEN, authorization_response=address, client_secret=CLIENT_SECRET)["access_token"]
    refused(InvalidGrantError, lambda: client.fetch_token(TOKEN, authorization_response=address, client_secret=CLIENT_SECRET))
    assert introspect(access) == {"active": False}  # RFC 6749 §4.1.2: a replayed code ends what it gave

    backend = OAuth2Session(client=BackendApplicationClient(CLIENT_ID))
    refused(InvalidClientError, lambda: backend.fetch_token(TOKEN, client_secret="wrong"))
    greedy = OAuth2Session(client=BackendApplicationClient(CLIENT_ID, scope=["nonsense"]))
    refused(InvalidScopeError, lambda: greedy.fetch_token(TOKEN, auth=BASIC))


confidential, public = session(), session(os.environ["PUBLIC_CLIENT_ID"])
the_code_flow(confidential, client_secret=CLIENT_SECRET)
refresh_and_revocation(confidential, auth=BASIC)
the_code_flow(public)  # by Basic with an empty secret, as the library does unless told
the_code_flow(public, include_client_id=True)
refresh_and_revocation(public, client_id=public.client_id)
an_expired_token_is_refreshed_on_the_way()
client_credentials()
refusals_are_understood()
print("All of it was asserted.")

"""Authlib, unchanged: its OAuth2Session as a client, its RFC 9068 validator as a resource server."""
import os

# documented: for development without TLS
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6749 import MismatchingStateException
from authlib.oauth2.rfc6749.errors import MissingCodeException
from authlib.oauth2.rfc6750 import InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator

ISSUER, REDIRECT_URI = os.environ["ISSUER"], os.environ["REDIRECT_URI"]
CLIENT_ID, CLIENT_SECRET = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
RESOURCE_SERVER = os.environ["RESOURCE_SERVER_ID"], os.environ["RESOURCE_SERVER_SECRET"]

METADATA = requests.get(get_well_known_url(ISSUER, external=True)).json()
TOKEN, REVOKE = METADATA["token_endpoint"], METADATA["revocation_endpoint"]


def session(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, **settings):
    return OAuth2Session(
        client_id, client_secret, redirect_uri=REDIRECT_URI, token_endpoint=TOKEN, code_challenge_method="S256", **settings
    )


def ask(client, word="Open"):
    """What the browser is sent back with, and the verifier."""
    verifier = generate_token(48)
    url, client.state = client.create_authorization_url(METADATA["authorization_endpoint"], code_verifier=verifier)
    print(word, url, flush=True)
    return input(), verifier


def refused(action, kind=OAuthError):
    try:
        answer = action()
    except kind as error:
        return error
    raise AssertionError(f"not refused: {answer}")


def the_code_flow(client):
    address, verifier = ask(client)
    token = client.fetch_token(authorization_response=address, code_verifier=verifier)
    assert token["token_type"].lower() == "bearer" and token["expires_in"] == 900, token
    assert token["scope"] == "read write" and not token.is_expired(), token
    assert client.get(f"{ISSUER}/v1/whoami").json()["credential"]["client_id"] == client.client_id
    assert introspect(token["access_token"])["active"] is True
    return address, verifier


def refresh_and_revocation(client):
    first = client.token["refresh_token"]
    client.refresh_token()
    second = client.token["refresh_token"]
    client.refresh_token()
    # RFC 9700 §4.14: rotated each time
    assert len({first, second, client.token["refresh_token"]}) == 3
    narrow = client.refresh_token(scope="read")
    assert narrow["scope"] == "read", narrow
    assert client.get(f"{ISSUER}/v1/whoami").json()["credential"]["scope"] == "read"
    # RFC 6749 §6: the refresh token's own scope stays
    assert client.refresh_token(scope="read write")["scope"] == "read write"
    # an expired token is refreshed on the way
    client.token["expires_at"] = 1
    assert client.get(f"{ISSUER}/v1/whoami").status_code == 200 and not client.token.is_expired()
    access = client.token["access_token"]
    assert client.revoke_token(REVOKE, token_type_hint="refresh_token").status_code == 200
    assert introspect(access) == {"active": False}
    error = refused(client.refresh_token)
    assert error.error == "invalid_grant" and error.description, error


def introspect(token):
    resource_server = session(*RESOURCE_SERVER)
    return resource_server.introspect_token(METADATA["introspection_endpoint"], token=token).json()


def client_credentials():
    for method in ["client_secret_basic", "client_secret_post"]:
        client = session(token_endpoint_auth_method=method, revocation_endpoint_auth_method=method, scope="read")
        token = client.fetch_token(grant_type="client_credentials")
        assert token["scope"] == "read" and "refresh_token" not in token, token
        assert client.revoke_token(REVOKE, token=token["access_token"]).status_code == 200
        assert client.get(f"{ISSUER}/v1/whoami").status_code == 401


def a_public_client():
    client = session(os.environ["PUBLIC_CLIENT_ID"], None, scope="read write")
    the_code_flow(client)
    refresh_and_revocation(client)


def refusals_are_understood():
    client = session(scope="read")
    address, _ = ask(client, "Refuse")
    # Authlib's session leaves an error in the address to its caller. Without `grant_type` it would see no code there,
    # guess client_credentials, and succeed.
    assert "error=access_denied" in address and "error_description=" in address, address
    refused(lambda: client.fetch_token(authorization_response=address, grant_type="authorization_code"), MissingCodeException)

    address, verifier = ask(client)
    refused(lambda: client.fetch_token(authorization_response=address, state="another"), MismatchingStateException)
    error = refused(lambda: client.fetch_token(authorization_response=address, code_verifier="x" * 43))
    assert error.error == "invalid_grant" and error.description, error

    address, verifier = ask(client)
    access = client.fetch_token(authorization_response=address, code_verifier=verifier)["access_token"]
    error = refused(lambda: client.fetch_token(authorization_response=address, code_verifier=verifier))
    assert error.error == "invalid_grant" and error.description, error
    assert introspect(access) == {"active": False}  # RFC 6749 §4.1.2: a replayed code ends what it gave

    error = refused(lambda: session(client_secret="wrong").fetch_token(grant_type="client_credentials"))
    assert error.error == "invalid_client" and error.description, error
    error = refused(lambda: session(scope="nonsense").fetch_token(grant_type="client_credentials"))
    assert error.error == "invalid_scope" and error.description, error


class Validator(JWTBearerTokenValidator):
    def get_jwks(self):
        return requests.get(METADATA["jwks_uri"]).json()


def access_tokens_are_valid_jwts():
    """RFC 9068 §4, by Authlib's validator for resource servers."""
    token = session(scope="read").fetch_token(grant_type="client_credentials")["access_token"]
    validator = Validator(ISSUER, ISSUER)
    claims = validator.authenticate_token(token)
    validator.validate_token(claims, ["read"], None)
    assert claims["client_id"] == CLIENT_ID and claims.header["typ"] == "at+jwt", claims
    refused(lambda: validator.validate_token(claims, ["write"], None), InsufficientScopeError)
    stranger = Validator(ISSUER, "https://elsewhere.example")
    refused(lambda: stranger.validate_token(stranger.authenticate_token(token), ["read"], None), InvalidTokenError)
    head, body, signature = token.split(".")
    forged = ".".join([head, body, signature[::-1]])
    refused(lambda: validator.authenticate_token(forged), InvalidTokenError)


AuthorizationServerMetadata(METADATA).validate()
confidential = session(scope="read write")
the_code_flow(confidential)
refresh_and_revocation(confidential)
client_credentials()
a_public_client()
refusals_are_understood()
access_tokens_are_valid_jwts()
print("All of it was asserted.")

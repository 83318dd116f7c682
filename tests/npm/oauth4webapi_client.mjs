// oauth4webapi, unchanged: as a client, and as a resource server.
import assert from 'node:assert/strict'
import readline from 'node:readline'
import * as oauth from 'oauth4webapi'

const { ISSUER, REDIRECT_URI, CLIENT_ID, CLIENT_SECRET, PUBLIC_CLIENT_ID, RESOURCE_SERVER_ID, RESOURCE_SERVER_SECRET } = process.env
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]()

// documented: for development without TLS
const insecure = { [oauth.allowInsecureRequests]: true }

const issuer = new URL(ISSUER)
const as = await oauth
  .discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
  .then((response) => oauth.processDiscoveryResponse(issuer, response))

/** What the browser is sent back with. */
async function ask(client, scope, word = 'Open') {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const url = new URL(as.authorization_endpoint)
  const parameters = {
    client_id: client.client_id,
    redirect_uri: REDIRECT_URI,
    response_type: 'code',
    scope,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  }
  url.search = new URLSearchParams(parameters)
  console.log(word, url.href)
  const { value } = await lines.next()
  return { address: new URL(value), verifier, state }
}

async function redeem(client, authentication, { address, verifier, state }) {
  const parameters = oauth.validateAuthResponse(as, client, address, state)
  const response = await oauth.authorizationCodeGrantRequest(as, client, authentication, parameters, REDIRECT_URI, verifier, insecure)
  return oauth.processAuthorizationCodeResponse(as, client, response)
}

async function refresh(client, authentication, token, parameters = {}) {
  const options = { additionalParameters: parameters, ...insecure }
  const response = await oauth.refreshTokenGrantRequest(as, client, authentication, token, options)
  return oauth.processRefreshTokenResponse(as, client, response)
}

async function credentials(client, authentication, parameters) {
  const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, parameters, insecure)
  return oauth.processClientCredentialsResponse(as, client, response)
}

async function revoke(client, authentication, token) {
  await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, authentication, token, insecure))
}

async function introspect(token) {
  const client = { client_id: RESOURCE_SERVER_ID }
  const response = await oauth.introspectionRequest(as, client, oauth.ClientSecretBasic(RESOURCE_SERVER_SECRET), token, insecure)
  return oauth.processIntrospectionResponse(as, client, response)
}

async function whoami(token) {
  const response = await oauth.protectedResourceRequest(token, 'GET', new URL('/v1/whoami', ISSUER), undefined, undefined, insecure)
  return (await response.json()).credential
}

/** RFC 9068 §4, for a resource server that asks nobody. */
function validate(token, audience = ISSUER, options = {}) {
  const request = new Request('https://api.example/', { headers: { authorization: `Bearer ${token}` } })
  return oauth.validateJwtAccessToken(as, request, audience, { ...insecure, ...options })
}

async function everyGrant(client, authentication) {
  const tokens = await redeem(client, authentication, await ask(client, 'read write'))
  assert.equal(tokens.scope, 'read write')
  assert.equal(tokens.expires_in, 900)
  assert.equal((await whoami(tokens.access_token)).client_id, client.client_id)
  const claims = await validate(tokens.access_token)
  assert.equal(claims.client_id, client.client_id)
  const introspection = await introspect(tokens.access_token)
  assert.equal(introspection.active, true)
  for (const name of ['iss', 'sub', 'aud', 'client_id', 'exp', 'iat', 'jti', 'scope']) assert.deepEqual(introspection[name], claims[name], name)

  const first = await refresh(client, authentication, tokens.refresh_token)
  const second = await refresh(client, authentication, first.refresh_token)
  // RFC 9700 §4.14: rotated each time
  assert.equal(new Set([tokens, first, second].map((each) => each.refresh_token)).size, 3)
  const narrow = await refresh(client, authentication, second.refresh_token, { scope: 'read' })
  assert.equal((await validate(narrow.access_token)).scope, 'read')
  await revoke(client, authentication, narrow.refresh_token)
  assert.deepEqual(await introspect(narrow.access_token), { active: false })
  await assert.rejects(refresh(client, authentication, narrow.refresh_token), understood('invalid_grant', 400))
}

/** The library tells our error and its description. */
function understood(code, status) {
  return (error) => {
    assert.ok(error instanceof oauth.ResponseBodyError, String(error))
    assert.equal(error.error, code)
    assert.equal(error.status, status)
    assert.ok(error.error_description.length > 0)
    return true
  }
}

const client = { client_id: CLIENT_ID }
const basic = oauth.ClientSecretBasic(CLIENT_SECRET)
await everyGrant(client, basic)
await everyGrant({ client_id: PUBLIC_CLIENT_ID, token_endpoint_auth_method: 'none' }, oauth.None())

for (const authentication of [basic, oauth.ClientSecretPost(CLIENT_SECRET)]) {
  const { access_token, refresh_token } = await credentials(client, authentication, { scope: 'read' })
  assert.equal(refresh_token, undefined)
  assert.equal((await validate(access_token)).scope, 'read')
  await assert.rejects(validate(access_token, 'https://elsewhere.example'), { code: oauth.JWT_CLAIM_COMPARISON })
  await assert.rejects(validate(access_token.slice(0, -4) + 'AAAA'))
  await revoke(client, authentication, access_token)
  assert.equal((await introspect(access_token)).active, false)
}

// a person who refuses
const denied = await ask(client, 'read', 'Refuse')
assert.throws(() => oauth.validateAuthResponse(as, client, denied.address, denied.state), (error) => {
  assert.ok(error instanceof oauth.AuthorizationResponseError, String(error))
  assert.equal(error.error, 'access_denied')
  assert.ok(error.error_description.length > 0)
  return true
})

// RFC 9207: an answer of another issuer, or of none, is not taken
const answer = await ask(client, 'read')
for (const change of [(url) => url.searchParams.set('iss', 'https://elsewhere.example'), (url) => url.searchParams.delete('iss')]) {
  const forged = new URL(answer.address)
  change(forged)
  assert.throws(() => oauth.validateAuthResponse(as, client, forged, answer.state), { code: oauth.INVALID_RESPONSE })
}
assert.throws(() => oauth.validateAuthResponse(as, client, answer.address, 'another'), { code: oauth.INVALID_RESPONSE })

// RFC 6749 §4.1.2: a replayed code ends what it gave
const { access_token } = await redeem(client, basic, answer)
await assert.rejects(redeem(client, basic, answer), understood('invalid_grant', 400))
assert.equal((await introspect(access_token)).active, false)

await assert.rejects(credentials(client, basic, { scope: 'nonsense' }), understood('invalid_scope', 400))
for (const authentication of [oauth.ClientSecretBasic('wrong'), oauth.ClientSecretPost('wrong')]) {
  await assert.rejects(credentials(client, authentication, {}), challenged)
}

/** A 401 comes with a challenge (RFC 9110 §15.5.2), which the library shows instead of the body: it names the cause, too. */
function challenged(error) {
  assert.ok(error instanceof oauth.WWWAuthenticateChallengeError, String(error))
  const [{ scheme, parameters }] = error.cause
  assert.equal(scheme, 'basic')
  assert.equal(parameters.error, 'invalid_client')
  assert.ok(parameters.error_description.length > 0)
  return true
}

console.log('All of it was asserted.')
process.exit()

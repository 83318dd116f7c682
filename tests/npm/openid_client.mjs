// openid-client, unchanged.
import assert from 'node:assert/strict'
import readline from 'node:readline'
import * as client from 'openid-client'

const { ISSUER, REDIRECT_URI, CLIENT_ID, CLIENT_SECRET, PUBLIC_CLIENT_ID } = process.env
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]()

// documented: for development without TLS
const options = { algorithm: 'oauth2', execute: [client.allowInsecureRequests] }
const discover = (id, authentication) => client.discovery(new URL(ISSUER), id, undefined, authentication, options)

async function ask(config, scope, word = 'Open') {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedState = client.randomState()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT_URI,
    scope,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
  })
  console.log(word, url.href)
  const { value } = await lines.next()
  return [new URL(value), { pkceCodeVerifier, expectedState }]
}

async function whoami(config, token) {
  const response = await client.fetchProtectedResource(config, token, new URL('/v1/whoami', ISSUER), 'GET')
  return (await response.json()).credential
}

async function introspect(token) {
  const { RESOURCE_SERVER_ID, RESOURCE_SERVER_SECRET } = process.env
  const config = await discover(RESOURCE_SERVER_ID, client.ClientSecretBasic(RESOURCE_SERVER_SECRET))
  return client.tokenIntrospection(config, token)
}

async function codeFlow(config) {
  const tokens = await client.authorizationCodeGrant(config, ...(await ask(config, 'read write')))
  assert.equal(tokens.scope, 'read write')
  assert.equal(tokens.expires_in, 900)
  assert.equal((await whoami(config, tokens.access_token)).client_id, config.clientMetadata().client_id)
  assert.equal((await introspect(tokens.access_token)).active, true)
  return tokens
}

async function refreshAndRevocation(config, tokens) {
  const first = await client.refreshTokenGrant(config, tokens.refresh_token)
  const second = await client.refreshTokenGrant(config, first.refresh_token)
  // RFC 9700 §4.14: rotated each time
  assert.equal(new Set([tokens, first, second].map((each) => each.refresh_token)).size, 3)
  const narrow = await client.refreshTokenGrant(config, second.refresh_token, { scope: 'read' })
  assert.equal(narrow.scope, 'read')
  assert.equal((await whoami(config, narrow.access_token)).scope, 'read')
  await client.tokenRevocation(config, narrow.refresh_token, { token_type_hint: 'refresh_token' })
  assert.equal((await introspect(narrow.access_token)).active, false)
  await assert.rejects(client.refreshTokenGrant(config, narrow.refresh_token), understood('invalid_grant', 400))
  await assert.rejects(whoami(config, narrow.access_token), (error) => {
    assert.ok(error instanceof client.WWWAuthenticateChallengeError)
    assert.equal(error.cause[0].parameters.error, 'invalid_token')
    return true
  })
}

/** The library tells our error and its description. */
function understood(code, status) {
  return (error) => {
    assert.ok(error instanceof client.ResponseBodyError, String(error))
    assert.equal(error.error, code)
    assert.equal(error.status, status)
    assert.ok(error.error_description.length > 0)
    return true
  }
}

const basic = await discover(CLIENT_ID, client.ClientSecretBasic(CLIENT_SECRET))
assert.equal(basic.serverMetadata().supportsPKCE(), true)
await refreshAndRevocation(basic, await codeFlow(basic))

const nobody = await discover(PUBLIC_CLIENT_ID, client.None())
await refreshAndRevocation(nobody, await codeFlow(nobody))

for (const config of [basic, await discover(CLIENT_ID, client.ClientSecretPost(CLIENT_SECRET))]) {
  const { access_token, refresh_token } = await client.clientCredentialsGrant(config, { scope: 'read' })
  assert.equal(refresh_token, undefined)
  assert.equal((await introspect(access_token)).scope, 'read')
  await client.tokenRevocation(config, access_token)
  assert.equal((await introspect(access_token)).active, false)
}

// a person who refuses
const [denied, checks] = await ask(basic, 'read', 'Refuse')
await assert.rejects(client.authorizationCodeGrant(basic, denied, checks), (error) => {
  assert.ok(error instanceof client.AuthorizationResponseError, String(error))
  assert.equal(error.error, 'access_denied')
  assert.ok(error.error_description.length > 0)
  return true
})

// RFC 9207: an answer of another issuer, or of none, is not taken
const [address, expected] = await ask(basic, 'read')
for (const change of [(url) => url.searchParams.set('iss', 'https://elsewhere.example'), (url) => url.searchParams.delete('iss')]) {
  const forged = new URL(address)
  change(forged)
  await assert.rejects(client.authorizationCodeGrant(basic, forged, expected), { code: 'OAUTH_INVALID_RESPONSE' })
}
await assert.rejects(client.authorizationCodeGrant(basic, address, { ...expected, expectedState: 'another' }), { code: 'OAUTH_INVALID_RESPONSE' })

// RFC 6749 §4.1.2: a replayed code ends what it gave
const { access_token } = await client.authorizationCodeGrant(basic, address, expected)
await assert.rejects(client.authorizationCodeGrant(basic, address, expected), understood('invalid_grant', 400))
assert.equal((await introspect(access_token)).active, false)

await assert.rejects(client.clientCredentialsGrant(basic, { scope: 'nonsense' }), understood('invalid_scope', 400))
for (const authentication of [client.ClientSecretBasic('wrong'), client.ClientSecretPost('wrong')]) {
  await assert.rejects(client.clientCredentialsGrant(await discover(CLIENT_ID, authentication)), challenged)
}

/** A 401 comes with a challenge (RFC 9110 §15.5.2), which the library shows instead of the body: it names the cause, too. */
function challenged(error) {
  assert.ok(error instanceof client.WWWAuthenticateChallengeError, String(error))
  const [{ scheme, parameters }] = error.cause
  assert.equal(scheme, 'basic')
  assert.equal(parameters.error, 'invalid_client')
  assert.ok(parameters.error_description.length > 0)
  return true
}

console.log('All of it was asserted.')
process.exit()

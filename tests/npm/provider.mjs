// A real OpenID Connect provider (oidc-provider) on a loopback port, for tests/it/openid/. It prints its issuer as one line of
// JSON, and ends when its standard input does. Nobody types anything at it: the test says beforehand who signs in.
//
//   POST /test/clients  {"redirect_uri"}                         registers the clients `countersign` and `acme`
//   POST /test/person   {"sub", "email", "email_verified", ...}  from here on this person signs in and agrees; null cancels
//
// COUNTERSIGN_TEST_NPM names the folder that holds `node_modules`.
import http from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const library = path.join(process.env.COUNTERSIGN_TEST_NPM, 'node_modules/oidc-provider/lib/index.js');
// that it keeps everything in memory and signs with keys that everybody knows is what is wanted here
console.info = console.warn = () => {};
const { default: Provider } = await import(pathToFileURL(library).href);

const people = new Map();
let current = null;
let provider;

const server = http.createServer(async (request, response) => {
  if (request.url.startsWith('/test/')) {
    const parts = [];
    for await (const part of request) parts.push(part);
    control(request.url, JSON.parse(Buffer.concat(parts).toString()));
    response.writeHead(204).end();
  } else if (request.url.startsWith('/interaction/')) {
    const answer = current === null ? { error: 'access_denied' } : { login: { accountId: current } };
    await provider.interactionFinished(request, response, answer, { mergeWithLastSubmission: false });
  } else {
    provider.callback()(request, response);
  }
});

function control(url, body) {
  if (url === '/test/clients') {
    provider = create(body.redirect_uri);
  } else if (body === null) {
    current = null;
  } else {
    people.set(body.sub, body);
    current = body.sub;
  }
}

function create(redirectUri) {
  const client = (id) => ({ client_id: id, client_secret: `secret-of-${id}-0123456789`, redirect_uris: [redirectUri] });
  return new Provider(issuer, {
    clients: [client('countersign'), client('acme')],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    findAccount: (_, sub) => people.has(sub) && { accountId: sub, claims: async () => people.get(sub) },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    cookies: { keys: ['only for tests'] },
    // everybody agrees to everything
    async loadExistingGrant(context) {
      const { session, client: asking, provider: own } = context.oidc;
      const grant = new own.Grant({ accountId: session.accountId, clientId: asking.clientId });
      grant.addOIDCScope('openid email profile');
      await grant.save();
      return grant;
    },
  });
}

let issuer;
server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  console.log(JSON.stringify({ issuer }));
});
process.stdin.on('end', () => process.exit(0)).resume();

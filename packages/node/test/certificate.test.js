// Whose certificate it was: the subject of one that the server has verified, and of no other.

import assert from 'node:assert/strict';
import { createServer, request } from 'node:https';
import { once } from 'node:events';
import { test } from 'node:test';

import Database from 'better-sqlite3';
import { AuthError, createScim } from 'scimwell';
import { sqliteStorage } from 'scimwell/sqlite';

// Made for this test alone, and good until 2120: `openssl ca -selfsign` with the subjects CN=localhost; C=DE, O="Acme, Inc.", CN=okta;
// and CN=okta.
const SERVER = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBYTCCAQegAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLGE3qDKq+oJQbtX
8MtmtubdcLsf9e9jyJiqfCvc6kez7aKz7NdjNowjV0Haxu5PfLVbMz2cv09uM2h3
kyBhVZ2jSDBGMAkGA1UdEwQCMAAwGgYDVR0RBBMwEYIJbG9jYWxob3N0hwR/AAAB
MB0GA1UdDgQWBBQcLsuhkZJMrlAfVsRTeFAvavN21jAKBggqhkjOPQQDAgNIADBF
AiEAngTnM+BP9AwcAf2KRa65iH6ucPZleKbOzOhlsYRgL8ACIGCbS63NwZ7AK+M6
8K961DEqpNTKoAHV2XfE2K3dHYm+
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6uEqfERY2uRAuQ+w
99jBe0IHsCGPuGzwNwxpx3ajlA+hRANCAASxhN6gyqvqCUG7V/DLZrbm3XC7H/Xv
Y8iYqnwr3OpHs+2is+zXYzaMI1dB2sbuT3y1WzM9nL9PbjNod5MgYVWd
-----END PRIVATE KEY-----`,
};
const CLIENT = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBfjCCASWgAwIBAgIBATAKBggqhkjOPQQDAjAxMQswCQYDVQQGEwJERTETMBEG
A1UECgwKQWNtZSwgSW5jLjENMAsGA1UEAwwEb2t0YTAgFw0yMDAxMDEwMDAwMDBa
GA8yMTIwMDEwMTAwMDAwMFowMTELMAkGA1UEBhMCREUxEzARBgNVBAoMCkFjbWUs
IEluYy4xDTALBgNVBAMMBG9rdGEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQh
Ti9nch8Hh4P15aFhnbvpc3lIkiVI1AlregSfCk8IT6gFW7iH+YMx0bOe01kh2t7z
74wGv+TXzziEZ/eE/WP6oywwKjAJBgNVHRMEAjAAMB0GA1UdDgQWBBTBzJVgK8Lu
mWeSR3yzG5WGKJs8uDAKBggqhkjOPQQDAgNHADBEAiBUJQvLLPC46VTpA9RwqclU
gDTh99mxEG8/QJisPf7UHQIgTg7OYzDAL+7mc5RiVNXZxhmmTCj/HNVGAxLCuw04
Xro=
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2B89qkvo6ini4EPI
fITMwSrh8g3kgsWoe6QT9Xj/pOWhRANCAAQhTi9nch8Hh4P15aFhnbvpc3lIkiVI
1AlregSfCk8IT6gFW7iH+YMx0bOe01kh2t7z74wGv+TXzziEZ/eE/WP6
-----END PRIVATE KEY-----`,
};
const STRANGER = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBOTCB4aADAgECAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBG9rdGEwIBcN
MjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMA8xDTALBgNVBAMMBG9rdGEw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQTHV11CscxrxJ9P5jKAssgg7maX+1d
+HF7YdHYfvJm9RffJ2mmBXvRjSO+8IjFaYrTHEqmdyIBDY19cqpA11SnoywwKjAJ
BgNVHRMEAjAAMB0GA1UdDgQWBBRhFm3VZrH+LCxKFy5rGDNHTuF/IDAKBggqhkjO
PQQDAgNHADBEAiAt1Mg9yTedTTUE/ffdb9OSS7LMwDzhqglY38RmNdA82QIgeQzM
fVRjXd4y/lCjn+K/oTnHaqPPwlhOPDbv1ZcV1Ew=
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgheay9cIRy1gMbmsu
07Ri/nQDfFfNn4lQS/w0m66AolahRANCAAQTHV11CscxrxJ9P5jKAssgg7maX+1d
+HF7YdHYfvJm9RffJ2mmBXvRjSO+8IjFaYrTHEqmdyIBDY19cqpA11Sn
-----END PRIVATE KEY-----`,
};

/** Subjects that `authenticate` got for one request each, with these options of the server. */
async function subjects(t, options, clients) {
  const seen = [];
  const scim = createScim({
    storage: sqliteStorage(new Database(':memory:')),
    authenticate({ clientCertificateSubject }) {
      seen.push(clientCertificateSubject);
      throw new AuthError('unauthenticated');
    },
  });
  const server = createServer({ ...SERVER, ...options }, scim).listen(0, '127.0.0.1');
  t.after(() => {
    server.close();
    return scim.close();
  });
  await once(server, 'listening');
  for (const client of clients) {
    const { port } = server.address();
    const sent = request({ host: '127.0.0.1', port, path: '/scim/v2/Users', ca: SERVER.cert, agent: false, ...client }).end();
    const [answer] = await once(sent, 'response');
    assert.equal(answer.statusCode, 401);
    answer.resume();
  }
  return seen;
}

test('the subject of a verified client certificate reaches authenticate, as RFC 4514 writes it', async (t) => {
  const options = { requestCert: true, rejectUnauthorized: false, ca: CLIENT.cert };
  assert.deepEqual(await subjects(t, options, [CLIENT]), ['CN=okta,O=Acme\\, Inc.,C=DE']);
});

test('a certificate that nobody vouches for is none, nor is one that was not asked for', async (t) => {
  const options = { requestCert: true, rejectUnauthorized: false, ca: CLIENT.cert };
  assert.deepEqual(await subjects(t, options, [STRANGER, {}, CLIENT, STRANGER]).then((seen) => seen.map(Boolean)), [
    false,
    false,
    true,
    false,
  ]);
  assert.deepEqual(await subjects(t, {}, [CLIENT]), [undefined]);
});

/**
 * The certificate of our own PostgreSQL, for other nodes. It is signed by itself and pinned by them (they have it from the
 * invitation), so its names and dates say nothing; it never ends, because nobody would renew it. X.509 v3, RFC 5280 §4.1;
 * DER, ITU-T X.690.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

export interface ServerCertificate {
  /** PEM, both. */
  readonly certificate: string;
  readonly privateKey: string;
}

const tags = { integer: 0x02, bits: 0x03, octets: 0x04, oid: 0x06, utf8: 0x0c, sequence: 0x30, set: 0x31 } as const;
const generalizedTime = 0x18;

/** A new key pair (P-256) and its certificate, for whatever name. */
export function makeCertificate(name: string): ServerCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const body = bodyOf(name, publicKey);
  const signature = sign('sha256', body, { key: privateKey, dsaEncoding: 'der' });
  const whole = der(tags.sequence, body, ecdsaWithSha256, der(tags.bits, Buffer.from([0]), signature));
  const lines = whole.toString('base64').replace(/(.{64})(?=.)/g, '$1\n');
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    privateKey: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  };
}

/** TBSCertificate. */
function bodyOf(name: string, publicKey: KeyObject): Buffer {
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const called = der(
    tags.sequence,
    der(tags.set, der(tags.sequence, oid(0x55, 4, 3), der(tags.utf8, Buffer.from(name)))),
  );
  const serial = randomBytes(16);
  serial[0] = 0x40 | ((serial[0] ?? 0) & 0x3f);
  const forEver = der(
    tags.sequence,
    der(generalizedTime, Buffer.from('20200101000000Z')),
    der(generalizedTime, Buffer.from('99991231235959Z')),
  );
  return der(
    tags.sequence,
    // [0] version: v3
    der(0xa0, der(tags.integer, Buffer.from([2]))),
    der(tags.integer, serial),
    ecdsaWithSha256,
    called,
    forEver,
    called,
    spki,
    // [3] extensions: it stands for itself, so it must be an authority, and the only one below itself.
    der(0xa3, der(tags.sequence, isAuthority(), keyId(spki))),
  );
}

/** basicConstraints 2.5.29.19, critical: cA true, pathLen 0. */
function isAuthority(): Buffer {
  const yes = Buffer.from([0x01, 0x01, 0xff]);
  const inside = der(tags.sequence, yes, der(tags.integer, Buffer.from([0])));
  return der(tags.sequence, oid(0x55, 29, 19), yes, der(tags.octets, inside));
}

/** subjectKeyIdentifier 2.5.29.14. */
function keyId(spki: Buffer): Buffer {
  const id = createHash('sha256').update(spki).digest().subarray(0, 20);
  return der(tags.sequence, oid(0x55, 29, 14), der(tags.octets, der(tags.octets, id)));
}

/** 1.2.840.10045.4.3.2 */
const ecdsaWithSha256 = der(tags.sequence, der(tags.oid, Buffer.from('2a8648ce3d040302', 'hex')));

function oid(...bytes: readonly number[]): Buffer {
  return der(tags.oid, Buffer.from(bytes));
}

/** Tag, length, contents (X.690 §8.1, definite form). */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const inside = Buffer.concat(parts);
  const { length } = inside;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), inside]);
}

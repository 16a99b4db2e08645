/** Self-signed certificates for these tests, made of DER by hand: nothing but Node is needed, and every part is known. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { utf8 } from '../../../src/base/bytes.ts';
import { der, derInteger, tag } from '../../../src/protocol/wire/der.ts';

const sha256 = Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b);
const sha384 = Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c);
const commonName = Uint8Array.of(0x55, 0x04, 0x03);

export interface TestCertificate {
  readonly der: Uint8Array;
  /** PEM of both, for TLS. */
  readonly cert: string;
  readonly key: string;
  /** PKCS#1. */
  readonly publicKey: Uint8Array;
}

export function testCertificate(name: string, hash: 'sha256' | 'sha384' = 'sha256'): TestCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const algorithm = der(tag.sequence, der(tag.oid, hash === 'sha256' ? sha256 : sha384), der(0x05));
  const who = der(tag.sequence, der(0x31, der(tag.sequence, der(tag.oid, commonName), der(tag.utf8, utf8(name)))));
  const time = (text: string): Uint8Array => der(0x18, utf8(text));
  const body = der(
    tag.sequence,
    der(tag.context(0), derInteger(2)),
    derInteger(1),
    algorithm,
    who,
    der(tag.sequence, time('20200101000000Z'), time('20990101000000Z')),
    who,
    new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
  );
  const signature = sign(hash, body, privateKey);
  const whole = der(tag.sequence, body, algorithm, der(tag.bits, Uint8Array.of(0), new Uint8Array(signature)));
  const lines = Buffer.from(whole)
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n');
  return {
    der: whole,
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    publicKey: new Uint8Array(publicKey.export({ type: 'pkcs1', format: 'der' })),
  };
}

/** Certificates of targets: pinned like host keys, never trusted unseen where the password would follow in clear. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { X509Certificate } from 'node:crypto';
import { inTransaction } from '../../src/db/db.ts';
import { isVouchedFor } from '../../src/estate/certificates.ts';
import {
  declareTargets,
  hostKeysOf,
  meetCertificate,
  parseCertificatePin,
  presentedCertificate,
  recordMismatch,
  removeHostKey,
  type ServiceDeclaration,
  type ServiceId,
  targetNamed,
  trustCertificate,
} from '../../src/estate/estate.ts';
import { audited, operator } from '../identity/people.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-certificates-'));
let room: TestDatabase;
let count = 0;
const at = (name: string): string => join(folder, name);
const openssl = (...argv: string[]): Buffer =>
  execFileSync('openssl', argv, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
const der = (name: string): Uint8Array => new Uint8Array(new X509Certificate(readFileSync(at(`${name}.pem`))).raw);

function selfSigned(name: string, ...more: string[]): void {
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
    '-subj',
    `/CN=${name}`,
    '-days',
    '30',
    ...more,
  );
}

function issued(name: string, by: string, extensions: string): void {
  openssl(
    'req',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
    '-subj',
    `/CN=${name}`,
  );
  writeFileSync(at(`${name}.ext`), extensions);
  openssl(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    '-CA',
    `${by}.pem`,
    '-CAkey',
    `${by}.key`,
    '-CAcreateserial',
    '-days',
    '20',
    '-extfile',
    `${name}.ext`,
    '-out',
    `${name}.pem`,
  );
}

beforeAll(async () => {
  room = await testDatabase();
  for (const name of ['first', 'second', 'third']) selfSigned(name);
  selfSigned('root');
  selfSigned('other-root');
  issued('between', 'root', 'basicConstraints=critical,CA:TRUE\n');
  issued('leaf', 'between', 'subjectAltName=DNS:win-01.corp.example,IP:192.0.2.3\n');
  issued('no-authority', 'root', 'basicConstraints=critical,CA:FALSE\n');
  issued('of-no-authority', 'no-authority', 'subjectAltName=DNS:win-01.corp.example\n');
}, 60_000);
afterAll(async () => {
  await room[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function service(declared: Partial<ServiceDeclaration> = {}): Promise<ServiceId> {
  const name = `win-${++count}`;
  return await again(name, declared);
}

async function again(name: string, declared: Partial<ServiceDeclaration>): Promise<ServiceId> {
  const services = [{ name: 'rdp', protocol: 'rdp' as const, port: 3389, ...declared }];
  const target = { name, platform: 'windows' as const, address: 'win-01.corp.example', services };
  await inTransaction(room.db, (tx) => declareTargets(tx, [target], { actor: operator, prune: false }));
  const found = (await targetNamed(room.db, name))?.services[0];
  if (found === undefined) throw new Error();
  return found.id;
}

const meet = async (id: ServiceId, ...names: string[]) =>
  await meetCertificate(room.db, id, names.map(der), Date.now(), operator);

describe('a certificate', () => {
  test('is written as openssl prints it, in any case and with colons or without', () => {
    const printed =
      openssl('x509', '-in', 'first.pem', '-noout', '-fingerprint', '-sha256').toString().split('=')[1]?.trim() ?? '';
    const { fingerprint, blob } = presentedCertificate(der('first'));
    expect(fingerprint).toBe(printed);
    for (const words of [
      printed,
      printed.toLowerCase(),
      printed.replaceAll(':', ''),
      `SHA256:${printed}`,
      ` ${printed} `,
    ])
      expect(parseCertificatePin(words)).toEqual(blob);
    for (const words of ['', 'SHA256:', printed.slice(3), `${printed}:00`, printed.replace(/^../, 'zz')])
      expect(parseCertificatePin(words)).toBeUndefined();
  });

  test('that is declared or trusted by an operator is trusted; any other has changed', async () => {
    const id = await service({ certificates: [presentedCertificate(der('first')).blob] });
    expect(await meet(id, 'first')).toMatchObject({ verdict: 'trusted' });
    const check = await meet(id, 'second');
    expect(check).toMatchObject({ verdict: 'changed', trusted: [presentedCertificate(der('first')).fingerprint] });
    await recordMismatch(room.db, id, check, operator);
    expect((await audited(room.db, 'estate.hostkey.mismatched')).at(-1)?.details).toMatchObject({
      presented: presentedCertificate(der('second')).fingerprint,
    });
    expect(await trustCertificate(room.db, id, presentedCertificate(der('second')).blob, operator)).toBe(true);
    expect(await trustCertificate(room.db, id, presentedCertificate(der('second')).blob, operator)).toBe(false);
    expect(await meet(id, 'second')).toMatchObject({ verdict: 'trusted' });
    expect((await audited(room.db, 'estate.hostkey.trusted')).at(-1)?.details).toMatchObject({
      algorithm: 'x509-sha256',
      how: 'operator',
    });
  });

  test('that nobody trusted is unknown under strict, and remembered as seen', async () => {
    const id = await service();
    expect(await meet(id, 'first')).toMatchObject({ verdict: 'unknown' });
    expect(await hostKeysOf(room.db, id)).toMatchObject([{ type: 'x509-sha256', state: 'seen' }]);
  });

  test('becomes trusted by first use where NLA proves the target, once, and never again after it was removed', async () => {
    const id = await service({ hostKeyPolicy: 'first-use' });
    expect(await meet(id, 'first')).toMatchObject({ verdict: 'trusted' });
    expect(await meet(id, 'second')).toMatchObject({ verdict: 'changed' });
    await removeHostKey(room.db, id, presentedCertificate(der('first')).fingerprint, 'test', operator);
    expect(await meet(id, 'first')).toMatchObject({ verdict: 'unknown' });
    expect(await meet(id, 'third')).toMatchObject({ verdict: 'unknown' });
  });

  test('of two that race for first use one wins', async () => {
    const id = await service({ hostKeyPolicy: 'first-use' });
    const verdicts = await Promise.all([meet(id, 'first'), meet(id, 'second'), meet(id, 'third')]);
    expect(verdicts.filter(({ verdict }) => verdict === 'trusted')).toHaveLength(1);
  });

  test('is never trusted by first use where TLS is all there is, not even if it was before', async () => {
    const tls = await service({ hostKeyPolicy: 'first-use', settings: { security: 'tls' } });
    expect(await meet(tls, 'first')).toMatchObject({ verdict: 'unknown' });
    const name = `win-${++count}`;
    const id = await again(name, { hostKeyPolicy: 'first-use' });
    expect(await meet(id, 'first')).toMatchObject({ verdict: 'trusted' });
    await again(name, { settings: { security: 'tls' } });
    expect(await meet(id, 'first')).toMatchObject({ verdict: 'unknown' });
  });
});

describe('an authority of the service', () => {
  const ca = (name = 'root'): string => readFileSync(at(`${name}.pem`), 'utf8');
  // Later than the certificates, which are made before the tests and after this line.
  const now = Date.now() + 3_600_000;

  test('vouches for a chain that leads to it, by name or address', async () => {
    expect(isVouchedFor([der('leaf'), der('between')], ca(), 'win-01.corp.example', now)).toBe(true);
    expect(isVouchedFor([der('leaf'), der('between')], ca(), '192.0.2.3', now)).toBe(true);
    const id = await service({ settings: { tls: { ca: ca() } } });
    expect(await meet(id, 'leaf', 'between')).toMatchObject({ verdict: 'trusted' });
    expect(await hostKeysOf(room.db, id)).toEqual([]);
  });

  test.each<[string, () => boolean]>([
    ['another name', () => isVouchedFor([der('leaf'), der('between')], ca(), 'win-02.corp.example', now)],
    ['a gap in the chain', () => isVouchedFor([der('leaf')], ca(), 'win-01.corp.example', now)],
    ['another root', () => isVouchedFor([der('leaf'), der('between')], ca('other-root'), 'win-01.corp.example', now)],
    [
      'an issuer that is no authority',
      () => isVouchedFor([der('of-no-authority'), der('no-authority')], ca(), 'win-01.corp.example', now),
    ],
    [
      'a time after its end',
      () => isVouchedFor([der('leaf'), der('between')], ca(), 'win-01.corp.example', now + 25 * 86_400_000),
    ],
    ['bytes that are no certificate', () => isVouchedFor([new Uint8Array(100)], ca(), 'win-01.corp.example', now)],
    [
      'an authority that is none',
      () => isVouchedFor([der('leaf'), der('between')], 'nothing', 'win-01.corp.example', now),
    ],
  ])('does not vouch for %s', (_, vouched) => {
    expect(vouched()).toBe(false);
  });

  test('excludes first use: what it does not vouch for is unknown', async () => {
    const id = await service({ hostKeyPolicy: 'first-use', settings: { tls: { ca: ca('other-root') } } });
    expect(await meet(id, 'leaf', 'between')).toMatchObject({ verdict: 'unknown' });
  });
});

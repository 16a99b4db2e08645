/** The gate's own authority: what it makes is checked by others, OpenSSL and TLS clients, and lasts as long as it says. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { silent } from '../../src/base/log.ts';
import { isRefusal } from '../../src/base/errors.ts';
import {
  type Authority,
  type AuthoritySettings,
  type GateCertificate,
  openAuthority,
} from '../../src/keeper/authority.ts';
import { rdpLines, signedPart, signedRdpFile } from '../../src/keeper/rdp-file.ts';
import { type People, people } from '../identity/people.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-authority-'));
const at = (name: string): string => join(folder, name);
const day = 86_400_000;
const settings = { names: ['gate.corp.example'], address: '127.0.0.1' };
let room: People;
let start: number;

beforeAll(async () => {
  room = await people();
  start = room.clock.now();
});
beforeEach(() => room.clock.set(start));
afterAll(async () => {
  await room[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const open = (more: Partial<AuthoritySettings> = {}): Authority =>
  openAuthority({ db: room.db, vault: room.vault, clock: room.clock, log: silent }, { ...settings, ...more });

async function shown(authority = open()): Promise<GateCertificate> {
  const certificate = await authority.gateCertificate();
  if (isRefusal(certificate)) throw new Error(certificate.reason);
  return certificate;
}

const leafOf = ({ chain }: GateCertificate): X509Certificate => new X509Certificate(Buffer.from(chain));

function openssl(...argv: string[]): string {
  return execFileSync('openssl', argv, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

describe('the certificate of the gate', () => {
  test('is taken by a TLS client that knows nothing but the root, by name and by address', async () => {
    const authority = open();
    const { pem } = await authority.root();
    const { chain, key } = await shown(authority);
    const server = createServer({ cert: Buffer.from(chain), key: Buffer.from(key) }, (socket) => socket.end());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    for (const servername of ['gate.corp.example', '']) {
      const named = servername === '' ? {} : { servername };
      const client = connect({ host: '127.0.0.1', port, ca: pem, ...named });
      await once(client, 'secureConnect');
      expect(client.authorized).toBe(true);
      client.destroy();
    }
    const stranger = connect({ host: '127.0.0.1', port, ca: pem, servername: 'other.corp.example' });
    const [error] = (await once(stranger, 'error')) as [Error & { code: string }];
    expect(error.code).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
    server.close();
  });

  test('is RSA of 2048 bits for old clients, under a root of 3072, and OpenSSL finds nothing strange in them', async () => {
    const authority = open({ names: ['gate.corp.example', '192.0.2.1', '2001:db8::1'] });
    const root = await authority.root();
    const leaf = leafOf(await shown(authority));
    writeFileSync(at('root.pem'), root.pem);
    writeFileSync(at('leaf.pem'), leaf.toString());
    expect(openssl('verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', 'root.pem', 'leaf.pem')).toContain(
      'leaf.pem: OK',
    );
    expect(leaf.publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048);
    expect(new X509Certificate(root.pem).publicKey.asymmetricKeyDetails?.modulusLength).toBe(3072);
    expect(leaf.subjectAltName).toBe(
      'DNS:gate.corp.example, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1, IP Address:127.0.0.1',
    );
    expect(leaf.ca).toBe(false);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    const printed = openssl('x509', '-in', 'root.pem', '-noout', '-fingerprint', '-sha256').trim();
    expect(printed.endsWith(root.fingerprint)).toBe(true);
  });

  test('stays the same over starts, and is made anew with the same key before it expires', async () => {
    const before = leafOf(await shown());
    expect(leafOf(await shown()).fingerprint256).toBe(before.fingerprint256);
    room.clock.set(start + 330 * day);
    expect(leafOf(await shown()).fingerprint256).toBe(before.fingerprint256);
    room.clock.set(start + 338 * day);
    const renewed = leafOf(await shown());
    expect(renewed.fingerprint256).not.toBe(before.fingerprint256);
    expect(renewed.validToDate.getTime()).toBeGreaterThan(start + 700 * day);
    expect(renewed.publicKey.equals(before.publicKey)).toBe(true);
    await room.db.deleteFrom('gate_certificate').where('name', '=', 'rdp').execute();
  });

  test('is made anew when the gate has other names', async () => {
    const before = leafOf(await shown());
    const renamed = leafOf(await shown(open({ names: ['door.corp.example'] })));
    expect(renamed.checkHost('door.corp.example')).toBe('door.corp.example');
    expect(renamed.checkHost('gate.corp.example')).toBeUndefined();
    expect(renamed.fingerprint256).not.toBe(before.fingerprint256);
  });

  test('names the addresses of this machine where the gate listens on all of them', async () => {
    const leaf = leafOf(await shown(open({ address: '0.0.0.0' })));
    expect(leaf.checkIP('127.0.0.1')).toBe('127.0.0.1');
  });

  test('may be one that was given, and is refused if its files do not belong together', async () => {
    const made = await shown();
    writeFileSync(at('given.pem'), made.chain);
    writeFileSync(at('given.key'), made.key);
    const given = await shown(open({ certificate: at('given.pem'), key: at('given.key') }));
    expect(Buffer.from(given.chain).equals(Buffer.from(made.chain))).toBe(true);
    const missing = open({ certificate: at('given.pem'), key: at('no-such-file') });
    expect(await missing.gateCertificate()).toMatchObject({ code: 'keeper.certificate-unusable' });
    execFileSync('openssl', ['genrsa', '-out', at('other.key'), '2048'], { stdio: 'ignore' });
    const wrong = open({ certificate: at('given.pem'), key: at('other.key') });
    expect(await wrong.gateCertificate()).toMatchObject({ code: 'keeper.certificate-unusable' });
  });

  test('its keys are sealed in the database', async () => {
    const { key } = await shown();
    const rows = await room.db.selectFrom('vault_key').selectAll().where('name', 'like', 'gate-%').execute();
    expect(rows.map(({ name }) => name).sort()).toEqual(['gate-authority', 'gate-tls']);
    const der = Buffer.from(
      Buffer.from(key)
        .toString()
        .replace(/-----[^-]+-----|\s/g, ''),
      'base64',
    );
    for (const row of rows) expect(Buffer.from(row.sealed).indexOf(Buffer.from(der.subarray(64, 128)))).toBe(-1);
  });
});

describe('a signed .rdp file', () => {
  const wish = {
    address: 'gate.corp.example:3389',
    user: 'alice%admin%win-01',
    subprotocols: ['rdp', 'clipboard-up'],
    depth: 24,
  };

  test('has a signature that OpenSSL verifies over the lines that signscope names', async () => {
    const authority = open();
    const file = Buffer.from(await signedRdpFile(wish, (bytes) => authority.signFile(bytes)));
    expect(file.subarray(0, 2)).toEqual(Buffer.from([0xff, 0xfe]));
    const lines = file.subarray(2).toString('utf16le').split('\r\n');
    const value = (name: string): string =>
      lines.find((line) => line.startsWith(`${name}:s:`))?.slice(name.length + 3) ?? '';
    const blob = Buffer.from(value('signature'), 'base64');
    expect([blob.readUInt32LE(0), blob.readUInt32LE(4), blob.readUInt32LE(8)]).toEqual([
      0x00010001,
      1,
      blob.length - 12,
    ]);
    // What a reader does who knows the file alone: the lines of the scope, by their names, in its order.
    const scope = value('signscope')
      .split(',')
      .map((name) => name.toLowerCase());
    const covered = scope.map((name) => lines.find((line) => line.toLowerCase().startsWith(`${name}:`)) ?? 'missing');
    expect(covered).not.toContain('missing');
    const signed = `${[...covered, `signscope:s:${value('signscope')}`].join('\r\n')}\r\n\0`;
    writeFileSync(at('content'), Buffer.from(signed, 'utf16le'));
    writeFileSync(at('signature.der'), blob.subarray(12));
    writeFileSync(at('root.pem'), (await authority.root()).pem);
    const verify = (content: string): string =>
      openssl(
        'cms',
        '-verify',
        '-binary',
        '-inform',
        'DER',
        '-in',
        'signature.der',
        '-content',
        content,
        '-CAfile',
        'root.pem',
        '-purpose',
        'any',
        '-out',
        'verified',
      );
    verify('content');
    expect(readFileSync(at('verified'))).toEqual(readFileSync(at('content')));
    writeFileSync(at('altered'), Buffer.from(signed.replace('gate.corp', 'evil.corp'), 'utf16le'));
    expect(() => verify('altered')).toThrow(/verif|digest|signature/i);
    expect(openssl('cms', '-cmsout', '-print', '-inform', 'DER', '-in', 'signature.der')).not.toContain(
      'signedAttrs:\n        object',
    );
  });

  test('names the address twice, so that a signed one cannot be led elsewhere', () => {
    const { text } = signedPart(rdpLines(wish));
    expect(text).toContain(
      'full address:s:gate.corp.example:3389\r\nalternate full address:s:gate.corp.example:3389\r\n',
    );
    expect(text).toMatch(/signscope:s:Full Address,Alternate Full Address,/);
  });

  test('turns on what the grants allow, and nothing else', () => {
    const lines = rdpLines(wish);
    expect(lines).toContain('redirectclipboard:i:1');
    expect(lines).toContain('redirectdrives:i:0');
    expect(lines).toContain('audiomode:i:2');
    expect(rdpLines({ ...wish, subprotocols: ['rdp', 'drives-read', 'audio-out'] })).toEqual(
      expect.arrayContaining(['redirectclipboard:i:0', 'redirectdrives:i:1', 'audiomode:i:0']),
    );
  });

  test.each(['alice\r\nfull address:s:evil', 'alice\u0000', 'alice\u2028'])(
    'no name begins another line: %j',
    (user) => {
      expect(() => rdpLines({ ...wish, user })).toThrow(/control characters/);
    },
  );

  test('the signer is not the authority itself, and both stand in the file', async () => {
    const authority = open();
    const sha1 = await authority.fileSigner();
    expect(sha1).toMatch(/^[0-9A-F]{40}$/);
    const cms = await authority.signFile(new Uint8Array(10));
    writeFileSync(at('any.der'), cms);
    const certificates = openssl('cms', '-cmsout', '-print', '-inform', 'DER', '-in', 'any.der');
    expect(certificates).toContain('CN=Sallyport connections');
  });
});

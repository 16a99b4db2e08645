/**
 * Certificates of services that are spoken to over TLS, such as RDP. They are pinned like host keys, in the same table: by
 * the SHA-256 of the leaf's DER (`x509-sha256`). A service may name an authority of its own instead (`tls.ca`), because
 * Windows renews these certificates by itself.
 *
 * INVARIANT: under `security: tls` no certificate becomes trusted by first use. With NLA a stranger in the middle learns no
 * password: CredSSP binds it to the certificate and proves that the other side knows it. With TLS alone the password goes
 * in clear to whoever answers.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { Actor } from '../audit/audit.ts';
import type { Db, Tx } from '../db/db.ts';
import { EstateError } from './errors.ts';
import { type HostKeyCheck, meet, type Presented, trustPresented } from './host-keys.ts';
import type { ServiceId } from './targets.ts';

export const certificateType = 'x509-sha256';

/** What the table keeps, and the fingerprint as `openssl x509 -fingerprint -sha256` writes it. */
export function presentedCertificate(der: Uint8Array): Presented {
  return pinOf(new Uint8Array(createHash('sha256').update(der).digest()));
}

/** The digest that a person wrote: 64 hex digits in any case, with colons or without; undefined if it is none. */
export function parseCertificatePin(words: string): Uint8Array | undefined {
  const plain = words
    .trim()
    .replace(/^sha-?256[: ]/i, '')
    .replaceAll(':', '');
  return /^[0-9a-f]{64}$/i.test(plain) ? new Uint8Array(Buffer.from(plain, 'hex')) : undefined;
}

function pinOf(digest: Uint8Array): Presented {
  if (digest.length !== 32) throw new EstateError('estate.certificate-malformed', `${digest.length} bytes`);
  const fingerprint = Buffer.from(digest).toString('hex').toUpperCase().match(/../g)?.join(':') ?? '';
  return { type: certificateType, blob: digest, fingerprint };
}

/** Trusts the certificate of that SHA-256 for a service. Returns whether it was not trusted before. */
export async function trustCertificate(
  db: Db | Tx,
  service: ServiceId,
  digest: Uint8Array,
  actor: Actor,
): Promise<boolean> {
  return await trustPresented(db, service, pinOf(digest), actor);
}

/**
 * What the chain that a service shows (its own certificate first, DER) means at `now` (ms), and acts by its policy like
 * `meetHostKey`. The caller audits what is not trusted with `recordMismatch`.
 */
export async function meetCertificate(
  db: Db | Tx,
  service: ServiceId,
  chain: readonly Uint8Array[],
  now: number,
  actor: Actor,
): Promise<HostKeyCheck> {
  const [leaf] = chain;
  if (leaf === undefined) throw new EstateError('estate.certificate-malformed', 'no certificate');
  return await meet(db, service, presentedCertificate(leaf), actor, (row) => {
    const { tls, security } = row.settings as { tls?: { ca?: string; serverName?: string }; security?: string };
    const name = tls?.serverName ?? row.address;
    return {
      vouched: tls?.ca !== undefined && isVouchedFor(chain, tls.ca, name, now),
      // What an authority is to vouch for is never learnt from a stranger.
      firstUse: security !== 'tls' && tls?.ca === undefined,
    };
  });
}

/** Whether the chain leads to one of the authorities in `pem`, is valid at `now` and made for `name`. Never throws. */
export function isVouchedFor(chain: readonly Uint8Array[], pem: string, name: string, now: number): boolean {
  try {
    const [leaf, ...between] = chain.map((der) => new X509Certificate(der));
    const anchors = (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map(
      (one) => new X509Certificate(one),
    );
    if (leaf === undefined) return false;
    if ((isIP(name) === 0 ? leaf.checkHost(name) : leaf.checkIP(name)) === undefined) return false;
    let at = leaf;
    for (let steps = 0; steps <= between.length; steps++) {
      if (!isValid(at, now)) return false;
      const issued = (by: X509Certificate): boolean => by.ca && at.checkIssued(by) && at.verify(by.publicKey);
      if (anchors.some((anchor) => isValid(anchor, now) && issued(anchor))) return true;
      const next = between.find((one) => one !== at && issued(one));
      if (next === undefined) return false;
      at = next;
    }
    return false;
  } catch {
    return false;
  }
}

function isValid(certificate: X509Certificate, now: number): boolean {
  return certificate.validFromDate.getTime() <= now && now < certificate.validToDate.getTime();
}

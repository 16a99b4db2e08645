/**
 * The gate's own certificate authority: a root that people install once, the certificate that the gate shows to clients of
 * RDP, and the one that signs `.rdp` files. Keys are made at first use and stay sealed in the vault; certificates are rows
 * and are made anew before they expire, or when the gate has other names. The keys stay, so that what pinned one holds.
 *
 * Where the configuration names files, they are shown to clients in place of our own; the authority still signs files.
 */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { createHash, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { type Refusal, refuse, wordsOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Db } from '../db/db.ts';
import type { Vault } from '../vault/vault.ts';
import { type CertificateWish, makeCertificate, signDetached } from './x509.ts';

export interface AuthoritySettings {
  /** How people write the gate. */
  readonly names: readonly string[];
  /** Where it listens. */
  readonly address: string;
  /** Files in PEM to show instead; both or neither. */
  readonly certificate?: string;
  readonly key?: string;
}

export interface GateCertificate {
  readonly chain: Uint8Array;
  readonly key: Uint8Array;
}

export interface Authority {
  /** PEM and SHA-256 of the root, for whoever is to trust it. */
  root(): Promise<{ readonly pem: string; readonly fingerprint: string; readonly validTo: Date }>;
  /** What the gate shows, as it is now. Refused with `keeper.certificate-unusable`, and logged. */
  gateCertificate(): Promise<GateCertificate | Refusal<'keeper.certificate-unusable'>>;
  /** SHA-1 of the certificate that signs files, as policies of Windows name publishers. */
  fileSigner(): Promise<string>;
  /** A detached CMS signature (DER) by the signer of files; its chain is inside. */
  signFile(content: Uint8Array): Promise<Uint8Array>;
}

const day = 86_400_000;
/** Clocks of clients go wrong by hours. */
const earlier = 2 * day;
const lives = { authority: 10 * 365 * day, rdp: 397 * day, 'rdp-file': 2 * 365 * day } as const;
/** What is left when a certificate is made anew. The authority outlives whatever it signs. */
const renewals = { authority: 3 * 365 * day, rdp: 60 * day, 'rdp-file': 180 * day } as const;
type Name = keyof typeof lives;

export function openAuthority(
  { db, vault, clock, log }: { readonly db: Db; readonly vault: Vault; readonly clock: Clock; readonly log: Log },
  settings: AuthoritySettings,
): Authority {
  /** The stored one while it is good for `altNames`, or a new one by `wish`. */
  async function certificate(
    name: Name,
    altNames: readonly string[],
    wish: () => Promise<Omit<CertificateWish, 'from' | 'until' | 'altNames'>>,
    issuer?: Uint8Array,
  ): Promise<Uint8Array> {
    const now = clock.now();
    const row = await db
      .selectFrom('gate_certificate')
      .select('certificate')
      .where('name', '=', name)
      .executeTakeFirst();
    if (row !== undefined && isGood(row.certificate, altNames, issuer, now + renewals[name]))
      return new Uint8Array(row.certificate);
    const request = { ...(await wish()), altNames, from: now - earlier, until: now + lives[name] };
    const made = Buffer.from(await makeCertificate(request));
    await db
      .insertInto('gate_certificate')
      .values({ name, certificate: made, made_at: new Date(now) })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ certificate: made, made_at: new Date(now) }))
      .execute();
    return new Uint8Array(made);
  }

  async function authority(): Promise<Uint8Array> {
    return await certificate('authority', [], async () => {
      const signer = await vault.rsaSigner('gate-authority');
      // Told apart by their key: two installations may not be one name with two keys.
      const mark = createHash('sha256').update(signer.publicKey).digest('hex').slice(0, 8);
      const { publicKey } = signer;
      return { name: `Sallyport ${mark}`, publicKey, issuer: undefined, signer, use: 'authority' };
    });
  }

  async function own(): Promise<GateCertificate> {
    const issuer = await authority();
    const names = namesOf(settings);
    const tls = await vault.tlsKey();
    using key = tls.key;
    const leaf = await certificate(
      'rdp',
      names,
      async () => {
        const signer = await vault.rsaSigner('gate-authority');
        return { name: names[0] ?? 'sallyport', publicKey: tls.publicKey, issuer, signer, use: 'tls-server' };
      },
      issuer,
    );
    return { chain: utf8(pemOf(leaf) + pemOf(issuer)), key: key.reveal().slice() };
  }

  /** That of the signer of files, and the root. */
  async function fileCertificates(): Promise<[Uint8Array, Uint8Array]> {
    const issuer = await authority();
    const { publicKey } = await vault.rsaSigner('rdp-file');
    const leaf = await certificate(
      'rdp-file',
      [],
      async () => {
        const signer = await vault.rsaSigner('gate-authority');
        return { name: 'Sallyport connections', publicKey, issuer, signer, use: 'file-signer' };
      },
      issuer,
    );
    return [leaf, issuer];
  }

  async function given(certificateFile: string, keyFile: string): Promise<GateCertificate> {
    return { chain: await readFile(certificateFile), key: await readFile(keyFile) };
  }

  return {
    root: async () => {
      const root = new X509Certificate(await authority());
      return { pem: root.toString(), fingerprint: root.fingerprint256, validTo: root.validToDate };
    },
    gateCertificate: async () => {
      try {
        const { certificate: file, key } = settings;
        const shown = file === undefined || key === undefined ? await own() : await given(file, key);
        createSecureContext({ cert: Buffer.from(shown.chain), key: Buffer.from(shown.key) });
        return shown;
      } catch (error) {
        log.error({ error: wordsOf(error) }, 'the certificate for rdp cannot be used');
        return refuse('keeper.certificate-unusable', wordsOf(error));
      }
    },
    fileSigner: async () => new X509Certificate((await fileCertificates())[0]).fingerprint.replaceAll(':', ''),
    signFile: async (content) =>
      await signDetached(content, await fileCertificates(), await vault.rsaSigner('rdp-file')),
  };
}

/** Whether a stored certificate lives beyond `until`, is of the present issuer, and stands for exactly these names. */
function isGood(der: Uint8Array, altNames: readonly string[], issuer: Uint8Array | undefined, until: number): boolean {
  const certificate = new X509Certificate(der);
  if (certificate.validToDate.getTime() <= until) return false;
  if (issuer !== undefined && !certificate.verify(new X509Certificate(issuer).publicKey)) return false;
  const stands = (name: string): boolean =>
    (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
  const count = (certificate.subjectAltName ?? '').split(', ').filter((part) => part !== '').length;
  return count === altNames.length && altNames.every(stands);
}

/** The configured names, the address it listens at, and where that is every address, those of this machine. */
function namesOf({ names, address }: AuthoritySettings): string[] {
  const all = new Set(names);
  if (address !== '0.0.0.0' && address !== '::') all.add(address);
  else
    for (const one of Object.values(networkInterfaces()).flat())
      if (one !== undefined && !one.address.startsWith('fe80:')) all.add(one.address);
  return [...all].slice(0, 64);
}

function pemOf(der: Uint8Array): string {
  return new X509Certificate(der).toString();
}

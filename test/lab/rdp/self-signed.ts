/** A certificate that nobody knows, RSA as all clients of RDP take it. */
import { X509Certificate } from 'node:crypto';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requirePackages } from '../install.ts';
import { runWell } from '../run.ts';

export interface SelfSigned {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  /** SHA-256 of the certificate, 64 hexadecimal digits. */
  readonly fingerprint: string;
}

export async function makeSelfSigned(name: string): Promise<SelfSigned> {
  await requirePackages(['openssl']);
  await using folder = await mkdtempDisposable(join(tmpdir(), 'lab-certificate-'));
  const [keyFile, file] = [join(folder.path, 'key.pem'), join(folder.path, 'certificate.pem')];
  const argv = ['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', `/CN=${name}`];
  await runWell([...argv, '-keyout', keyFile, '-out', file]);
  const certificate = await readFile(file, 'utf8');
  return { certificate, key: await readFile(keyFile, 'utf8'), fingerprint: fingerprintOf(certificate) };
}

/** SHA-256 of a certificate in PEM, 64 hexadecimal digits. */
export function fingerprintOf(certificate: string): string {
  return new X509Certificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase();
}

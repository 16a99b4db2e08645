/** An authority of the lab and certificates by it, made by openssl in a folder of the caller's. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runWell } from './run.ts';

export interface Certificates {
  /** The authority's own certificate, as PEM, in a file. */
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** An authority that nobody has heard of before, and a certificate of it for these names and addresses. */
export async function makeCertificates(
  folder: string,
  names: { readonly dns: readonly string[]; readonly ip: readonly string[] },
): Promise<Certificates> {
  const at = (name: string): string => join(folder, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const [caFile, caKey] = [at('ca.pem'), at('ca-key.pem')];
  await runWell([
    ...['openssl', 'req', '-x509', ...key, '-keyout', caKey, '-out', caFile, '-days', '30'],
    ...['-subj', '/CN=authority of the lab', '-addext', 'basicConstraints=critical,CA:TRUE'],
  ]);
  const [certificateFile, keyFile, request, extensions] = [at('cert.pem'), at('key.pem'), at('request.pem'), at('ext')];
  await runWell([
    'openssl',
    'req',
    '-new',
    ...key,
    '-keyout',
    keyFile,
    '-out',
    request,
    '-subj',
    '/CN=server of the lab',
  ]);
  const alternatives = [...names.dns.map((name) => `DNS:${name}`), ...names.ip.map((address) => `IP:${address}`)];
  await writeFile(extensions, `subjectAltName=${alternatives.join(',')}\n`);
  await runWell([
    ...['openssl', 'x509', '-req', '-in', request, '-CA', caFile, '-CAkey', caKey, '-CAcreateserial'],
    ...['-days', '30', '-extfile', extensions, '-out', certificateFile],
  ]);
  return { caFile, certificateFile, keyFile };
}

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
  const self = ['-subj', '/CN=authority of the lab', '-addext', 'basicConstraints=critical,CA:TRUE', '-days', '30'];
  await runWell(['openssl', 'req', '-x509', ...key, '-keyout', caKey, '-out', caFile, ...self]);
  const [certificateFile, keyFile, request, extensions] = [at('cert.pem'), at('key.pem'), at('request.pem'), at('ext')];
  const subject = ['-subj', '/CN=server of the lab'];
  await runWell(['openssl', 'req', '-new', ...key, '-keyout', keyFile, '-out', request, ...subject]);
  const alternatives = [...names.dns.map((name) => `DNS:${name}`), ...names.ip.map((address) => `IP:${address}`)];
  await writeFile(extensions, `subjectAltName=${alternatives.join(',')}\n`);
  const signing = ['-CA', caFile, '-CAkey', caKey, '-CAcreateserial', '-days', '30', '-extfile', extensions];
  await runWell(['openssl', 'x509', '-req', '-in', request, '-out', certificateFile, ...signing]);
  return { caFile, certificateFile, keyFile };
}

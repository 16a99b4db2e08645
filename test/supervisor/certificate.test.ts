/** The certificate for events is looked at before anything is started: what cannot be used is said, and shows no key. */
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { certificateMustWork } from '../../src/supervisor/certificate.ts';
import { makeCertificates } from '../lab/certificates.ts';

test('a certificate works with its own key, and not with another one, with none, or where there is no file', async () => {
  await using one = await mkdtempDisposable(`${tmpdir()}/one-`);
  await using other = await mkdtempDisposable(`${tmpdir()}/other-`);
  const names = { dns: [], ip: ['127.0.0.1'] };
  const [mine, foreign] = [await makeCertificates(one.path, names), await makeCertificates(other.path, names)];
  const { certificateFile: certificate, keyFile: key } = mine;
  const nonsense = join(one.path, 'nonsense.pem');
  await writeFile(nonsense, 'no PEM');
  expect(() => certificateMustWork({})).not.toThrow();
  expect(() => certificateMustWork({ certificate, key })).not.toThrow();
  const secret = (await readFile(foreign.keyFile, 'utf8')).split('\n')[1] ?? '';
  for (const wrong of [foreign.keyFile, nonsense, join(one.path, 'nowhere.pem')]) {
    const refused = expect(() => certificateMustWork({ certificate, key: wrong }));
    refused.toThrow(expect.objectContaining({ code: 'supervisor.certificate-unusable' }));
    refused.not.toThrow(secret);
  }
});

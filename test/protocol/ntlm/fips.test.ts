import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runWell } from '../../lab/run.ts';

const keys = join(import.meta.dirname, '../../../src/protocol/ntlm/keys.ts');

/** In a process of its own, because the mode holds for the whole of one. */
async function said(before: string): Promise<string> {
  const script = `
    import { setFips } from 'node:crypto';
    const { requireHashes } = await import(${JSON.stringify(keys)});
    ${before}
    try {
      requireHashes();
      console.log('hashes');
    } catch (error) {
      console.log(error.code);
    }`;
  return (await runWell([process.execPath, '--input-type=module', '-e', script])).stdout.trim();
}

test('where FIPS mode forbids MD5, it is said so before anything starts', async () => {
  expect(await said('')).toBe('hashes');
  expect(await said('setFips(true);')).toBe('ntlm.hash-forbidden');
});

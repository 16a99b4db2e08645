/** A gibibyte each way through the gate, across rekeys of both neighbours: the content is right and nothing piles up. */
import { createHash, randomBytes } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fullMachines } from '../lab/machine.ts';
import { runWell } from '../lab/run.ts';
import { partsOf } from '../support/sallyport.ts';
import { openStage, type Stage } from './ssh-stage.ts';

const rounds = 16;
const round = 2 ** 26;
/** Sixteen numbered rounds of 64 MiB of chance: what is lost, twice or in another place changes the hash. */
const source = (file: string): string => `for i in $(seq ${rounds}); do echo $i; cat ${file}; done`;

interface Rekeys {
  readonly ours: number;
  readonly theirs: number;
}

describe.runIf(fullMachines)('a gibibyte', () => {
  let stage: Stage;
  let chance = '';
  let sum = '';
  beforeAll(async () => {
    stage = await openStage({ product: { logLevel: 'debug' }, sshd: ['RekeyLimit 100M'] });
    chance = join(stage.scratch, 'chance');
    const bytes = randomBytes(round);
    await writeFile(chance, bytes);
    await stage.machine.putFile('/tmp/chance', bytes, { owner: 'deploy' });
    const hash = createHash('sha256');
    for (let i = 1; i <= rounds; i++) hash.update(`${i}\n`).update(bytes);
    sum = hash.digest('hex');
  });
  afterAll(async () => {
    await stage?.[Symbol.asyncDispose]();
  });

  /** What the gate's log says of the key exchanges of the session that ended after `from`. */
  async function rekeysAfter(from: number): Promise<{ client: Rekeys; target: Rekeys }> {
    const { details } = await stage.event((row) => row.type === 'session.ended', from);
    // It was written before the event, but comes another way.
    for (const late = Date.now() + 10_000; Date.now() < late; await new Promise(setImmediate)) {
      const lines = stage.product.log().split('\n').slice(0, -1);
      const line = lines.find((one) => one.includes('"rekeys"') && one.includes(String(details['session'])));
      if (line !== undefined) return (JSON.parse(line) as { rekeys: { client: Rekeys; target: Rekeys } }).rekeys;
    }
    throw new Error('the log says nothing of rekeys');
  }

  /** The most memory that the gate ever had, in MiB. */
  async function mostMemory(): Promise<number> {
    const gate = partsOf(stage.product.pid).find((part) => part.name === 'gate');
    const status = await readFile(`/proc/${gate?.pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
  }

  /** The ciphers are what stock clients pick; the client asks for a rekey every 64 MiB. */
  const options = ['RekeyLimit=64M'];

  test('down', async () => {
    const from = await stage.mark();
    const ran = await stage.tool(
      (words, gate) => [
        'bash',
        '-c',
        'set -o pipefail; ssh "$@" | sha256sum',
        'bash',
        ...words,
        gate.address,
        source('/tmp/chance'),
      ],
      { options },
    );
    expect([ran.code, ran.stdout.slice(0, 64)], ran.stderr).toEqual([0, sum]);
    const { client, target } = await rekeysAfter(from);
    expect(client.theirs).toBeGreaterThanOrEqual(3);
    expect(target.theirs).toBeGreaterThanOrEqual(3);
  });

  test('up', async () => {
    const from = await stage.mark();
    const ran = await stage.tool(
      (words, gate) => [
        'bash',
        '-c',
        `set -o pipefail; (${source(chance)}) | ssh "$@"`,
        'bash',
        ...words,
        gate.address,
        'sha256sum',
      ],
      { options },
    );
    expect([ran.code, ran.stdout.slice(0, 64)], ran.stderr).toEqual([0, sum]);
    const { client, target } = await rekeysAfter(from);
    expect(client.theirs).toBeGreaterThanOrEqual(3);
    expect(target.theirs).toBeGreaterThanOrEqual(3);
  });

  test('a sparse file by scp over sftp: its hash in the trail is that of the file', async () => {
    const file = join(stage.scratch, 'sparse');
    await using handle = await open(file, 'w');
    for (let i = 0; i < 16; i++) await handle.write(randomBytes(4096), 0, 4096, i * round + i);
    await handle.truncate(2 ** 30);
    const from = await stage.mark();
    const ran = await stage.tool((words, gate) => ['scp', '-s', ...words, file, `${gate.address}:/dev/null`]);
    expect(ran.code, ran.stderr).toBe(0);
    const { details } = await stage.event((row) => row.type === 'session.file.transferred', from);
    const expected = (await runWell(['sha256sum', file])).stdout.slice(0, 64);
    expect(details).toMatchObject({ path: '/dev/null', size: 2 ** 30, sha256: expected, complete: true });
  });

  test('all of that passed through the gate without piling up in it', async () => {
    expect(await mostMemory()).toBeLessThan(400);
  });
});

/**
 * W-29 as a sender meets it: the product with two gates and a certificate, a machine with sshd, and curl. The example of
 * docs/rotation.md is what sends; the proof is at the machine: the old password is refused there, or still works.
 */
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCertificates } from '../lab/certificates.ts';
import { fullMachines, type Machine, startMachine } from '../lab/machine.ts';
import { type Ran, run } from '../lab/run.ts';
import { canary, searchBytes } from '../support/canary.ts';
import { scan } from '../support/canary-scan.ts';
import { partsOf, root } from '../support/sallyport.ts';
import { type SignedEvent, signEvent } from '../support/signed-event.ts';
import { openStoppedVault } from '../support/stopped-vault.ts';
import { freePort } from './chaos-stage.ts';
import { type House, opens, openHouse, word } from './house.ts';

const example = /```sh\n(url=[\s\S]*?)```/.exec(await readFile(join(root, 'docs/rotation.md'), 'utf8'))?.[1] ?? '';
const asked = { reason: 'found in a paste', target: 'web-01', account: 'root' };

describe.runIf(fullMachines)('a signed event', () => {
  const stack = new AsyncDisposableStack();
  const given = { root: word(), ops: word() };
  let machine: Machine;
  let house: House;
  let url: string;
  let ca: string;
  let certificateKey: string;
  let secret: string;

  beforeAll(async () => {
    const folder = stack.use(await mkdtempDisposable(`${tmpdir()}/events-`)).path;
    const files = await makeCertificates(folder, { dns: [], ip: ['127.0.0.1'] });
    ca = files.caFile;
    certificateKey = await readFile(files.keyFile, 'utf8');
    const port = await freePort();
    url = `https://127.0.0.1:${port}/events`;
    const config = join(folder, 'config.yaml');
    const { certificateFile: certificate, keyFile: key } = files;
    await writeFile(config, JSON.stringify({ events: { port, certificate, key } }));
    machine = stack.use(
      await startMachine({
        name: 'web-01',
        users: [
          { name: 'root', password: given.root },
          { name: 'ops', password: given.ops },
        ],
        sshd: ['PermitRootLogin yes'],
      }),
    );
    house = stack.use(
      await openHouse(
        () => `
groups: [{ name: ops }]
users: [{ name: alice, roles: [administrator], groups: [ops] }]
targets: [{ name: web-01, address: ${machine.address}, services: [{ port: ${machine.port} }] }]
accounts:
  - { name: root@web-01, connector: linux-chpasswd }
  - { name: ops@web-01, connector: linux-chpasswd, admin: root@web-01 }
grants: [{ name: ops, group: ops, targets: [web-01] }]
`,
        { gates: 2, logLevel: 'debug', env: { SALLYPORT_CONFIG: config } },
      ),
    );
    await house.product.ask(['target', 'trust', 'web-01', '--yes']);
    for (const [name, value] of Object.entries(given))
      await house.product.ask(['account', 'set', `${name}@web-01`, '--stdin'], value);
    const added = await house.product.ask<{ secret: string }>(['event-source', 'add', 'siem', '--accounts', 'root@*']);
    secret = added.secret;
  });
  afterAll(() => stack.disposeAsync());

  const curl = (argv: readonly string[], input = ''): Promise<Ran> =>
    run(['curl', '--silent', '--show-error', '--max-time', '60', '--cacert', ca, ...argv], { input });

  /** Status and body of what came back. */
  async function post(
    { id, timestamp, signature, body }: Partial<SignedEvent> & { readonly body: string },
    source = 'siem',
  ): Promise<[number, string]> {
    const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature };
    const given = Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : ['-H', `${name}: ${value}`],
    );
    const ran = await curl(['-w', '\n%{http_code}', ...given, '--data-binary', '@-', `${url}/${source}`], body);
    if (ran.code !== 0) throw new Error(`curl ended with ${ran.code}: ${ran.stderr}`);
    const [, text = '', status = ''] = /^([^]*)\n(\d+)$/.exec(ran.stdout) ?? [];
    return [Number(status), text];
  }

  /** Whatever rotation has done after `from`; sessions of earlier tests may still end. */
  const rotationSince = async (from: number) =>
    (await house.trail(from)).filter(({ type }) => type.startsWith('rotation.'));
  const count = async (account: string): Promise<number> =>
    (await house.call('rotation.history', { account })).versions.length;

  test('sent as the documentation says has the password of root changed: the old one is refused, the new one lets in', async () => {
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(await opens(machine, 'root', given.root)).toBe('accepted');
    const from = await house.mark();
    const script = example.replace(/^url=.*$/m, `url=${url}/siem`).replace(/^secret=.*$/m, `secret=${secret}`);
    const sent = await run(['sh', '-eu', '-c', script], {
      env: { PATH: process.env['PATH'] ?? '', CURL_CA_BUNDLE: ca },
    });
    expect([sent.code, sent.stdout]).toEqual([0, '{"accepted":1}\n']);
    const started = await house.event((row) => row.type === 'rotation.started', from);
    expect(started.details).toMatchObject({ cause: 'event' });
    await house.event((row) => row.type === 'rotation.confirmed', from);
    expect(await opens(machine, 'root', given.root)).toBe('refused');
    expect(await house.visit('root@web-01', { command: 'id -un' })).toMatchObject({ code: 0, stdout: 'root\n' });
    const wished = await house.event((row) => row.type === 'rotation.wished', from);
    expect(wished.details).toMatchObject({ trigger: 'event', reason: 'siem: found in a paste' });
    expect(await house.product.ask(['event-source', 'ls'])).toMatchObject([
      { source: 'siem', accounts: ['root@*'], lastUsedAt: expect.stringMatching(/^\d{4}-/) as string },
    ]);
  });

  test('that is unsigned, wrongly signed, replayed, too old or from nobody is 401 in the same words, and nothing is changed', async () => {
    const done = await house.mark();
    const first = signEvent(secret, asked);
    expect(await post(first)).toEqual([202, '{"accepted":1}\n']);
    await house.event((row) => row.type === 'rotation.confirmed', done);
    const before = await count('root@web-01');
    const from = await house.mark();
    const wrong = signEvent(`whsec_${Buffer.alloc(32, 1).toString('base64')}`, asked);
    const refused = [
      await post({ body: JSON.stringify(asked) }),
      await post({ ...signEvent(secret, asked), signature: 'v1,' }),
      await post(wrong),
      await post({ ...signEvent(secret, asked), body: JSON.stringify({ ...asked, account: 'ops' }) }),
      await post(first),
      await post(signEvent(secret, asked, { at: Date.now() - 310_000 })),
      await post(signEvent(secret, asked, { at: Date.now() + 310_000 })),
      await post(signEvent(secret, asked), 'nobody'),
    ];
    expect(new Set(refused.map(([status, body]) => `${status} ${body}`))).toEqual(
      new Set(['401 {"error":"unauthorized"}\n']),
    );
    const trail = await rotationSince(from);
    expect(trail.map(({ type }) => type)).toEqual(refused.map(() => 'rotation.event.refused'));
    expect(trail.map(({ details }) => details['reason'])).toEqual([
      'unsigned',
      'unsigned',
      'signature',
      'signature',
      'replayed',
      'stale',
      'stale',
      'unknown-source',
    ]);
    expect(await count('root@web-01')).toBe(before);
    expect(await house.visit('root@web-01', { command: 'id -un' })).toMatchObject({ code: 0 });
  });

  test('that reaches nothing is taken, with a body that is none 400, with one that is too large 413', async () => {
    const from = await house.mark();
    expect(await post(signEvent(secret, { ...asked, account: 'ops' }))).toEqual([202, '{"accepted":0}\n']);
    const [status, body] = await post(signEvent(secret, { ...asked, host: 'web-01' }));
    expect([status, JSON.parse(body)]).toMatchObject([400, { code: 'rotation.event-invalid' }]);
    expect((await post(signEvent(secret, { ...asked, reason: 'x'.repeat(17_000) })))[0]).toBe(413);
    expect((await rotationSince(from)).map(({ type }) => type)).toEqual([
      'rotation.event.accepted',
      'rotation.event.invalid',
    ]);
    expect(await opens(machine, 'ops', given.ops)).toBe('accepted');
  });

  test('that comes several times at once, at two gates, is taken once', async () => {
    const from = await house.mark();
    const same = signEvent(secret, { ...asked, account: 'ops' });
    const statuses = (await Promise.all(Array.from({ length: 24 }, () => post(same)))).map(([status]) => status);
    expect(statuses.toSorted((a, b) => a - b)).toEqual([202, ...Array<number>(23).fill(401)]);
    const refused = (await rotationSince(from)).filter(({ type }) => type === 'rotation.event.refused');
    expect(refused).toHaveLength(23);
    expect(new Set(refused.map(({ details }) => details['gate'])).size).toBe(2);
  });

  test('goes nowhere in clear, and nowhere else', async () => {
    const clear = await curl([`${url.replace('https', 'http')}/siem`, '--data-binary', '{}']);
    expect(clear.code).not.toBe(0);
    const other = await curl(['-w', '%{http_code}', '-o', '/dev/null', url]);
    expect(other.stdout).toBe('404');
  });

  test('while the keeper is away is to be sent again', async () => {
    const keeper = partsOf(house.product.pid).find(({ name }) => name === 'keeper')?.pid ?? 0;
    process.kill(keeper, 'SIGSTOP');
    try {
      expect((await post(signEvent(secret, { ...asked, account: 'ops' })))[0]).toBe(503);
    } finally {
      process.kill(keeper, 'SIGCONT');
    }
    await house.mark();
  });

  test('of a source that was removed is 401 like any other', async () => {
    const signed = signEvent(secret, { ...asked, account: 'ops' });
    expect((await house.product.cli(['event-source', 'rm', 'siem'])).stdout).toBe('siem: removed\n');
    expect(await post(signed)).toEqual([401, '{"error":"unauthorized"}\n']);
    expect((await house.product.cli(['event-source', 'rm', 'siem'])).code).toBe(6);
  });

  test('leaves its key nowhere: not in the log, the data directory, the trail or an argument', async () => {
    const kept = [
      canary('signing key', Buffer.from(secret.slice(6), 'base64')),
      canary('certificate key', Buffer.from(certificateKey.replace(/-----.*-----|\s/g, ''), 'base64')),
    ];
    const parts = [house.product.pid, ...partsOf(house.product.pid).map(({ pid }) => pid)];
    for (const pid of parts)
      for (const file of ['cmdline', 'environ'])
        expect(searchBytes(kept, file, await readFile(`/proc/${pid}/${file}`))).toEqual([]);
    await house.stop();
    expect(house.product.log()).toContain('the gate is open');
    expect(searchBytes(kept, 'log', house.product.log())).toEqual([]);
    const disk = await scan(kept, [house.home]);
    expect(disk.hits).toEqual([]);
    await using vault = await openStoppedVault(house.product.data, house.product.rootKey);
    const values = await vault.values('root@web-01');
    const answers = await Promise.all(
      values.map(async ({ bytes }) => await opens(machine, 'root', Buffer.from(bytes).toString())),
    );
    expect(values.length).toBe(3);
    expect(answers).toEqual(values.map(({ current }) => (current ? 'accepted' : 'refused')));
  });
});

/**
 * X-03, W-01, W-61 over the whole product: with every secret known to the test (those that it gave, and those that the
 * product drew and keeps), everything that the product, its clients and its target have written anywhere is searched.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { appendFile, cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'otplib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Login, makeKey, openClient } from '../lab/client.ts';
import { fullMachines, type Machine, startMachine } from '../lab/machine.ts';
import { plainEnv, type Ran, run, runWell } from '../lab/run.ts';
import { type Canary, canary, drawCanary } from '../support/canary.ts';
import { keyCanaries } from '../support/canary-keys.ts';
import { parseTrace, type ProcessView, processTree, tracer } from '../support/exec-trace.ts';
import { type Haul, planted, searchHaul, searchMemory } from '../support/haul.ts';
import { makeHome, partsOf, type Product, root, startProduct } from '../support/sallyport.ts';
import { vaultContents } from '../support/vault-canaries.ts';

const word = (): string => `Pw-${randomBytes(15).toString('base64url')}!7a`;
/** Not secret: shown on a terminal, or in the environment of everything. The search must find them where they are. */
const shown = `shown-${randomBytes(12).toString('hex')}`;
const inPath = `path-${randomBytes(12).toString('hex')}`;

describe.runIf(fullMachines)('secrets', () => {
  const folder = mkdtempSync(join(tmpdir(), 'canary-e2e-'));
  const home = makeHome();
  const given: Canary[] = [];
  const texts = new Map<string, string | Uint8Array>();
  const views: ProcessView[] = [];
  let machine: Machine;
  let product: Product;
  let haul: Haul;
  let all: readonly Canary[];
  let traces = 0;

  /** Makes a value secret: from now on it may be found nowhere. */
  function secret(name: string, value = word()): string {
    given.push(canary(name, value));
    return value;
  }

  /** A program of ours, its executions traced and its words kept. */
  async function traced(name: string, argv: readonly string[], env: Readonly<Record<string, string>>, input: string) {
    const ran = await run([...tracer(join(folder, `trace-${++traces}`)), ...argv], { env, input });
    texts.set(`${name} (${traces})`, Buffer.concat([ran.output, Buffer.from(ran.stderr)]));
    return ran;
  }
  async function cli(argv: readonly string[], input = ''): Promise<string> {
    const words = [process.execPath, join(root, 'src/main.ts'), '--data', product.data, '-o', 'json', ...argv];
    const ran = await traced(`sallyport ${argv.slice(0, 2).join(' ')}`, words, { PATH: plainEnv['PATH'] ?? '' }, input);
    if (ran.code !== 0) throw new Error(`sallyport ${argv.join(' ')} ended with ${ran.code}: ${ran.stderr}`);
    return ran.stdout;
  }
  async function ssh(login: Login, words: readonly string[], input = ''): Promise<Ran> {
    await using client = await openClient(product.ssh, login);
    const argv = ['ssh', ...client.arguments, '-vvv', ...words.slice(0, -1), '-p', String(product.ssh.port)];
    return await traced(`ssh of ${login.user}`, [...argv, product.ssh.address, words.at(-1) ?? ''], client.env, input);
  }
  /** At a terminal: types each line as soon as the words before it were shown. Gives what the terminal showed. */
  async function typist(login: Login, lines: readonly (readonly [after: string, typed: string])[]): Promise<string> {
    await using client = await openClient(product.ssh, login);
    const options = [...client.arguments, '-vvv', '-tt', '-p', String(product.ssh.port), product.ssh.address];
    const argv = [...tracer(join(folder, `trace-${++traces}`)), 'ssh', ...options, 'PS1="$ " exec bash --norc -i'];
    const child = spawn(argv[0] ?? '', argv.slice(1), { env: client.env, stdio: ['pipe', 'pipe', 'pipe'] });
    let [screen, errors, from] = ['', '', 0];
    const left = [...lines];
    child.stderr.on('data', (bytes: Buffer) => {
      errors += bytes.toString();
    });
    child.stdout.on('data', (bytes: Buffer) => {
      screen += bytes.toString();
      const [after = '', line = ''] = left[0] ?? [];
      const at = left.length === 0 ? -1 : screen.indexOf(after, from);
      if (at < 0) return;
      left.shift();
      from = screen.length;
      child.stdin.write(`${line}\n`);
    });
    await once(child, 'close');
    if (left.length > 0) throw new Error(`the terminal did not show ${left[0]?.[0]}: ${screen}${errors.slice(-2000)}`);
    texts.set(`terminal of ${login.user}`, screen + errors);
    return screen;
  }
  const look = async (): Promise<void> => void views.push(...(await processTree(product.pid)));

  beforeAll(async () => {
    // -- Who and what there is, each with a secret of its own ---------------------------------------------------------
    const person = await makeKey(folder);
    const accountKey = await makeKey(folder, 'ecdsa-256');
    given.push(...(await keyCanaries('key of keyed', readFileSync(accountKey.file))));
    const deploy = secret('password of deploy');
    machine = await startMachine({
      name: 'web-01',
      users: [
        { name: 'deploy', password: deploy, sudo: 'password' },
        { name: 'keyed', authorizedKeys: [accountKey.line] },
        { name: 'other', password: word() },
      ],
    });
    const trace = join(folder, 'trace-product');
    const path = `${process.env['PATH'] ?? ''}:/nowhere/${inPath}`;
    product = await startProduct({ home, wrap: tracer(trace, true), env: { PATH: path }, logLevel: 'debug' });
    const strace = /^TracerPid:\s+(\d+)/m.exec(readFileSync(`/proc/${product.pid}/status`, 'utf8'))?.[1] ?? '';
    const code = secret('enrolment code', product.code);
    await cli(['enrol', 'alice', '--stdin', '--key', person.line], `${code}\n${secret('password of alice')}\n`);
    await cli(['apply', '-f', '-'], estate(machine));
    await cli(['target', 'trust', 'web-01', '--yes']);
    await cli(['account', 'set', 'deploy@web-01', '--stdin'], deploy);
    await cli(['account', 'set', 'keyed@web-01', '--stdin'], readFileSync(accountKey.file, 'utf8'));
    await cli(['account', 'set', 'other@web-01', '--stdin', '--unverified'], secret('wrong password of other'));
    const bob = secret('password of bob');
    await cli(['user', 'passwd', 'bob', '--stdin'], bob);
    // The one place where a seed is shown, once, to whoever sets it up.
    const { uri } = await product.ask<{ uri: string }>(['user', 'totp', 'bob']);
    const seed = secret('seed of bob', new URL(uri).searchParams.get('secret') ?? '');

    // -- Sessions, good ones and others -------------------------------------------------------------------------------
    const alice = (account: string): Login => ({ user: `alice@${account}@web-01`, keyFile: person.file });
    const hidden = secret('typed at read -s');
    const terminal = await typist(alice('deploy'), [
      ['$ ', `echo ${shown.slice(0, 6)}''${shown.slice(6)}; read -s -p 'Secret: ' x`],
      ['Secret: ', hidden],
      ['$ ', 'sudo -k -p "Pass""word: " id -u; echo "so"ne'],
      ['Password: ', deploy],
      ['\nsone', 'exit'],
    ]);
    expect(terminal).toContain(shown);
    expect(terminal).toMatch(/^0\r?$/m);
    const answers = [bob, await generate({ secret: seed })];
    const options = ['PreferredAuthentications=keyboard-interactive'];
    const keyed = await ssh({ user: 'bob@keyed@web-01', answers, options }, ['id -un']);
    expect([keyed.code, keyed.stdout], keyed.stderr.slice(-2000)).toEqual([0, 'keyed\n']);
    const stranger = await ssh({ user: 'bob@keyed@web-01', answers: [secret('wrong password of bob')] }, ['id']);
    expect([stranger.code, stranger.stdout]).toEqual([255, '']);
    const refused = await ssh(alice('other'), ['id']);
    expect([refused.code, refused.stdout]).toEqual([255, '']);
    await look();

    // -- Rotation, and a keeper that is killed ------------------------------------------------------------------------
    for (const account of ['deploy@web-01', 'keyed@web-01']) await cli(['rotate', account]);
    const keeper = partsOf(product.pid).find(({ name }) => name === 'keeper')?.pid ?? 0;
    process.kill(keeper, 'SIGKILL');
    await runWell(['tail', '-s', '0.05', `--pid=${keeper}`, '-f', '/dev/null']);
    for (let up = false; !up; ) up = (await product.cli(['status'])).code === 0;
    const again = await ssh(alice('deploy'), ['id -un']);
    expect([again.code, again.stdout], again.stderr.slice(-2000)).toEqual([0, 'deploy\n']);
    await look();

    // -- What everybody has said --------------------------------------------------------------------------------------
    for (const argv of [['sessions'], ['recordings'], ['history', 'deploy@web-01'], ['account', 'ls'], ['status']])
      await cli(argv);
    await cli(['audit', 'tail', '-n', '10000']);
    const [one] = JSON.parse(await cli(['sessions'])) as { recording: string }[];
    await cli(['play', one?.recording ?? '', '--format', 'events']);
    await product.stop();
    await runWell(['tail', '-s', '0.05', `--pid=${strace}`, '-f', '/dev/null']);
    texts.set('the log of the product', product.log());
    texts.set('the log of the target', machine.sshdLog());
    const logs = await machine.exec(['sh', '-c', 'find /var/log /tmp /home /root -type f -exec cat {} +']);
    texts.set('files of the target', logs.output);
    const executions = readdirSync(folder)
      .filter((name) => name.startsWith('trace-'))
      .flatMap((name) => parseTrace(readFileSync(join(folder, name), 'latin1')));
    const { canaries, recordings } = await vaultContents(product.data, product.rootKey);
    all = [...given, canary('seed of bob, raw', fromBase32(seed)), ...canaries];
    haul = { texts, executions, processes: views, data: product.data, recordings };
  });

  afterAll(async () => {
    await product?.[Symbol.asyncDispose]();
    await machine?.[Symbol.asyncDispose]();
    for (const path of [home, folder]) rmSync(path, { recursive: true, force: true });
  });

  test('every secret that there is, is looked for: those given and those that the product has drawn', () => {
    const names = all.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        'root key',
        'key-encryption key 1',
        'host-ed25519',
        'host-ecdsa-256',
        'host-rsa-3072',
        'audit-head',
        'recording-seal',
        'deploy@web-01, value 0',
        'deploy@web-01, value 1',
        'keyed@web-01, value 1, d',
        'other@web-01, value 0',
        'seed of bob',
        'typed at read -s',
        'enrolment code',
        'password of alice',
      ]),
    );
    expect(names.filter((name) => name.startsWith('key of recording')).length).toBeGreaterThanOrEqual(3);
  });

  test('none of them is anywhere: data, logs, recordings, argv, environments, /proc, outputs, audit trail, target', async () => {
    const { hits, disk } = await searchHaul(haul, all);
    expect(hits).toEqual([]);
    expect(disk.unread).toEqual([]);
    expect(disk.decoded.files).toBe(haul.recordings.size);
    expect([disk.files > 1000, disk.bytes > 30_000_000, haul.executions.length > 50]).toEqual([true, true, true]);
    expect(haul.processes.length).toBeGreaterThan(20);
  });

  test('what was shown on a terminal is found in the decrypted recording, in the client, and not in clear on the disk', async () => {
    const { hits } = await searchHaul(haul, [canary('shown', shown)]);
    const places = hits.map(({ place }) => place);
    expect(places).toContainEqual(expect.stringMatching(/recordings\/.* \(recording\)$/));
    expect(places).toContainEqual(expect.stringMatching(/^terminal of alice/));
    const clear = places.filter((place) => place.startsWith(haul.data) && !place.endsWith('(recording)'));
    expect(clear).toEqual([]);
  });

  test('what is in the environment of every process is found in all traced executions and in /proc', () => {
    const places = new Set(searchMemory(haul, [canary('in PATH', inPath)]).map(({ place }) => place));
    for (const part of [/^execve of .*node/, /^\/proc\/\d+\/environ$/])
      expect([...places].filter((place) => part.test(place)).length, String(part)).toBeGreaterThan(2);
    // The database is given an environment of its own; that it was traced shows in what was started.
    const started = haul.executions.map(({ argv }) => argv.join(' '));
    for (const part of [/main\.ts keeper$/, /main\.ts gate$/, /worker\.ts/, /postgres -D/, /^ssh /, /askpass/])
      expect(
        started.some((words) => part.test(words)),
        String(part),
      ).toBe(true);
  });

  test('a secret planted in any one of these places is found there', async () => {
    const plant = drawCanary('planted');
    const clean = searchMemory(haul, [plant]);
    expect(clean).toEqual([]);
    let count = 0;
    for (const [place, copy] of planted(haul, plant.bytes)) {
      const hits = searchMemory(copy, [plant]).map((hit) => hit.place);
      expect(hits.length, place).toBeGreaterThan(0);
      count++;
    }
    expect(count).toBe(texts.size + 3);
  });

  test('a secret planted in a database file, in the WAL, in a log file or in a recording is found there', async () => {
    const plant = drawCanary('planted');
    const copy = join(folder, 'copy');
    await cp(haul.data, copy, { recursive: true, filter: (path) => !path.includes('/run/') });
    chmodSync(copy, 0o700);
    const [table = '', wal = ''] = ['base/1', 'pg_wal'].map((name) => {
      const where = join(copy, 'db/cluster', name);
      return join(
        where,
        readdirSync(where)
          .toSorted()
          .find((file) => /^[0-9A-F]+$/.test(file)) ?? '',
      );
    });
    await appendFile(table, Buffer.from(plant.text, 'utf16le'));
    await appendFile(wal, Buffer.from(plant.text).toString('base64'));
    await appendFile(join(copy, 'db/server.log'), JSON.stringify(plant.text));
    const moved = [...haul.recordings].map(([path, bytes]) => [path.replace(haul.data, copy), bytes] as const);
    const recordings = new Map(moved.map(([path, bytes]) => [path, Buffer.concat([bytes, plant.bytes])]));
    const { hits } = await searchHaul({ ...haul, data: copy, recordings }, [plant]);
    const places = new Set(hits.map(({ place }) => place));
    for (const place of [
      table,
      wal,
      join(copy, 'db/server.log'),
      ...[...recordings.keys()].map((p) => `${p} (recording)`),
    ])
      expect(places).toContain(place);
  });

  test('no process has left a core file', async () => {
    const found = await runWell(['find', home, '-type', 'f', '-name', 'core*', '-size', '+64k']);
    const around = await runWell(['find', '/', root, '-maxdepth', '1', '-type', 'f', '-name', 'core*']);
    expect([found.stdout, around.stdout]).toEqual(['', '']);
  });
});

function estate(machine: Machine): string {
  return `
groups: [{ name: ops }]
users:
  - { name: alice, roles: [administrator], groups: [ops] }
  - { name: bob, groups: [ops] }
targets:
  - { name: web-01, platform: linux, address: ${machine.address}, services: [{ protocol: ssh, port: ${machine.port} }] }
accounts:
  - { name: deploy@web-01, kind: password, connector: linux-chpasswd, policy: Standard }
  - { name: keyed@web-01, kind: ssh-key, connector: ssh-key, policy: Standard }
  - { name: other@web-01, kind: password, policy: Standard }
grants:
  - { name: ops, group: ops, targets: [web-01] }
`;
}

/** RFC 4648, without padding. */
function fromBase32(text: string): Uint8Array {
  let bits = '';
  for (const char of text) bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(char).toString(2).padStart(5, '0');
  return Uint8Array.from(bits.match(/.{8}/g) ?? [], (byte) => Number.parseInt(byte, 2));
}

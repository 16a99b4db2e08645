/** Settings: which of several wins, what cannot be used, and that it is named. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { defaultData, readConfig } from '../src/config.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

function file(text: string): string {
  const path = join(folder, `${++files}.yaml`);
  writeFileSync(path, text);
  return path;
}

const thrown = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

describe('where clients of RDP come in', () => {
  test('is port 13389 of this machine alone, unless told', () => {
    expect(readConfig({}, {}).rdp).toEqual({ address: '127.0.0.1', port: 13389, names: [] });
    expect(readConfig({ rdpListen: '0.0.0.0:3389' }, {}).rdp).toMatchObject({ address: '0.0.0.0', port: 3389 });
    const env = { SALLYPORT_RDP_LISTEN: '3390', SALLYPORT_RDP_NAMES: 'gate.corp.example, 192.0.2.1' };
    expect(readConfig({}, env).rdp).toEqual({
      address: '127.0.0.1',
      port: 3390,
      names: ['gate.corp.example', '192.0.2.1'],
    });
    const config = file('{ rdp: { port: 3391, names: [a.example], certificate: c.pem, key: k.pem } }');
    expect(readConfig({ config }, {}).rdp).toEqual({
      address: '127.0.0.1',
      port: 3391,
      names: ['a.example'],
      certificate: resolve('c.pem'),
      key: resolve('k.pem'),
    });
  });

  test('is nowhere when it is off', () => {
    expect(readConfig({ rdpListen: 'off' }, {}).rdp).toBeUndefined();
    expect(readConfig({}, { SALLYPORT_RDP_LISTEN: 'off' }).rdp).toBeUndefined();
    expect(readConfig({ config: file('{ rdp: off }') }, {}).rdp).toBeUndefined();
  });

  test.each([
    '{ rdp: { certificate: c.pem } }',
    '{ rdp: { key: k.pem } }',
    '{ rdp: { names: ["a b"] } }',
    '{ rdp: 3389 }',
  ])('cannot be %s', (text) => {
    const error = thrown(() => readConfig({ config: file(text) }, {}));
    expect(error).toMatchObject({ code: 'config.invalid' });
  });
});

describe('a setting', () => {
  const config = file(
    '{ data: /of/file, rootKey: /key/of/file, gates: 4, drainSeconds: 5, logLevel: warn, ssh: { port: 24 } }',
  );
  const env = {
    SALLYPORT_DATA: '/of/env',
    SALLYPORT_ROOT_KEY: '/key/of/env',
    SALLYPORT_GATES: '3',
    SALLYPORT_DRAIN_SECONDS: '6',
    SALLYPORT_COMEBACK_SECONDS: '7',
    SALLYPORT_LOG_LEVEL: 'error',
    SALLYPORT_SSH_LISTEN: '0.0.0.0:23',
  };
  const flags = { data: '/of/flag', rootKey: '/key/of/flag', gates: '2', logLevel: 'debug', sshListen: '[::1]:22' };

  test('is the flag before the environment, the environment before the file, the file before the default', () => {
    expect(readConfig({ ...flags, config }, env)).toMatchObject({
      data: '/of/flag',
      rootKey: '/key/of/flag',
      gates: 2,
      logLevel: 'debug',
      ssh: { address: '::1', port: 22 },
      drainSeconds: 6,
      comebackSeconds: 7,
    });
    expect(readConfig({ config }, env)).toMatchObject({
      data: '/of/env',
      rootKey: '/key/of/env',
      gates: 3,
      logLevel: 'error',
      ssh: { address: '0.0.0.0', port: 23 },
      drainSeconds: 6,
      comebackSeconds: 7,
    });
    expect(readConfig({ config }, {})).toMatchObject({
      data: '/of/file',
      rootKey: '/key/of/file',
      gates: 4,
      logLevel: 'warn',
      ssh: { address: '127.0.0.1', port: 24 },
      drainSeconds: 5,
      comebackSeconds: 30,
    });
    expect(readConfig({}, {})).toMatchObject({
      data: defaultData({}),
      gates: 1,
      logLevel: 'info',
      ssh: { address: '127.0.0.1', port: 2222 },
      drainSeconds: 30,
      comebackSeconds: 30,
    });
  });

  test('file may be named by flag or environment, and may be empty', () => {
    expect(readConfig({}, { SALLYPORT_CONFIG: config }).gates).toBe(4);
    expect(readConfig({ config: file('gates: 9') }, { SALLYPORT_CONFIG: config }).gates).toBe(9);
    expect(readConfig({ config: file('# nothing yet\n') }, {}).gates).toBe(1);
  });

  test('that is a path is taken from where the command was started', () => {
    expect(readConfig({ data: 'here' }, {}).data).toBe(resolve('here'));
  });

  test('of the database comes from the environment or the file, never from a flag', () => {
    expect(readConfig({}, { DATABASE_URL: 'postgres://a' }).databaseUrl).toBe('postgres://a');
    expect(readConfig({ config: file('databaseUrl: postgres://b') }, {}).databaseUrl).toBe('postgres://b');
    expect(readConfig({ databaseUrl: 'postgres://c' } as object, {}).databaseUrl).toBeUndefined();
  });
});

describe('a listen address', () => {
  test.each([
    ['2022', { address: '127.0.0.1', port: 2022 }],
    ['0.0.0.0:2022', { address: '0.0.0.0', port: 2022 }],
    ['[::]:22', { address: '::', port: 22 }],
    ['gate.example:0', { address: 'gate.example', port: 0 }],
  ])('may be %s', (text, ssh) => {
    expect(readConfig({ sshListen: text }, {}).ssh).toEqual(ssh);
  });

  test.each(['', ':', ':22', '::1:22', 'host:', 'host:ssh', '[::1]', '1.2.3.4:22:22', '22 ', 'host:-1', 'host:123456'])(
    'may not be %j',
    (text) => {
      expect(thrown(() => readConfig({ sshListen: text }, {}))).toMatchObject({
        code: 'config.invalid',
        message: expect.stringContaining(JSON.stringify(text)) as string,
      });
    },
  );
});

test('the nightly look for conflicts has a time and a zone that exists, or never comes', () => {
  expect(readConfig({}, {}).rotation).toMatchObject({ discoverAt: '03:00', discoverZone: 'UTC' });
  const given = file('rotation: { discoverAt: never, discoverZone: Europe/Paris }');
  expect(readConfig({ config: given }, {}).rotation).toMatchObject({ discoverAt: 'never', perTarget: 2 });
  const wrong = thrown(() => readConfig({ config: file('rotation: { discoverZone: Europe/Nowhere }') }, {}));
  expect(wrong).toMatchObject({ code: 'config.invalid' });
  expect(String(wrong)).toContain('rotation.discoverZone: there is no time zone Europe/Nowhere');
});

describe('where events come in', () => {
  const events = (text: string): unknown => thrown(() => readConfig({ config: file(`events: ${text}`) }, {}).events);

  test('is nowhere unless told, and on this machine unless told where', () => {
    expect(readConfig({}, {}).events).toBeUndefined();
    expect(events('{ port: 8080 }')).toEqual({ address: '127.0.0.1', port: 8080 });
    expect(events('{ address: "::1", port: 0 }')).toEqual({ address: '::1', port: 0 });
    expect(events('{ address: 127.1.2.3, port: 0 }')).toEqual({ address: '127.1.2.3', port: 0 });
  });

  test('is anywhere with a certificate and its key', () => {
    expect(events('{ address: 0.0.0.0, port: 443, certificate: /c.pem, key: k.pem }')).toEqual({
      address: '0.0.0.0',
      port: 443,
      certificate: '/c.pem',
      key: resolve('k.pem'),
    });
  });

  test.each(['0.0.0.0', '::', '192.0.2.1', 'localhost', 'gate.example', '127.0.0.1.example', '::ffff:127.0.0.1'])(
    'is not %s without one',
    (address) => {
      expect(events(`{ address: "${address}", port: 80 }`)).toMatchObject({
        code: 'config.events-in-clear',
        message: expect.stringContaining(address) as string,
      });
    },
  );

  test.each([
    ['key', '{ address: 0.0.0.0, port: 443, certificate: /c.pem }'],
    ['certificate', '{ port: 443, key: /k.pem }'],
  ])('needs the %s as well', (missing, text) => {
    expect(events(text)).toMatchObject({ code: 'config.invalid' });
    expect(String(events(text))).toContain(`events.${missing} is missing`);
  });
});

describe('a wrong setting is named', () => {
  test.each<[string, string]>([
    ['gates: 0', 'gates'],
    ['gates: 257', 'gates'],
    ['gates: 1.5', 'gates'],
    ['gates: true', 'gates'],
    ['gates: [2]', 'gates'],
    ['gates: two', 'gates'],
    ['drainSeconds: -1', 'drainSeconds'],
    ['comebackSeconds: 0', 'comebackSeconds'],
    ['logLevel: loud', 'logLevel'],
    ['data: 5', 'data'],
    ["data: ''", 'data'],
    ['rootKey: [a]', 'rootKey'],
    ["databaseUrl: ''", 'databaseUrl'],
    ['ssh: 2222', 'ssh'],
    ['ssh: 0.0.0.0:22', 'ssh'],
    ['ssh: [22]', 'ssh'],
    ['ssh: { port: 65536 }', 'ssh.port'],
    ['ssh: { port: "22" }', 'ssh.port'],
    ["ssh: { address: '' }", 'ssh.address'],
    ['ssh: { prot: 22 }', 'ssh.prot'],
    ['gate: 2', 'gate'],
    ['rotation: { discoverAt: "24:00" }', 'rotation.discoverAt'],
    ['rotation: { discoverAt: 3 }', 'rotation.discoverAt'],
    ['rotation: { discoverZone: 1 }', 'rotation.discoverZone'],
    ['events: 8443', 'events'],
    ['events: { address: 127.0.0.1 }', 'events'],
    ['events: { port: 65536 }', 'events.port'],
    ["events: { port: 1, key: '' }", 'events.key'],
    ['events: { port: 1, host: x }', 'events.host'],
  ])('%s', (text, name) => {
    const error = thrown(() => readConfig({ config: file(text) }, {}));
    expect(error).toMatchObject({ code: 'config.invalid' });
    expect(String(error)).toMatch(new RegExp(`used: ${name.replace('.', '\\.')} `));
  });

  test.each<[string, Record<string, string>]>([
    ['gates', { SALLYPORT_GATES: '' }],
    ['gates', { SALLYPORT_GATES: '0x2' }],
    ['gates', { SALLYPORT_GATES: ' 2' }],
    ['drainSeconds', { SALLYPORT_DRAIN_SECONDS: '1e2' }],
    ['data', { SALLYPORT_DATA: '' }],
    ['ssh.port', { SALLYPORT_SSH_LISTEN: '65536' }],
  ])('%s of the environment %j', (name, env) => {
    expect(String(thrown(() => readConfig({}, env)))).toContain(`used: ${name} `);
  });

  test('and the value of a database address is not shown', () => {
    const error = thrown(() => readConfig({ config: file('databaseUrl: { secret: hunter2 }') }, {}));
    expect(String(error)).toContain('databaseUrl');
    expect(String(error)).not.toContain('hunter2');
  });
});

test.each([
  ['is not there', '/nowhere/at/all.yaml', 'no such file'],
  ['is a list', file('- a'), 'it is not a list of settings'],
  ['is a sentence', file('hello'), 'it is not a list of settings'],
  ['is not YAML', file('a: [b'), ''],
])('a file that %s is unreadable, and named', (_, path, why) => {
  const error = thrown(() => readConfig({ config: path }, {}));
  expect(error).toMatchObject({ code: 'config.unreadable' });
  expect(String(error)).toContain(path);
  expect(String(error)).toContain(why);
});

test('a file that is not YAML is told of by its place, and none of it is repeated', () => {
  const path = file('databaseUrl: postgres://app:hunter2hunter2@db/x: y\n');
  const error = thrown(() => readConfig({ config: path }, {}));
  expect(String(error)).toMatch(/at line 1, column \d+$/);
  expect(inspect(error, { depth: 9 })).not.toContain('hunter2');
});

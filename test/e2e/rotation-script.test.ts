/** The connector script: the sample plugin on a real OpenLDAP server, and programs that break the contract. */
import { randomBytes, randomInt } from 'node:crypto';
import {
  chmod,
  chown,
  copyFile,
  mkdir,
  mkdtempDisposable,
  readFile,
  rename,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import type { Login, Place, Work } from '../../src/rotation/connectors/connector.ts';
import type { Answer, Job } from '../../src/rotation/connectors/job.ts';
import { processRunner } from '../../src/rotation/connectors/run.ts';
import { missingPackages } from '../lab/install.ts';
import { run, runWell } from '../lab/run.ts';
import { type LdapServer, startLdapServer } from '../lab/slapd.ts';
import { conformance, type Value } from '../rotation/connectors/conformance.ts';
import { ask, password } from '../rotation/connectors/machine.ts';
import { never } from '../rotation/room.ts';

const connector = 'script';
function value(text: string): Value {
  return { fresh: { kind: 'password', secret: Secret.fromText(text) }, login: password(text) };
}
const some = (word: string): string => `${word}-${randomBytes(9).toString('base64url')}`;
const root = process.getuid?.() === 0;

let plugins: string;
const undo = new AsyncDisposableStack();
beforeAll(async () => {
  plugins = undo.use(await mkdtempDisposable(join(tmpdir(), 'plugins-'))).path;
  await copyFile(join(import.meta.dirname, '../plugins/slapd-userpassword'), join(plugins, 'slapd-userpassword'));
  await chmod(join(plugins, 'slapd-userpassword'), 0o755);
});
afterAll(() => undo.disposeAsync());

const base = 'dc=example,dc=test';
const people = `ou=people,${base}`;
const managerPassword = 'Manager.Pass-1';
const plainPassword = 'Plain.Pass-1';

const person = (name: string, text: string): string =>
  `dn: uid=${name},${people}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: ${name}\ncn: ${name}\nsn: ${name}\nuserPassword: ${text}\n`;

/** An administrator who stands under the policy, an account, and somebody without rights. */
const entries = `dn: ${base}
changetype: add
objectClass: dcObject
objectClass: organization
o: example

dn: ${people}
changetype: add
objectClass: organizationalUnit

dn: ou=policies,${base}
changetype: add
objectClass: organizationalUnit

dn: cn=default,ou=policies,${base}
changetype: add
objectClass: device
objectClass: pwdPolicy
pwdAttribute: userPassword
pwdCheckQuality: 2
pwdMinLength: 8

dn: cn=manager,${base}
changetype: add
objectClass: organizationalRole
objectClass: simpleSecurityObject
userPassword: ${managerPassword}

${person('app', 'App.Pass-1')}
${person('plain', plainPassword)}`;

describe.runIf(missingPackages(['slapd', 'ldap-utils']).length === 0)('the sample plugin on OpenLDAP', () => {
  let slapd: LdapServer;
  beforeAll(async () => {
    slapd = await startLdapServer({
      access: [
        `access to attrs=userPassword by dn.exact="cn=manager,${base}" write by self write by anonymous auth by * none`,
        'access to * by users read by anonymous auth',
      ],
    });
    await slapd.ldif(entries);
  });
  afterAll(async () => slapd?.[Symbol.asyncDispose]());

  const dn = `uid=app,${people}`;
  const settings = { program: 'slapd-userpassword', network: true, options: { dn: `uid={},${people}` } };
  const place = (at = { address: slapd.address, port: slapd.ports.ldaps }): Place => ({
    protocol: 'ldaps',
    address: at.address,
    port: at.port,
    hostKeys: [],
    tls: { kind: 'verify', ca: slapd.ca },
    settings: {},
  });
  const entry = (lines: string): Promise<void> =>
    slapd.ldif(`dn: ${dn}\nchangetype: modify\n${lines}\n`, { relax: true });
  const policy = (lines: string): Promise<void> =>
    slapd.ldif(`dn: cn=default,ou=policies,${base}\nchangetype: modify\n${lines}\n`);
  const other = runWell([
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=other',
    '-keyout',
    '/dev/null',
  ]);

  let stranger = '';
  beforeAll(async () => {
    stranger = (await other).stdout;
  });
  conformance({
    connector,
    account: 'app',
    settings,
    get plugins() {
      return plugins;
    },
    place,
    impostor: (at) => ({ ...at, tls: { kind: 'verify', ca: stranger } }),
    admins: {
      'who may write the attribute': () => ({ user: `cn=manager,${base}`, credential: password(managerPassword) }),
    },
    powerless: () => ({ user: 'plain', credential: password(plainPassword) }),
    draw: async () => value(some('Drawn')),
    plant: async () => {
      const text = some('Planted');
      await entry(`replace: userPassword\nuserPassword: ${text}`);
      return value(text);
    },
    forbid: async () => {
      await policy('replace: pwdMinLength\npwdMinLength: 100');
      return { [Symbol.asyncDispose]: () => policy('replace: pwdMinLength\npwdMinLength: 8') };
    },
    lock: async () => {
      await policy('replace: pwdLockout\npwdLockout: TRUE');
      await entry('replace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z');
      return {
        [Symbol.asyncDispose]: async () => {
          await entry('delete: pwdAccountLockedTime');
          await policy('replace: pwdLockout\npwdLockout: FALSE');
        },
      };
    },
    expire: async () => {
      await policy('replace: pwdMustChange\npwdMustChange: TRUE');
      await entry('replace: pwdReset\npwdReset: TRUE');
      return { [Symbol.asyncDispose]: () => policy('replace: pwdMustChange\npwdMustChange: FALSE') };
    },
    strikes: async () => {
      await policy('replace: pwdLockout\npwdLockout: TRUE\n-\nreplace: pwdMaxFailure\npwdMaxFailure: 3');
      return {
        locked: async () => (await slapd.read(dn, 'pwdAccountLockedTime'))['pwdAccountLockedTime'] !== undefined,
        [Symbol.asyncDispose]: () => policy('replace: pwdLockout\npwdLockout: FALSE\n-\ndelete: pwdMaxFailure'),
      };
    },
    nasty: [`'";$(id)\`id\`\\`, ' leading and trailing ', 'ümläut €', '-e %s \\n', 'two\nlines-of-it'],
    settled: async () => {},
    without: { lie: 'OpenLDAP does not say no after it has changed something' },
  });
});

describe('programs of anybody', () => {
  const place: Place = {
    protocol: 'ssh',
    address: '192.0.2.1',
    port: 22,
    hostKeys: [],
    tls: { kind: 'off' },
    settings: {},
  };
  const login = (): Login => ({ user: 'admin', credential: password('Admin.Canary-1') });
  const work = (settings: object, more: Partial<Work> = {}): Work => ({
    place,
    account: 'app',
    settings: { network: true, ...settings },
    plugins,
    by: { mode: 'admin', login: login() },
    tag: 'rot-test',
    targetSeconds: 5,
    ...more,
  });
  const program = async (name: string, script: string): Promise<void> => {
    await writeFile(join(plugins, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  };
  const change = (what: Work): Promise<Answer> =>
    ask({ connector, operation: 'change', work: what, fresh: value('Fresh.Canary-1').fresh });
  const verify = (what: Work): Promise<Answer> =>
    ask({ connector, operation: 'verify', task: what, login: { user: 'app', credential: password('Value.Canary-1') } });

  test.each([
    ['0, and nothing said', 'exit 0', 'confirmed', 'none'],
    ['0, and words', 'echo \'{"words":"good"}\'', 'confirmed', 'none'],
    ['10', 'echo \'{"class":"policy","words":"no"}\'; exit 10', 'failed', 'policy'],
    ['10, and no class', 'exit 10', 'failed', 'unexpected'],
    ['11', 'echo \'{"class":"authentication"}\'; exit 11', 'unsent', 'authentication'],
    ['12', 'exit 12', 'unsent', 'unsupported'],
    ['1', 'exit 1', 'uncertain', 'unexpected'],
    ['137', 'exit 137', 'uncertain', 'timeout'],
    ['a signal', 'kill -TERM $$', 'uncertain', 'unexpected'],
    ['a killing', 'kill -KILL $$', 'uncertain', 'timeout'],
    ['0, and no JSON', 'echo done', 'uncertain', 'unexpected'],
    ['10, and two lines', 'echo {}; echo {}; exit 10', 'uncertain', 'unexpected'],
    ['0, and a class that there is not', 'echo \'{"class":"fine"}\'', 'confirmed', 'none'],
    ['0, and a list', 'echo "[]"', 'uncertain', 'unexpected'],
  ] as const)('exit status %s', async (_, body, outcome, kind) => {
    await program('statuses', body);
    expect(await change(work({ program: 'statuses' }))).toMatchObject({ outcome, class: kind });
  });

  test.each([
    ['exit 0', 'accepted'],
    ['exit 10', 'rejected'],
    ['exit 11', 'unknown'],
    ['exit 12', 'unknown'],
    ['exit 1', 'unknown'],
    ['echo x', 'unknown'],
  ] as const)('a program that ends a login with `%s`: %s', async (body, outcome) => {
    await program('logins', body);
    expect(await verify(work({ program: 'logins' }))).toMatchObject({ outcome });
  });

  test('it gets one line of JSON, an empty environment, and no argument', async () => {
    const out = join(plugins, 'seen');
    await program(
      'look',
      `cat >'${out}'; tr '\\0' '\\n' </proc/$$/environ >'${out}.env'; tr '\\0' ' ' </proc/$$/cmdline >'${out}.argv'; pwd >>'${out}.env'`,
    );
    const what = work({ program: 'look', options: { tree: 'oak', depth: 3 } });
    expect(await change(what)).toMatchObject({ outcome: 'confirmed' });
    const text = await readFile(out, 'utf8');
    expect(text.split('\n')).toEqual([expect.any(String), '']);
    expect(JSON.parse(text)).toEqual({
      version: 1,
      operation: 'change',
      target: { protocol: 'ssh', address: '192.0.2.1', port: 22, tls: { kind: 'off' }, hostKeys: [], settings: {} },
      account: 'app',
      options: { tree: 'oak', depth: 3 },
      tag: 'rot-test',
      seconds: 5,
      admin: { user: 'admin', password: 'Admin.Canary-1' },
      fresh: 'Fresh.Canary-1',
    });
    expect(await readFile(`${out}.env`, 'utf8')).toBe('/\n');
    expect(await readFile(`${out}.argv`, 'utf8')).toBe(`/bin/sh ${join(plugins, 'look')} `);
  });

  test('an account that changes itself hands over its own value and whoever logs in first', async () => {
    const out = join(plugins, 'self');
    await program('look', `cat >'${out}'`);
    const by = { mode: 'self', login: { user: 'app', credential: password('Old.Canary-1'), via: login() } } as const;
    await change(work({ program: 'look' }, { by }));
    expect(JSON.parse(await readFile(out, 'utf8'))).toMatchObject({
      current: 'Old.Canary-1',
      fresh: 'Fresh.Canary-1',
      via: { user: 'admin', password: 'Admin.Canary-1' },
    });
  });

  test('what it says of a secret is taken out of its words', async () => {
    await program('tell', 'echo "{\\"words\\":\\"I set Fresh.Canary-1 by Admin.Canary-1\\"}"; exit 10');
    expect((await change(work({ program: 'tell' }))).words).toBe('I set [secret] by [secret]');
  });

  test('it is killed with everything that it started when its time is over', async () => {
    const mark = `sleep 1000.${randomInt(1e9)}`;
    await program('slow', `${mark} & ${mark}`);
    expect(await change(work({ program: 'slow' }, { targetSeconds: 1 }))).toMatchObject({
      outcome: 'uncertain',
      class: 'timeout',
    });
    expect((await run(['pgrep', '-f', mark])).code).toBe(1);
  });

  test('it is killed with its connector, at the latest when its own time is over', async () => {
    const mark = `sleep 1000.${randomInt(1e9)}`;
    await program('orphan', mark);
    const job: Job = {
      connector,
      operation: 'change',
      work: work({ program: 'orphan' }, { targetSeconds: 2 }),
      fresh: value('x').fresh,
    };
    expect(await processRunner()(job, { deadlineMs: 1_000 }, never)).toMatchObject({ outcome: 'late' });
    await runWell(['sh', '-c', `while pgrep -f '${mark}' | grep -qvx $$; do sleep 0.05; done`]);
  });

  test('an answer without an end is no answer', async () => {
    await program('flood', 'yes');
    expect(await change(work({ program: 'flood' }))).toMatchObject({ outcome: 'uncertain', class: 'unexpected' });
  });

  test('steps that it does not do are left out, or done another way', async () => {
    await program(
      'only',
      'case $(cat) in *\'"change"\'*) exit 0;; *\'"verify"\'*Right*) exit 0;; *\'"verify"\'*) exit 10;; esac; exit 12',
    );
    const what = work({ program: 'only' });
    expect(await ask({ connector, operation: 'precheck', work: what })).toMatchObject({ outcome: 'confirmed' });
    expect(await ask({ connector, operation: 'reconcile', work: what, fresh: value('x').fresh })).toMatchObject({
      outcome: 'confirmed',
    });
    expect(await ask({ connector, operation: 'fence', work: what })).toMatchObject({
      outcome: 'uncertain',
      class: 'unsupported',
    });
    const candidates = ['Wrong-1', 'Wrong-2', 'Wrong-3', 'Right-1'].map(password);
    const { each } = await ask({ connector, operation: 'adminverify', task: what, candidates, budget: 2 });
    expect(each?.map((one) => one.class)).toEqual(['unexpected', 'unexpected', 'budget', 'budget']);
  });

  test('candidates that it answers for are all there, or none is believed', async () => {
    const what = work({ program: 'judge' });
    const job: Job = {
      connector,
      operation: 'adminverify',
      task: what,
      candidates: ['a', 'b'].map(password),
      budget: 2,
    };
    await program('judge', 'echo \'{"each":[{"answer":"rejected"},{"answer":"accepted"}]}\'');
    expect((await ask(job)).each?.map((one) => one.answer)).toEqual(['rejected', 'accepted']);
    await program('judge', 'echo \'{"each":[{"answer":"accepted"}]}\'');
    expect((await ask(job)).each?.map((one) => one.answer)).toEqual(['unknown', 'unknown']);
    await program('judge', 'echo \'{"each":[{"answer":"maybe"},{"answer":"accepted"}]}\'');
    expect((await ask(job)).each?.map((one) => one.answer)).toEqual(['unknown', 'unknown']);
  });

  test.runIf(root)('without `network` it has none, not even to this machine', async () => {
    const out = join(plugins, 'interfaces');
    await program('offline', `cat /proc/net/route /proc/net/dev >'${out}'`);
    expect(await change(work({ program: 'offline', network: false }))).toMatchObject({ outcome: 'confirmed' });
    expect((await readFile(out, 'utf8')).match(/^\s*\w+:/gm)).toEqual([expect.stringContaining('lo:')]);
    await program('offline', 'exit 0');
    expect(await change(work({}, { settings: { program: 'offline' } }))).toMatchObject({ outcome: 'confirmed' });
  });

  test.runIf(root)('where nobody may take the network away, it is not run at all', async () => {
    const out = join(plugins, 'ran');
    await program('hopeful', `touch '${out}'`);
    const source = `
      const { runPlugin } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/rotation/connectors/script/run.ts'))});
      const limits = { network: false, seconds: 5 };
      const ran = await runPlugin(${JSON.stringify(join(plugins, 'hopeful'))}, new Uint8Array(0), limits, new AbortController().signal);
      console.log(JSON.stringify(ran));`;
    const without = ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin'];
    const { stdout } = await runWell([
      ...without,
      process.execPath,
      '--no-warnings',
      '--input-type=module',
      '-e',
      source,
    ]);
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'refused', words: expect.stringContaining('network') });
    await expect(readFile(out)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('a program that somebody else could have written is not run', async () => {
    const refused = { outcome: 'unsent', class: 'unsupported' };
    const at = (name: string, folder = plugins): Promise<Answer> =>
      change(work({ program: name }, { plugins: folder }));
    const file = join(plugins, 'guarded');
    await program('guarded', 'exit 0');
    expect(await at('guarded')).toMatchObject({ outcome: 'confirmed' });
    for (const mode of [0o775, 0o757, 0o644]) {
      await chmod(file, mode);
      expect(await at('guarded'), mode.toString(8)).toMatchObject(refused);
    }
    await chmod(file, 0o755);
    await symlink('/bin/true', join(plugins, 'link'));
    await mkdir(join(plugins, 'folder'));
    for (const name of ['link', 'folder', 'missing', '../bin/true', '.hidden', ''])
      expect(await at(name), name).toMatchObject(refused);
    expect(await change(work({}))).toMatchObject(refused);
    expect(await change(work({ program: 'guarded' }, { plugins: '/nowhere/at/all' }))).toMatchObject(refused);
    const open = join(plugins, 'open');
    await mkdir(open, { mode: 0o777 });
    await chmod(open, 0o777);
    await rename(file, join(open, 'guarded'));
    expect(await at('guarded', open)).toMatchObject(refused);
    if (root) {
      await chmod(open, 0o755);
      expect(await at('guarded', open)).toMatchObject({ outcome: 'confirmed' });
      await chown(join(open, 'guarded'), 65534, 65534);
      expect(await at('guarded', open)).toMatchObject(refused);
    }
  });
});

/**
 * A small OpenLDAP server for the sample plugin: LDAPS on 127.0.0.1, password policies, an administrator who stands under
 * them, and somebody without rights. Everything is in a temporary folder and ends with this process.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from './install.ts';
import { plainEnv, type Ran, run, runWell } from './run.ts';

export interface PluginSlapd extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly ca: string;
  /** Change records, by the root of the directory. */
  ldif(records: string): Promise<void>;
  /** Sets userPassword as an administrator would, and lifts every lock. */
  set(dn: string, password: string): Promise<void>;
  read(dn: string, attribute: string): Promise<string>;
  log(): string;
}

export const base = 'dc=example,dc=test';
export const people = `ou=people,${base}`;
export const managerPassword = 'Manager.Pass-1';
export const plainPassword = 'Plain.Pass-1';
const rootPassword = 'Root.Pass-1';

/** Ends the server when our end of its standard input closes, however this process dies. */
const watch = 'set -m; "$@" & child=$!; { cat >/dev/null; kill -9 $child; } & wait $child; kill -- -$! 2>/dev/null';

export async function startPluginSlapd(): Promise<PluginSlapd> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await mkdtempDisposable(join(tmpdir(), 'plugin-slapd-'))).path;
  const address = '127.0.0.1';
  const port = await freePort(address);
  const [certificate, key] = [join(folder, 'certificate'), join(folder, 'key')];
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const names = ['-subj', '/CN=lab', '-addext', `subjectAltName=IP:${address}`];
  await runWell(['openssl', ...request, ...names, '-keyout', key, '-out', certificate]);
  await mkdir(join(folder, 'data'));
  const lines = [
    ...['core', 'cosine', 'inetorgperson'].map((schema) => `include /etc/ldap/schema/${schema}.schema`),
    'modulepath /usr/lib/ldap',
    'moduleload back_mdb',
    'moduleload ppolicy',
    `TLSCertificateFile ${certificate}`,
    `TLSCertificateKeyFile ${key}`,
    'database mdb',
    `suffix "${base}"`,
    `rootdn "cn=root,${base}"`,
    `rootpw ${rootPassword}`,
    `directory ${folder}/data`,
    'maxsize 10485760',
    `access to attrs=userPassword by dn.exact="cn=manager,${base}" write by self write by anonymous auth by * none`,
    'access to * by users read by anonymous auth',
    'overlay ppolicy',
    `ppolicy_default "cn=default,${base}"`,
    'ppolicy_hash_cleartext',
  ];
  await writeFile(join(folder, 'slapd.conf'), lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
  const program = findProgram('slapd') ?? '/usr/sbin/slapd';
  const argv = [program, '-f', join(folder, 'slapd.conf'), '-h', `ldaps://${address}:${port}`, '-d', '256'];
  const child = spawn('bash', ['-c', watch, 'watch', ...argv], { stdio: ['pipe', 'ignore', 'pipe'], env: plainEnv });
  child.stdin.on('error', () => {});
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  undo.defer(async () => {
    const exited = once(child, 'exit');
    child.stdin.destroy();
    await exited;
  });
  while (!(await listens(address, port))) if (child.exitCode !== null) throw new Error(`slapd ended: ${log}`);

  const secret = join(folder, 'root-password');
  await writeFile(secret, rootPassword, { mode: 0o600 });
  const env = { ...plainEnv, LDAPTLS_CACERT: certificate };
  const asRoot = (tool: string, arguments_: readonly string[], input = ''): Promise<Ran> =>
    run([tool, '-x', '-H', `ldaps://${address}:${port}`, '-D', `cn=root,${base}`, '-y', secret, ...arguments_], {
      env,
      input,
    });
  const well = async (ran: Promise<Ran>): Promise<string> => {
    const { code, stdout, stderr } = await ran;
    if (code !== 0) throw new Error(stderr);
    return stdout;
  };
  const ldif = async (records: string): Promise<void> =>
    void (await well(asRoot('ldapmodify', ['-e', 'relax'], records)));
  await ldif(entries);
  const life = undo.move();
  return {
    address,
    port,
    ca: await readFile(certificate, 'utf8'),
    ldif,
    set: async (dn, password) => {
      const encoded = Buffer.from(password).toString('base64');
      await ldif(`dn: ${dn}\nchangetype: modify\nreplace: userPassword\nuserPassword:: ${encoded}\n`);
    },
    read: (dn, attribute) => well(asRoot('ldapsearch', ['-LLL', '-s', 'base', '-b', dn, attribute])),
    log: () => log,
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

const person = (name: string, password: string): string =>
  `dn: uid=${name},${people}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: ${name}\ncn: ${name}\nsn: ${name}\nuserPassword: ${password}\n`;

const entries = `dn: ${base}
changetype: add
objectClass: dcObject
objectClass: organization
o: example

dn: ${people}
changetype: add
objectClass: organizationalUnit

dn: cn=default,${base}
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

async function freePort(address: string): Promise<number> {
  const server = createServer().listen(0, address);
  await once(server, 'listening');
  const bound = server.address();
  server.close();
  await once(server, 'close');
  if (bound === null || typeof bound === 'string') throw new Error('no port on loopback');
  return bound.port;
}

function listens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

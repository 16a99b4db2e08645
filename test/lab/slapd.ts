/**
 * A real OpenLDAP server with the password policy overlay, on a free port of 127.0.0.1: LDAPS and LDAP with StartTLS,
 * everything in a temporary folder. It ends with this process.
 */
import { once } from 'node:events';
import { mkdir, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificates } from './certificates.ts';
import { findProgram, requirePackages } from './install.ts';
import { type Ran, run, runWell } from './run.ts';
import { startTethered } from './tethered.ts';

export interface LdapServer extends AsyncDisposable {
  readonly address: string;
  /** Of LDAPS, and of LDAP. */
  readonly ports: { readonly ldaps: number; readonly ldap: number };
  /** The name in its certificate; no name service knows it. */
  readonly name: string;
  readonly ca: string;
  readonly base: string;
  /** Stands above every rule and every policy. */
  readonly root: { readonly dn: string; readonly password: string };
  /** Change records as LDIF, by the root of the directory; `relax` allows what only the server writes. */
  ldif(records: string, options?: { readonly relax?: boolean }): Promise<void>;
  /** Attributes of one entry, as the root sees them. */
  read(dn: string, ...attributes: readonly string[]): Promise<Readonly<Record<string, string>>>;
  /** OpenLDAP's own client: a login, and its words. */
  whoami(dn: string, password: string): Promise<Ran>;
  /** What OpenLDAP's slappasswd makes of a password. */
  hash(scheme: string, password: string): Promise<string>;
  readonly log: () => string;
}

export interface LdapServerOptions {
  /** Lines of slapd.conf for the whole server, and behind the database. */
  readonly global?: readonly string[];
  readonly database?: readonly string[];
  /** What slapd prints about its work: a number for `-d`. */
  readonly debug?: number;
  /** Who may do what, as lines of slapd.conf. */
  readonly access: readonly string[];
}

export async function startLdapServer(options: LdapServerOptions): Promise<LdapServer> {
  await requirePackages(['slapd', 'ldap-utils', 'openssl']);
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await mkdtempDisposable(join(tmpdir(), 'lab-ldap-'))).path;
  const address = '127.0.0.1';
  const name = 'ldap.example.test';
  const base = 'dc=example,dc=test';
  const root = { dn: `cn=root,${base}`, password: 'Root.Pass-1' };
  const certificates = await makeCertificates(folder, { dns: [name], ip: [address] });
  const ports = { ldaps: await freePort(address), ldap: await freePort(address) };
  await mkdir(join(folder, 'data'));
  const schemas = ['core', 'cosine', 'inetorgperson'].map((schema) => `include /etc/ldap/schema/${schema}.schema`);
  const lines = [
    ...schemas,
    'modulepath /usr/lib/ldap',
    'moduleload back_mdb',
    'moduleload ppolicy',
    'sizelimit 500',
    `pidfile ${folder}/pid`,
    `TLSCACertificateFile ${certificates.caFile}`,
    `TLSCertificateFile ${certificates.certificateFile}`,
    `TLSCertificateKeyFile ${certificates.keyFile}`,
    ...(options.global ?? []),
    'database mdb',
    `suffix "${base}"`,
    `rootdn "${root.dn}"`,
    `rootpw ${root.password}`,
    `directory ${folder}/data`,
    'maxsize 10485760',
    ...options.access,
    'overlay ppolicy',
    `ppolicy_default "cn=default,ou=policies,${base}"`,
    'ppolicy_hash_cleartext',
    ...(options.database ?? []),
  ];
  await writeFile(join(folder, 'slapd.conf'), lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
  const where = `ldap://${address}:${ports.ldap} ldaps://${address}:${ports.ldaps}`;
  const program = findProgram('slapd') ?? '/usr/sbin/slapd';
  const argv = [program, '-f', join(folder, 'slapd.conf'), '-h', where, '-d', String(options.debug ?? 0)];
  const running = undo.use(await startTethered(argv, address, [ports.ldap, ports.ldaps]));

  const secret = join(folder, 'root-password');
  await writeFile(secret, root.password, { mode: 0o600 });
  const uri = ['-x', '-H', `ldap://${address}:${ports.ldap}`];
  const asRoot = [...uri, '-D', root.dn, '-y', secret];
  const life = undo.move();
  return {
    address,
    ports,
    name,
    ca: await readFile(certificates.caFile, 'utf8'),
    base,
    root,
    ldif: async (records, { relax = false } = {}) =>
      void (await runWell(['ldapmodify', ...asRoot, ...(relax ? ['-e', 'relax'] : [])], { input: records })),
    read: async (dn, ...attributes) => {
      const { stdout } = await runWell([
        'ldapsearch',
        ...asRoot,
        '-LLL',
        '-o',
        'ldif-wrap=no',
        '-s',
        'base',
        '-b',
        dn,
        ...attributes,
      ]);
      return Object.fromEntries(
        [...stdout.matchAll(/^(\S+?)::? (.*)$/gm)].map(([, key = '', value = '']) => [key, value]),
      );
    },
    whoami: async (dn, password) => {
      const file = join(folder, 'given-password');
      await writeFile(file, password, { mode: 0o600 });
      return run(['ldapwhoami', ...uri, '-D', dn, '-y', file, '-e', 'ppolicy']);
    },
    hash: async (scheme, password) => {
      const file = join(folder, 'given-password');
      await writeFile(file, password, { mode: 0o600 });
      // It keeps only the last of several modules.
      const module = scheme === '{ARGON2}' ? 'argon2' : 'pw-sha2';
      const load = ['-o', 'module-path=/usr/lib/ldap', '-o', `module-load=${module}`];
      const argv = ['slappasswd', ...load, '-h', scheme, '-T', file];
      return (await runWell(argv)).stdout.trim();
    },
    log: running.output,
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

async function freePort(address: string): Promise<number> {
  const server = createServer().listen(0, address);
  await once(server, 'listening');
  const bound = server.address();
  server.close();
  await once(server, 'close');
  if (bound === null || typeof bound === 'string') throw new Error(`no port on ${address}`);
  return bound.port;
}

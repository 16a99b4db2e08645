/**
 * A real Active Directory domain: Samba's domain controller, provisioned into a temporary folder, on a loopback address
 * of its own with the usual ports (389, 636, 88, 464). Only as root. It serves LDAP and Kerberos and nothing else, and it
 * ends with this process.
 */
import { randomInt } from 'node:crypto';
import { mkdir, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificates } from './certificates.ts';
import { requirePackages } from './install.ts';
import { plainEnv, type Ran, run, runWell } from './run.ts';
import { startTethered } from './tethered.ts';

export interface DomainController extends AsyncDisposable {
  readonly address: string;
  readonly realm: string;
  readonly base: string;
  /** The name in its certificate; no name service knows it. */
  readonly name: string;
  /** Who signed its certificate, as PEM. */
  readonly ca: string;
  readonly administrator: { readonly name: string; readonly password: string };
  /** Runs samba-tool on its database. No secrets in the arguments. */
  tool(...argv: readonly string[]): Promise<Ran>;
  /** Changes entries behind the server's back, and past all rights: LDIF change records. */
  ldif(records: string): Promise<void>;
  /** As `ldif`, past the rules of the directory too: what is written is what stands there. */
  raw(records: string): Promise<void>;
  /** Values of one entry's attributes, as ldbsearch shows them. */
  read(filter: string, ...attributes: readonly string[]): Promise<Readonly<Record<string, string>>>;
  /** MIT's kinit: whether it gets a ticket, and its words. */
  kinit(user: string, password: string): Promise<Ran>;
  /** What the server has logged so far. */
  readonly log: () => string;
}

export async function startDomainController(options: { readonly logLevel?: number } = {}): Promise<DomainController> {
  await requirePackages([
    'samba',
    'samba-ad-dc',
    'samba-ad-provision',
    'samba-dsdb-modules',
    'ldb-tools',
    'krb5-user',
    'openssl',
  ]);
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await mkdtempDisposable(join(tmpdir(), 'lab-ad-'))).path;
  const address = `127.${randomInt(1, 255)}.${randomInt(256)}.${randomInt(1, 255)}`;
  const [realm, name, password] = ['EXAMPLE.TEST', 'dc1.example.test', 'Administrator.Pass-1'];
  const configuration = join(folder, 'smb.conf');
  const database = join(folder, 'private/sam.ldb');

  const argv = [
    '--realm',
    realm,
    '--domain',
    'EXAMPLE',
    '--host-name',
    'dc1',
    '--host-ip',
    address,
    '--server-role',
    'dc',
  ];
  // The first password of a domain that nobody else can reach; samba-tool takes it no other way.
  const rest = ['--dns-backend', 'NONE', '--adminpass', password, '--targetdir', folder, '--configfile', configuration];
  await writeFile(configuration, settings(folder, address, 0));
  await runWell(['samba-tool', 'domain', 'provision', ...argv, ...rest]);
  for (const place of ['run', 'ncalrpc', 'tls']) await mkdir(join(folder, place), { recursive: true });
  const certificates = await makeCertificates(join(folder, 'tls'), { dns: [name], ip: [address] });
  await writeFile(configuration, settings(folder, address, options.logLevel ?? 0));
  const realms = `[realms]\n ${realm} = {\n  kdc = ${address}:88\n }\n`;
  const defaults = `[libdefaults]\n default_realm = ${realm}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n rdns = false\n`;
  await writeFile(join(folder, 'krb5.conf'), defaults + realms);

  const server = ['samba', '-s', configuration, '-i', '-M', 'single', '--no-process-group'];
  const running = undo.use(await startTethered(server, address, [636, 88, 464]));
  const kerberos = {
    ...plainEnv,
    KRB5_CONFIG: join(folder, 'krb5.conf'),
    KRB5CCNAME: `FILE:${join(folder, 'tickets')}`,
  };
  const life = undo.move();
  return {
    address,
    realm,
    base: 'DC=example,DC=test',
    name,
    ca: await readFile(certificates.caFile, 'utf8'),
    administrator: { name: 'Administrator', password },
    tool: (...words) => runWell(['samba-tool', ...words, '-s', configuration, '-H', database]),
    ldif: async (records) => void (await runWell(['ldbmodify', '-H', database], { input: records })),
    raw: async (records) => {
      const partition = join(folder, 'private/sam.ldb.d/DC=EXAMPLE,DC=TEST.ldb');
      await runWell(['ldbmodify', '-H', partition], { input: records });
    },
    read: async (filter, ...attributes) => {
      const { stdout } = await runWell(['ldbsearch', '-H', database, filter, ...attributes]);
      return Object.fromEntries(
        [...stdout.matchAll(/^(\S+): (.*)$/gm)].map(([, key = '', value = '']) => [key, value]),
      );
    },
    kinit: (user, given) => run(['kinit', user], { input: `${given}\n`, env: kerberos }),
    log: running.output,
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

/** Nothing of the machine's own configuration takes part. */
function settings(folder: string, address: string, logLevel: number): string {
  const lines = {
    'netbios name': 'DC1',
    realm: 'EXAMPLE.TEST',
    workgroup: 'EXAMPLE',
    'server role': 'active directory domain controller',
    'server services': 'ldap, kdc',
    interfaces: `${address}/8`,
    'bind interfaces only': 'yes',
    'private dir': join(folder, 'private'),
    'lock directory': folder,
    'state directory': join(folder, 'state'),
    'cache directory': join(folder, 'cache'),
    'binddns dir': join(folder, 'bind-dns'),
    'pid directory': join(folder, 'run'),
    'ncalrpc dir': join(folder, 'ncalrpc'),
    'tls cafile': join(folder, 'tls/ca.pem'),
    'tls certfile': join(folder, 'tls/cert.pem'),
    'tls keyfile': join(folder, 'tls/key.pem'),
    'log level': String(logLevel),
  };
  return `[global]\n${Object.entries(lines)
    .map(([key, value]) => `  ${key} = ${value}\n`)
    .join('')}`;
}

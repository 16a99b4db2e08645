/**
 * The configuration: flags, then environment (`SALLYPORT_…`), then a YAML file, then defaults; read once, checked once.
 * There is no secret in it but `databaseUrl`, which may carry a password and therefore never comes from a flag.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { parse } from 'yaml';
import { codeOf, defineErrors, SallyportError, wordsOf } from './base/errors.ts';
import { isZone } from './base/zones.ts';

export const configErrors = defineErrors({
  'config.unreadable': {
    meaning: 'the configuration file cannot be read',
    remedy: 'check the path given by --config or SALLYPORT_CONFIG, and that it is YAML',
  },
  'config.invalid': {
    meaning: 'the configuration has a value that cannot be used',
    remedy: 'correct the named setting; docs/configuration.md lists them all',
  },
  'config.events-in-clear': {
    meaning: 'events would come over a network in clear',
    remedy:
      'give `events.certificate` and `events.key`, or listen on 127.0.0.1 or ::1 behind a proxy of yours that speaks https',
  },
});

export class ConfigError extends SallyportError<keyof typeof configErrors> {
  constructor(code: keyof typeof configErrors, detail: string, options?: ErrorOptions) {
    super(code, configErrors[code], detail, options);
  }
}

const Settings = Type.Object(
  {
    /** Everything that Sallyport writes, but the root key. */
    data: Type.String({ minLength: 1 }),
    /** The key that opens the vault; never inside `data`. */
    rootKey: Type.String({ minLength: 1 }),
    /** A PostgreSQL server of yours. Without it Sallyport runs one of its own. */
    databaseUrl: Type.Optional(Type.String({ minLength: 1 })),
    ssh: Type.Object(
      { address: Type.String({ minLength: 1 }), port: Type.Integer({ minimum: 0, maximum: 65535 }) },
      { additionalProperties: false },
    ),
    /** Where clients of RDP come in; `off` in place of it: nowhere. */
    rdp: Type.Optional(
      Type.Object(
        {
          address: Type.String({ minLength: 1 }),
          port: Type.Integer({ minimum: 0, maximum: 65535 }),
          /** How people write the gate: for its certificate, and for `.rdp` files the first one. */
          names: Type.Array(Type.String({ pattern: '^[A-Za-z0-9:]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9:])?$' }), {
            maxItems: 32,
          }),
          /** Files in PEM to show in place of a certificate of our own. */
          certificate: Type.Optional(Type.String({ minLength: 1 })),
          key: Type.Optional(Type.String({ minLength: 1 })),
        },
        { additionalProperties: false },
      ),
    ),
    /** Where the databases of other nodes reach ours, over TLS; `host` is how they write it. */
    node: Type.Optional(
      Type.Object(
        {
          address: Type.String({ minLength: 1 }),
          port: Type.Integer({ minimum: 1, maximum: 65535 }),
          host: Type.String({ pattern: '^[A-Za-z0-9.:_-]{1,253}$' }),
        },
        { additionalProperties: false },
      ),
    ),
    /** Where signed events come in: https with a certificate, and without one only on this machine. */
    events: Type.Optional(
      Type.Object(
        {
          address: Type.String({ minLength: 1 }),
          port: Type.Integer({ minimum: 0, maximum: 65535 }),
          /** Files in PEM: the chain, and its key. */
          certificate: Type.Optional(Type.String({ minLength: 1 })),
          key: Type.Optional(Type.String({ minLength: 1 })),
        },
        { additionalProperties: false },
      ),
    ),
    /** Gate processes; each takes its share of the connections. */
    gates: Type.Integer({ minimum: 1, maximum: 256 }),
    /** Seconds that running sessions get to end by themselves when Sallyport is stopped. */
    drainSeconds: Type.Integer({ minimum: 0, maximum: 86_400 }),
    /** Seconds that running sessions go on without an answering keeper, and a keeper waits for gates to come back. */
    comebackSeconds: Type.Integer({ minimum: 1, maximum: 300 }),
    /** Seconds that one step of a change on a target may take, a login included, before it counts as cut off. */
    connectorSeconds: Type.Integer({ minimum: 9, maximum: 3600 }),
    rotation: Type.Object(
      {
        /** Conflicts are resolved by trying the candidates, without being asked. */
        automaticResolution: Type.Boolean(),
        /** Accounts in one batch of automatic resolution. */
        batchLimit: Type.Integer({ minimum: 1, maximum: 1000 }),
        /** Changes at a time: on one target, and in all. */
        perTarget: Type.Integer({ minimum: 1, maximum: 256 }),
        overall: Type.Integer({ minimum: 1, maximum: 256 }),
        /** A current credential is tried at its target so often; 0 never. */
        heartbeatHours: Type.Integer({ minimum: 0, maximum: 8784 }),
        /** Once a day all accounts are looked at for conflicts: the time on the wall clock of a zone, or `never`. */
        discoverAt: Type.String({ pattern: '^(([01]\\d|2[0-3]):[0-5]\\d|never)$' }),
        discoverZone: Type.String({ minLength: 1, maxLength: 64 }),
      },
      { additionalProperties: false },
    ),
    /** Programs of yours that change passwords where no connector does. */
    plugins: Type.String({ minLength: 1 }),
    logLevel: Type.Enum(['debug', 'info', 'warn', 'error', 'silent']),
  },
  { additionalProperties: false },
);

export type Config = Readonly<Static<typeof Settings>>;

/** The settings that a command line may give. */
export interface Flags {
  readonly config?: string;
  readonly data?: string;
  readonly rootKey?: string;
  readonly sshListen?: string;
  readonly rdpListen?: string;
  readonly nodeListen?: string;
  readonly gates?: string;
  readonly logLevel?: string;
}

/** Where Sallyport keeps its state unless told otherwise: `/var/lib/sallyport` for root, below the home folder for others. */
export function defaultData(env: NodeJS.ProcessEnv): string {
  if (process.getuid?.() === 0) return '/var/lib/sallyport';
  return join(env['XDG_DATA_HOME'] ?? join(homedir(), '.local/share'), 'sallyport');
}

function defaultRootKey(env: NodeJS.ProcessEnv): string {
  if (process.getuid?.() === 0) return '/etc/sallyport/root.key';
  return join(env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config'), 'sallyport/root.key');
}

function defaultPlugins(env: NodeJS.ProcessEnv): string {
  if (process.getuid?.() === 0) return '/etc/sallyport/plugins';
  return join(env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config'), 'sallyport/plugins');
}

/** Throws `config.unreadable` or `config.invalid`, naming the setting. */
export function readConfig(flags: Flags, env: NodeJS.ProcessEnv): Config {
  const path = flags.config ?? env['SALLYPORT_CONFIG'];
  const file = path === undefined ? {} : readFile(path);
  const ssh: unknown = file['ssh'] ?? {};
  if (typeof ssh !== 'object' || ssh === null || Array.isArray(ssh))
    throw new ConfigError('config.invalid', 'ssh must have an address and a port of their own');
  const listen = flags.sshListen ?? env['SALLYPORT_SSH_LISTEN'];
  const pathOf = (flag: string | undefined, name: string, key: string, usual: string): string => {
    const given = flag ?? env[name] ?? file[key] ?? usual;
    if (typeof given !== 'string' || given === '') throw new ConfigError('config.invalid', `${key} must be a path`);
    return resolve(given);
  };
  const settings: Record<string, unknown> = {
    ...file,
    data: pathOf(flags.data, 'SALLYPORT_DATA', 'data', defaultData(env)),
    rootKey: pathOf(flags.rootKey, 'SALLYPORT_ROOT_KEY', 'rootKey', defaultRootKey(env)),
    ssh: { address: '127.0.0.1', port: 2222, ...ssh, ...(listen === undefined ? {} : parseListen(listen)) },
    gates: whole(flags.gates ?? env['SALLYPORT_GATES'] ?? file['gates'] ?? 1),
    drainSeconds: whole(env['SALLYPORT_DRAIN_SECONDS'] ?? file['drainSeconds'] ?? 30),
    comebackSeconds: whole(env['SALLYPORT_COMEBACK_SECONDS'] ?? file['comebackSeconds'] ?? 30),
    connectorSeconds: whole(env['SALLYPORT_CONNECTOR_SECONDS'] ?? file['connectorSeconds'] ?? 60),
    rotation: { ...usualRotation, ...section(file, 'rotation') },
    plugins: pathOf(undefined, 'SALLYPORT_PLUGINS', 'plugins', defaultPlugins(env)),
    logLevel: flags.logLevel ?? env['SALLYPORT_LOG_LEVEL'] ?? file['logLevel'] ?? 'info',
  };
  const node = nodeOf(flags.nodeListen ?? env['SALLYPORT_NODE_LISTEN'], env['SALLYPORT_NODE_HOST'], file['node']);
  if (node === undefined) delete settings['node'];
  else settings['node'] = node;
  const rdp = rdpOf(flags.rdpListen ?? env['SALLYPORT_RDP_LISTEN'], env['SALLYPORT_RDP_NAMES'], file);
  if (rdp === undefined) delete settings['rdp'];
  else settings['rdp'] = rdp;
  const events = eventsOf(file);
  if (events !== undefined) settings['events'] = events;
  const databaseUrl = env['DATABASE_URL'] ?? file['databaseUrl'];
  if (databaseUrl !== undefined) settings['databaseUrl'] = databaseUrl;
  if (Value.Check(Settings, settings)) {
    mustNotBeInClear(settings.events);
    mustBeBoth(settings.rdp);
    const { discoverZone } = settings.rotation;
    if (!isZone(discoverZone))
      throw new ConfigError('config.invalid', `rotation.discoverZone: there is no time zone ${discoverZone}`);
    return settings;
  }
  const wrong = Value.Errors(Settings, settings)[0];
  throw new ConfigError('config.invalid', `${nameOf(wrong)} ${wrong?.message ?? ''}`.trim());
}

const usualRotation = {
  automaticResolution: true,
  batchLimit: 50,
  perTarget: 2,
  overall: 8,
  heartbeatHours: 24,
  discoverAt: '03:00',
  discoverZone: 'UTC',
};

/** A group of settings of the file. */
function section(file: Record<string, unknown>, name: string): object {
  const found = file[name] ?? {};
  if (typeof found === 'object' && !Array.isArray(found)) return found;
  throw new ConfigError('config.invalid', `${name} must be a group of settings`);
}

/** Undefined where nobody is to come in. Others reach it at the address unless told how they write it. */
function nodeOf(listen: string | undefined, host: string | undefined, file: unknown): object | undefined {
  if (file !== undefined && (typeof file !== 'object' || file === null || Array.isArray(file)))
    throw new ConfigError('config.invalid', 'node must have an address and a port of its own');
  if (listen === undefined && file === undefined) return undefined;
  const at = { ...file, ...(listen === undefined ? {} : parseListen(listen)), ...(host === undefined ? {} : { host }) };
  const { address } = at as { address?: unknown };
  return { host: address, ...at };
}

/** Undefined where nobody is to come in. Its usual port leaves that of this machine's own desktop free. */
function rdpOf(
  listen: string | undefined,
  names: string | undefined,
  file: Record<string, unknown>,
): object | undefined {
  if (listen === 'off' || (listen === undefined && file['rdp'] === 'off')) return undefined;
  const given = file['rdp'] === 'off' ? {} : section(file, 'rdp');
  const listed = names?.split(',').map((name) => name.trim());
  return withPaths({
    address: '127.0.0.1',
    port: 13389,
    names: [],
    ...given,
    ...(listed === undefined ? {} : { names: listed }),
    ...(listen === undefined ? {} : parseListen(listen)),
  });
}

/** Undefined where nobody is to send events. */
function eventsOf(file: Record<string, unknown>): object | undefined {
  if (file['events'] === undefined) return undefined;
  return withPaths({ address: '127.0.0.1', ...section(file, 'events') });
}

/** Paths are taken from where the command was started. */
function withPaths(at: object): object {
  const paths = Object.entries(at).map(([name, value]) =>
    (name === 'certificate' || name === 'key') && typeof value === 'string' && value !== ''
      ? [name, resolve(value)]
      : [name, value],
  );
  return Object.fromEntries(paths) as object;
}

function mustBeBoth(rdp: Config['rdp']): void {
  if ((rdp?.certificate === undefined) !== (rdp?.key === undefined))
    throw new ConfigError('config.invalid', `rdp.${rdp?.key === undefined ? 'key' : 'certificate'} is missing`);
}

/** Names are no loopback addresses, whatever they mean today. */
function mustNotBeInClear(events: Config['events']): void {
  if (events === undefined) return;
  const { address, certificate, key } = events;
  if ((certificate === undefined) !== (key === undefined))
    throw new ConfigError('config.invalid', `events.${key === undefined ? 'key' : 'certificate'} is missing`);
  if (certificate === undefined && !/^(?:127(?:\.\d{1,3}){3}|::1)$/.test(address))
    throw new ConfigError('config.events-in-clear', `events.address ${address}`);
}

/** The setting that is wrong: of one that does not exist, its own name and not that of what it stands in. */
function nameOf(wrong: ReturnType<typeof Value.Errors>[number] | undefined): string {
  const path = (wrong?.instancePath ?? '').slice(1).replaceAll('/', '.');
  const strange = wrong?.keyword === 'additionalProperties' ? wrong.params.additionalProperties[0] : undefined;
  return [path, strange].filter((part) => part !== undefined && part !== '').join('.');
}

/** Flags and environment are text: a number is digits there, and nothing else that JavaScript would take for one. */
function whole(given: unknown): unknown {
  return typeof given === 'string' && /^\d{1,9}$/.test(given) ? Number(given) : given;
}

/** `2222`, `127.0.0.1:2222` or `[::1]:2222`. */
function parseListen(text: string): { address?: string; port: number } {
  const match = /^(?:(?:\[([^\]]+)\]|([^:]+)):)?(\d{1,5})$/.exec(text);
  if (match === null)
    throw new ConfigError('config.invalid', `listen address ${JSON.stringify(text)} is not ADDRESS:PORT`);
  const address = match[1] ?? match[2];
  return { ...(address === undefined ? {} : { address }), port: Number(match[3]) };
}

function readFile(path: string): Record<string, unknown> {
  try {
    const value: unknown = parse(readFileSync(path, 'utf8')) ?? {};
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new Error('it is not a list of settings');
    return value as Record<string, unknown>;
  } catch (error) {
    // The first line only, and no cause: behind it the parser quotes the file, where databaseUrl may hold a password.
    const words = codeOf(error) === 'ENOENT' ? 'no such file' : wordsOf(error).replace(/:?\n[^]*$/, '');
    throw new ConfigError('config.unreadable', `${path}: ${words}`);
  }
}

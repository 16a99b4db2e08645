/** What the work between nodes needs: both sides of our own database, the files that its server reads, and the vault. */
import type { Clock } from '../../base/clock.ts';
import { codeOf, wordsOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { type Db, openPeer } from '../../db/db.ts';
import type { PeerFiles } from '../../db/embedded.ts';
import type { Vault } from '../../vault/vault.ts';
import { type Card, readCard, writeCard } from './card.ts';
import { NodeError } from './errors.ts';
import { identityOf } from './identity.ts';
import { peerRoleName } from './repl-role.ts';
import type { Source } from './subscription.ts';

export interface Neighbourhood {
  readonly db: Db;
  /** The superuser: subscriptions are his, and the tables that say who this node is. */
  readonly admin: Db;
  readonly files: PeerFiles;
  /** Where other nodes reach our database. */
  readonly host: string;
  readonly port: number;
  readonly vault: Vault;
  readonly log: Log;
  readonly clock: Clock;
  readonly sealedElsewhere: () => Promise<boolean>;
}

/** This node's name; throws `nodes.not-named`. */
export async function ownName({ db }: Pick<Neighbourhood, 'db'>): Promise<string> {
  const { name } = await identityOf(db);
  if (name === null) throw new NodeError('nodes.not-named');
  return name;
}

export async function sealCard(vault: Vault, card: Card): Promise<Uint8Array> {
  using bytes = writeCard(card);
  return Buffer.from(await vault.sealBytes(cardContext(card.name), bytes.reveal()));
}

/** Opens a card that was sealed for this name. Throws `vault.tampered`, and `nodes.letter-refused` if it is no card. */
export async function openCard(vault: Vault, name: string, sealed: Uint8Array): Promise<Card> {
  using bytes = await vault.openSealed(cardContext(name), sealed);
  const card = readCard(bytes.reveal());
  if (card?.name !== name) throw new NodeError('nodes.letter-refused', `the card of ${name}`);
  return card;
}

/** What a sealed card is bound to. */
export function cardContext(name: string): string {
  return `node-card/${name}`;
}

/** Names of all peers. */
export async function peerNames({ db }: Pick<Neighbourhood, 'db'>): Promise<readonly string[]> {
  return (await db.selectFrom('node_peer').select('name').orderBy('name').execute()).map((row) => row.name);
}

/** A peer's card; throws `nodes.peer-unknown`. */
export async function cardOf({ db, vault }: Neighbourhood, name: string): Promise<Card> {
  const row = await db.selectFrom('node_peer').select('card').where('name', '=', name).executeTakeFirst();
  if (row === undefined) throw new NodeError('nodes.peer-unknown', name);
  return openCard(vault, name, row.card);
}

/** Files of a peer, whatever it is called: none of these names can be that of a file of our own. */
export function filesOf(peer: string): readonly [certificate: string, password: string] {
  return [`peer-${peer}.pem`, `peer-${peer}.pgpass`];
}

/**
 * Puts certificate and password where our server reads them, and says how it reaches the peer with them. It is good as long
 * as the card is not disposed of.
 */
export function sourceOf({ files, log }: Pick<Neighbourhood, 'files' | 'log'>, card: Card): Source {
  const { name, host, port } = card;
  const [certificateFile, passwordFile] = filesOf(name);
  const certificate = files.write(certificateFile, card.certificate);
  // One line of libpq's password file; a colon inside a field is written with a backslash.
  const line = `${host.replaceAll(':', '\\:')}:${port}:*:${peerRoleName}:${card.password.revealText()}\n`;
  const passfile = files.write(passwordFile, line);
  const parts = {
    host,
    port,
    dbname: 'sallyport',
    user: peerRoleName,
    passfile,
    sslmode: 'verify-ca',
    sslrootcert: certificate,
    channel_binding: 'require',
    connect_timeout: 10,
  };
  const conninfo = Object.entries(parts).map(([key, value]) => `${key}='${quoted(String(value))}'`);
  return { name, conninfo: conninfo.join(' '), open: () => openPeer(card, log) };
}

function quoted(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll("'", "\\'");
}

/** Works on a peer's database for a moment; undefined if it does not answer, or not before the signal. */
export async function withPeer<T>(
  { log }: Pick<Neighbourhood, 'log'>,
  card: Card,
  work: (peer: Db) => Promise<T>,
  signal?: AbortSignal,
): Promise<T | undefined> {
  const peer = await openOrNot(log, card, signal);
  return typeof peer === 'string' ? undefined : workOn(log, card, peer, work, signal);
}

/** The same, but says of a peer that answered whether it is the password that it does not take. */
export async function askPeer<T>(
  { log }: Pick<Neighbourhood, 'log'>,
  card: Card,
  work: (peer: Db) => Promise<T>,
  signal?: AbortSignal,
): Promise<T | 'shut-out' | undefined> {
  const peer = await openOrNot(log, card, signal);
  if (peer === 'shut-out') return peer;
  return peer === 'silent' ? undefined : workOn(log, card, peer, work, signal);
}

const wrongPassword = '28P01';

async function openOrNot(log: Log, card: Card, signal?: AbortSignal): Promise<Db | 'shut-out' | 'silent'> {
  try {
    return await openPeer(card, log, signal);
  } catch (error) {
    log.debug({ peer: card.name }, `another node does not answer: ${wordsOf(error)}`);
    return error instanceof Error && codeOf(error.cause) === wrongPassword ? 'shut-out' : 'silent';
  }
}

async function workOn<T>(
  log: Log,
  card: Card,
  peer: Db,
  work: (peer: Db) => Promise<T>,
  signal?: AbortSignal,
): Promise<T | undefined> {
  try {
    return await work(peer);
  } catch (error) {
    if (signal?.aborted !== true) throw error;
    log.debug({ peer: card.name }, `another node did not answer in time: ${wordsOf(error)}`);
    return undefined;
  } finally {
    await peer.destroy();
  }
}

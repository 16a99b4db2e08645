/**
 * Letters between nodes: what cannot travel as a fact, because it is about the way facts travel. A letter is sealed under
 * the key ring that all nodes share, so who wrote one has the root key; it names its writer, its reader and its time, so
 * that one that was kept and sent again says nothing new.
 */
import { sql } from 'kysely';
import { text, utf8 } from '../../base/bytes.ts';
import { wordsOf } from '../../base/errors.ts';
import type { Vault } from '../../vault/vault.ts';
import { isNodeName } from '../plan/site.ts';
import type { Card } from './card.ts';
import { NodeError } from './errors.ts';
import { type Neighbourhood, withPeer } from './neighbourhood.ts';

/** `join`: hear me, here is my card. `renew`: copy my facts anew. `leave`: hear me no more. */
export type LetterKind = 'join' | 'renew' | 'leave';

export interface Letter {
  readonly kind: LetterKind;
  readonly from: string;
  readonly to: string;
  /** Milliseconds since 1970, by the writer's clock. */
  readonly at: number;
  /** Sealed once more, as it is kept; only of `join`. */
  readonly card?: string;
  /** When the invitation was made by which the writer joined, if it did; only of `join`. */
  readonly invited?: number;
}

const context = 'node-letter';
const kinds: readonly string[] = ['join', 'renew', 'leave'] satisfies LetterKind[];
/** One that was under way for longer is not read: clocks of two nodes may differ by less than this. */
const oldestMs = 24 * 3_600_000;

export async function sealLetter(vault: Vault, letter: Letter): Promise<Uint8Array> {
  return Buffer.from(await vault.sealBytes(context, utf8(JSON.stringify(letter))));
}

/** Throws `vault.tampered`, or `nodes.letter-refused` with what is wrong. */
export async function openLetter(vault: Vault, sealed: Uint8Array, reader: string, now: number): Promise<Letter> {
  using bytes = await vault.openSealed(context, sealed);
  let found: unknown;
  try {
    found = JSON.parse(text(bytes.reveal()));
  } catch (error) {
    throw new NodeError('nodes.letter-refused', wordsOf(error));
  }
  const { kind, from, to, at, card, invited } = (found ?? {}) as Record<string, unknown>;
  if (typeof kind !== 'string' || !kinds.includes(kind) || typeof from !== 'string' || !isNodeName(from))
    throw new NodeError('nodes.letter-refused', 'it is not in the form of one');
  if (to !== reader || from === reader) throw new NodeError('nodes.letter-refused', `it is for ${String(to)}`);
  if (typeof at !== 'number' || Math.abs(now - at) > oldestMs)
    throw new NodeError('nodes.letter-refused', 'it is too old');
  if (card !== undefined && typeof card !== 'string') throw new NodeError('nodes.letter-refused', 'its card is none');
  if (invited !== undefined && typeof invited !== 'number')
    throw new NodeError('nodes.letter-refused', 'its invitation is none');
  const more = { ...(card === undefined ? {} : { card }), ...(invited === undefined ? {} : { invited }) };
  return { kind: kind as LetterKind, from, to, at, ...more };
}

/** Leaves a letter at a peer. False if it does not answer. */
export async function post(
  near: Neighbourhood,
  to: Card,
  letter: Omit<Letter, 'to' | 'at'>,
  vault: Vault = near.vault,
): Promise<boolean> {
  const sealed = await sealLetter(vault, { ...letter, to: to.name, at: await nextTime(near) });
  const sent = await withPeer(near, to, async (peer) => {
    await sql`SELECT node_knock(${Buffer.from(sealed)})`.execute(peer);
    return true;
  });
  return sent === true;
}

/** The reader takes no letter that is not younger than the last one: so it is, whatever the clock does. */
async function nextTime({ admin, clock }: Neighbourhood): Promise<number> {
  const { rows } = await sql<{
    at: number;
  }>`UPDATE ledger_node SET letter_at = greatest(letter_at + 1, ${clock.now()}::bigint)
    RETURNING letter_at AS at`.execute(admin);
  return rows[0]?.at ?? clock.now();
}

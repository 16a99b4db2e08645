/**
 * Event sources: who may ask for changes by a signed event, and of which accounts. A source's key is drawn here, sealed,
 * and handed out once; from then on it is opened only to check a signature. Their messages are judged in
 * `triggers/event.ts`.
 */
import { randomBytes } from 'node:crypto';
import { type Actor, record } from '../audit/audit.ts';
import { codeOf } from '../base/errors.ts';
import type { EventSourceId } from '../base/ids.ts';
import { newId } from '../base/new-id.ts';
import { Secret } from '../base/secret.ts';
import type { Db } from '../db/db.ts';
import { inTransaction } from '../db/db.ts';
import type { Vault } from '../vault/vault.ts';
import { actorName } from './change/outcome.ts';
import type { Context } from './context.ts';
import { parseReach } from './plan/reach.ts';
import { type RotationRefusal, turnDown } from './refusal.ts';

const nameShape = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const mostSelectors = 100;

export interface EventSource {
  readonly name: string;
  /** Selectors: `root@web-01`, `*@web-01`, `root@*`. */
  readonly reach: readonly string[];
  readonly madeBy: string;
  readonly madeAt: Date;
  /** When its last message was taken. */
  readonly lastUsedAt: Date | null;
}

/** All sources by name. */
export async function eventSources(db: Db): Promise<EventSource[]> {
  const rows = await db.selectFrom('event_source').selectAll().orderBy('name').execute();
  return rows.map((row) => ({
    name: row.name,
    reach: row.reach,
    madeBy: row.made_by,
    madeAt: row.made_at,
    lastUsedAt: row.last_used_at,
  }));
}

/**
 * Makes a source and gives its key: 32 random bytes, which nobody can ask for again. Refused with
 * `rotation.event-source-invalid` or `rotation.event-source-exists`.
 */
export async function addEventSource(
  { db, vault, clock }: Pick<Context, 'db' | 'vault' | 'clock'>,
  { name, reach }: Pick<EventSource, 'name' | 'reach'>,
  actor: Actor,
): Promise<Secret | RotationRefusal> {
  if (!nameShape.test(name)) return turnDown('rotation.event-source-invalid', 'its name');
  const wrong = reach.find((selector) => parseReach(selector) === undefined);
  if (wrong !== undefined) return turnDown('rotation.event-source-invalid', `the selector ${wrong}`);
  if (reach.length < 1 || reach.length > mostSelectors)
    return turnDown('rotation.event-source-invalid', `1 to ${mostSelectors} selectors`);
  const id = newId<EventSourceId>();
  const key = new Secret(Uint8Array.from(randomBytes(32)));
  const sealed = Buffer.from(await vault.sealBytes(contextOf(id), key.reveal()));
  const row = {
    id,
    name,
    sealed,
    reach: [...reach],
    made_by: actorName(actor),
    made_at: new Date(clock.now()),
    last_used_at: null,
  };
  try {
    await inTransaction(db, async (tx) => {
      await tx.insertInto('event_source').values(row).execute();
      const after = { reach: row.reach };
      await record(tx, actor, { type: 'rotation.event-source.created', about: {}, details: { name, after } });
    });
  } catch (error) {
    key[Symbol.dispose]();
    if (codeOf(error) === '23505') return turnDown('rotation.event-source-exists', name);
    throw error;
  }
  return key;
}

/** Removes a source: nothing that it signs is taken from then on. Refused with `rotation.event-source-unknown`. */
export async function removeEventSource(db: Db, name: string, actor: Actor): Promise<RotationRefusal | undefined> {
  return await inTransaction(db, async (tx) => {
    const { numDeletedRows } = await tx.deleteFrom('event_source').where('name', '=', name).executeTakeFirstOrThrow();
    if (numDeletedRows === 0n) return turnDown('rotation.event-source-unknown', name);
    await record(tx, actor, { type: 'rotation.event-source.removed', about: {}, details: { name } });
    return undefined;
  });
}

export interface KeyedSource extends Disposable {
  readonly id: EventSourceId;
  readonly key: Secret;
  readonly reach: readonly string[];
}

/** A source with its key, to check one signature. Throws `vault.tampered`. */
export async function openEventSource(
  { db, vault }: { readonly db: Db; readonly vault: Vault },
  name: string,
): Promise<KeyedSource | undefined> {
  const row = await db
    .selectFrom('event_source')
    .select(['id', 'reach', 'sealed'])
    .where('name', '=', name)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const key = await vault.openSealed(contextOf(row.id), new Uint8Array(row.sealed));
  return { id: row.id, key, reach: row.reach, [Symbol.dispose]: () => key[Symbol.dispose]() };
}

/** By its id and not its name: a source that is made again under a former name has nothing in common with that one. */
function contextOf(id: EventSourceId): string {
  return `event-source/${id}`;
}

/**
 * Whether the trail is what was written: every row is hashed again from what it says, every link, every signed head
 * and every anchor outside the database is compared. The first thing that is wrong is named, not just noticed.
 */
import { createHash, type KeyObject, verify as verifySignature } from 'node:crypto';
import { same } from '../base/bytes.ts';
import { check } from '../base/signals.ts';
import type { Db } from '../db/db.ts';
import { contentBytes, headBytes, linkBytes, type Plain } from './format/canonical.ts';
import type { Anchor } from './heads.ts';

/** What is wrong with row `seq`. */
export type Fault =
  /** It does not say what it said when it was written. */
  | { readonly kind: 'edited' }
  /** It, and perhaps rows after it, are gone from the middle. */
  | { readonly kind: 'missing' }
  /** It does not continue the row before it. */
  | { readonly kind: 'unchained' }
  /** It is gone from the end: a head or an anchor knows it. */
  | { readonly kind: 'cut-off' }
  /** It is not the row that a head or an anchor was made of: the trail was made anew. */
  | { readonly kind: 'rewritten' }
  /** A head or an anchor of it is not signed by our key. */
  | { readonly kind: 'forged-head' };

export type Verdict =
  | { readonly state: 'intact'; readonly events: number; readonly heads: number; readonly hash: Uint8Array }
  | { readonly state: 'broken'; readonly seq: number; readonly fault: Fault['kind']; readonly events: number };

export interface VerifyOptions {
  /** The Ed25519 key that signs heads; without it heads are compared and their signatures are not checked. */
  readonly publicKey?: KeyObject;
  /** Heads that were kept outside the database (`readAnchors`). */
  readonly anchors?: readonly Anchor[];
}

const page = 1000;

/** Reads the whole trail, a page at a time, and says whether it is intact or which row is the first bad one. */
export async function verify(db: Db, options: VerifyOptions, signal: AbortSignal): Promise<Verdict> {
  const heads = await expectedHeads(db, options);
  let previous: Uint8Array = new Uint8Array(32);
  let seq = 0;
  const broken = (at: number, fault: Fault['kind']): Verdict => ({ state: 'broken', seq: at, fault, events: seq });

  for (;;) {
    check(signal);
    const rows = await db
      .selectFrom('audit_event')
      .selectAll()
      .where('seq', '>', seq)
      .orderBy('seq')
      .limit(page)
      .execute();
    for (const row of rows) {
      const wanted = seq + 1;
      if (row.seq !== wanted) return broken(wanted, 'missing');
      const content = contentBytes({
        at: row.at,
        type: row.type,
        actor: row.actor as Plain,
        about: row.about as Plain,
        details: row.details as Plain,
      });
      // The hash is over what the row says its predecessor was; so an edit and a broken link are told apart.
      const hash = createHash('sha256')
        .update(linkBytes(wanted, row.previous, content))
        .digest();
      if (!same(hash, row.hash)) return broken(wanted, 'edited');
      if (!same(row.previous, previous)) return broken(wanted, 'unchained');
      for (const head of heads.get(wanted) ?? []) {
        if (!same(head.hash, row.hash)) return broken(wanted, 'rewritten');
        if (!isSigned(head, options.publicKey)) return broken(wanted, 'forged-head');
      }
      previous = row.hash;
      seq = wanted;
    }
    if (rows.length < page) break;
  }
  const highest = [...heads.keys()].reduce((most, one) => Math.max(most, one), 0);
  if (highest > seq) return broken(seq + 1, 'cut-off');
  return { state: 'intact', events: seq, heads: heads.size, hash: previous };
}

/** Every head that the trail must agree with, by row. Read first: rows that are added meanwhile do no harm. */
async function expectedHeads(db: Db, { anchors = [] }: VerifyOptions): Promise<Map<number, Anchor[]>> {
  const stored = await db.selectFrom('audit_head').selectAll().execute();
  const heads = new Map<number, Anchor[]>();
  for (const head of [...stored, ...anchors]) {
    const there = heads.get(head.seq);
    if (there === undefined) heads.set(head.seq, [head]);
    else there.push(head);
  }
  return heads;
}

function isSigned(head: Anchor, publicKey: KeyObject | undefined): boolean {
  if (publicKey === undefined) return true;
  return verifySignature(null, headBytes(head.seq, head.hash, head.at), publicKey, head.signature);
}

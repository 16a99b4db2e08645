/**
 * Heads: now and then the newest row's number and hash are signed and written down twice, in the database and in a
 * file outside it. The signature shows that the whole trail was not made anew; the file, that its end was not cut off.
 */
import { open, readFile } from 'node:fs/promises';
import { fromHex, hex } from '../base/bytes.ts';
import { codeOf } from '../base/errors.ts';
import type { Db } from '../db/db.ts';
import { AuditError } from './errors.ts';
import { headBytes } from './format/canonical.ts';

/** Makes an Ed25519 signature over the bytes (RFC 8032). The key stays where it is. */
export type SignHead = (bytes: Uint8Array) => Promise<Uint8Array>;

/** One signed head. In the anchor file: one JSON object a line, hashes and signature in hex. */
export interface Anchor {
  readonly seq: number;
  readonly hash: Uint8Array;
  readonly at: Date;
  readonly signature: Uint8Array;
}

/**
 * Signs the newest row's hash and stores it as a head; with `anchorFile`, appends it there too and waits for the disk.
 * Returns undefined if the trail is empty.
 */
export async function signHead(
  db: Db,
  sign: SignHead,
  anchorFile?: string,
  at: Date = new Date(),
): Promise<Anchor | undefined> {
  const row = await db
    .selectFrom('audit_event')
    .select(['seq', 'hash'])
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const signature = await sign(headBytes(row.seq, row.hash, at));
  const anchor = { seq: row.seq, hash: row.hash, at, signature };
  await db
    .insertInto('audit_head')
    .values({ ...anchor, signature: Buffer.from(signature) })
    .execute();
  if (anchorFile !== undefined) await appendAnchor(anchorFile, anchor);
  return anchor;
}

async function appendAnchor(path: string, { seq, hash, at, signature }: Anchor): Promise<void> {
  const line = { seq, hash: hex(hash), at: at.toISOString(), signature: hex(signature) };
  await using file = await open(path, 'a', 0o600);
  await file.write(`${JSON.stringify(line)}\n`);
  await file.datasync();
}

/** The anchors of a file, oldest first; none if there is no file. Throws `audit.anchor-invalid` naming the line. */
export async function readAnchors(path: string): Promise<readonly Anchor[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return '';
    throw error;
  });
  const lines = text.split('\n');
  return lines.flatMap((line, index) => {
    if (line === '' && index === lines.length - 1) return [];
    const anchor = parseAnchor(line);
    if (anchor === undefined) throw new AuditError('audit.anchor-invalid', `${path}:${index + 1}`);
    return [anchor];
  });
}

/** One line of an anchor file, or undefined if it is none. */
export function parseAnchor(line: string): Anchor | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line.slice(0, 1024));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { seq, hash, at, signature } = value as Record<string, unknown>;
  if (typeof hash !== 'string' || typeof signature !== 'string' || typeof at !== 'string') return undefined;
  const [hashBytes, signatureBytes, time] = [fromHex(hash), fromHex(signature), new Date(at)];
  if (!Number.isSafeInteger(seq) || (seq as number) < 1 || Number.isNaN(time.getTime())) return undefined;
  if (hashBytes?.length !== 32 || signatureBytes?.length !== 64) return undefined;
  return { seq: seq as number, hash: hashBytes, at: time, signature: signatureBytes };
}

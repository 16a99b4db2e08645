/** Answers about the audit trail. */
import { createPublicKey } from 'node:crypto';
import {
  type Actor,
  type AuditRecord,
  follow,
  lastSeq,
  readAnchors,
  record,
  signHead,
  tail,
  verify,
} from '../../audit/audit.ts';
import { hex } from '../../base/bytes.ts';
import type { RouteAnswers } from '../../contract/contract.ts';
import type { Rooms } from '../rooms.ts';

type Shown = { seq: number; at: string; actor: string; type: string; details: Record<string, unknown> };

export function auditAnswers(rooms: Rooms, actor: Actor): Pick<RouteAnswers, 'audit.tail' | 'audit.verify'> {
  const { db, url, log, auditSigner, anchorFile } = rooms;
  return {
    'audit.tail': async (fields, part, signal) => {
      let after = fields.after ?? Math.max(0, (await lastSeq(db)) - fields.limit);
      const rows = await tail(db, { after, limit: fields.limit });
      for (const row of rows) {
        part(show(row));
        after = row.seq;
      }
      if (!fields.follow) return { done: true };
      for await (const row of follow(db, url, { after }, log, signal)) part(show(row));
      return { done: true };
    },
    'audit.verify': async (_fields, _part, signal) => {
      await signHead(db, (bytes) => auditSigner.sign(bytes), anchorFile);
      const publicKey = createPublicKey({
        key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(auditSigner.publicKey).toString('base64url') },
        format: 'jwk',
      });
      const verdict = await verify(db, { publicKey, anchors: await readAnchors(anchorFile) }, signal);
      await record(db, actor, {
        type: 'audit.verified',
        about: {},
        details: { state: verdict.state, events: verdict.events },
      });
      if (verdict.state === 'intact') return { ok: true, rows: verdict.events, head: hex(verdict.hash) };
      return { ok: false, rows: verdict.events, head: '', problem: `row ${verdict.seq}: ${verdict.fault}` };
    },
  };
}

function show({ seq, at, actor, type, details, about }: AuditRecord): Shown {
  const name = 'name' in actor ? actor.name : 'part' in actor ? actor.part : actor.id;
  return { seq, at: at.toISOString(), actor: `${actor.kind}:${name}`, type, details: { ...about, ...details } };
}

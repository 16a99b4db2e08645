/**
 * Writing down what became of a value: outcome, places, current pointer, audit event and attempt in one transaction,
 * under the lease's token. A stale token writes evidence and nothing else: somebody else has taken over. The account's
 * current value is tried soon after that (triggers/ready.ts).
 */
import type { Actor } from '../../audit/audit.ts';
import { record } from '../../audit/audit.ts';
import { newId } from '../../base/new-id.ts';
import type { Sigkey } from '../../base/ids.ts';
import type { Tx } from '../../db/db.ts';
import type { Tables } from '../../db/tables.ts';
import type { AnswerClass } from '../connectors/connector.ts';
import type { Context } from '../context.ts';
import type { Finding } from './evidence.ts';
import { addOutcome } from '../ledger/ledger.ts';
import { type Lease, stillLeased } from '../ledger/lease.ts';
import { commit } from '../points.ts';
import { remedyOf } from '../remedies.ts';
import type { RotationResult } from '../result.ts';
import type { Subject } from './subject.ts';
import { announceLook } from './wishes.ts';

export interface Tag {
  readonly sigkey: Sigkey;
  readonly trigger: string;
  readonly actor: Actor;
  /** In milliseconds since 1970, UTC. */
  readonly started: number;
}

/** Writes the finding. With a stale lease the result is `uncertain` and the ledger is as the other one left it. */
export async function writeOutcome(
  context: Context,
  subject: Subject,
  lease: Lease,
  tag: Tag,
  finding: Finding,
): Promise<RotationResult> {
  const { sigkey, actor } = tag;
  const account = subject.account.id;
  const now = context.clock.now();
  const written = await commit(context, 'outcome', async (tx) => {
    if (!(await stillLeased(tx, account, lease.token))) {
      await tx
        .insertInto('rotation_evidence')
        .values({
          account_id: account,
          sigkey,
          token: lease.token,
          what: `${finding.status}: ${finding.words}`,
          at: new Date(now),
        })
        .execute();
      // What it did may have come after whoever took over had looked: the current value is tried soon.
      await announceLook(tx, account);
      return false;
    }
    const { status, class: retcode, words: message } = finding;
    await addOutcome(tx, context.vault, { account, sigkey, node: context.node, status, at: now, retcode, message });
    await auditOutcome(tx, subject, tag, finding, now);
    const result = resultNames[status];
    await noteAttempt(tx, { account, ...tag, ended: now, result, class: classColumn(finding), message });
    return true;
  });
  const milliseconds = now - tag.started;
  if (!written) {
    context.log.warn({ account, sigkey }, 'a late outcome was kept as evidence only: another process had taken over');
    const words = 'another process took this change over; its word counts';
    return { status: 'uncertain', sigkey, class: 'timeout', words, remedy: remedyOf('timeout'), milliseconds };
  }
  context.log.info({ account, sigkey, status: finding.status, actor: actor.kind }, finding.words);
  if (finding.status === 'C') return { status: 'confirmed', sigkey, milliseconds, words: finding.words };
  const status = resultNames[finding.status];
  return { status, sigkey, class: finding.class, words: finding.words, remedy: remedyOf(finding.class), milliseconds };
}

const resultNames = { C: 'confirmed', U: 'uncertain', F: 'failed' } as const;

function classColumn(finding: Finding): AnswerClass | null {
  return finding.status === 'C' ? null : finding.class;
}

async function auditOutcome(tx: Tx, subject: Subject, tag: Tag, finding: Finding, now: number): Promise<void> {
  const about = { account: subject.account.id, target: subject.account.target.id, sigkey: tag.sigkey };
  const connector = subject.connector?.name ?? subject.verifier.name;
  const details = { connector, code: finding.class, message: finding.words };
  if (finding.status === 'C') {
    const milliseconds = Math.round(now - tag.started);
    await record(tx, tag.actor, { type: 'rotation.confirmed', about, details: { connector, milliseconds } });
  } else if (finding.status === 'F') await record(tx, tag.actor, { type: 'rotation.failed', about, details });
  else await record(tx, tag.actor, { type: 'rotation.uncertain', about, details });
}

export interface AttemptNote {
  readonly account: Subject['account']['id'];
  readonly trigger: string;
  readonly actor: Actor;
  readonly started: number;
  readonly ended: number;
  readonly result: Tables['rotation_attempt']['result'];
  readonly class: AnswerClass | null;
  readonly sigkey: Sigkey | null;
  readonly message: string;
}

/** One line of the account's log of attempts; the plan counts retries in it. */
export async function noteAttempt(tx: Tx, note: AttemptNote): Promise<void> {
  await tx
    .insertInto('rotation_attempt')
    .values({
      id: newId(note.ended),
      account_id: note.account,
      trigger: note.trigger,
      actor: actorName(note.actor),
      started_at: new Date(note.started),
      ended_at: new Date(note.ended),
      result: note.result,
      class: note.class,
      sigkey: note.sigkey,
      message: note.message,
    })
    .execute();
}

/** For people. */
export function actorName(actor: Actor): string {
  switch (actor.kind) {
    case 'user':
    case 'operator':
      return actor.name;
    case 'system':
      return `system/${actor.part}`;
    case 'gate':
      return `gate/${actor.id}`;
    case 'event-source':
      return `event-source/${actor.name}`;
    default:
      return actor satisfies never;
  }
}

/**
 * What an action did to every single value, as rows that stay (B-33): one for each password whose place or status it
 * changed or tested, in the eleven columns of the field.
 */
import type { Actor } from '../../audit/audit.ts';
import type { AccountId, Id, Sigkey } from '../../base/ids.ts';
import type { Db, Tx } from '../../db/db.ts';
import { actorName } from '../change/outcome.ts';
import type { Subject } from '../change/subject.ts';
import type { ResolutionAction, Status } from '../plan/facts.ts';

export type VerificationId = Id<'verification'>;

/** One value and what became of it. */
export interface Verified {
  readonly sigkey: Sigkey;
  /** Its status before the action. */
  readonly before: Status;
  /** Of an automatic try what the connector said; of a person's word `ACSuccess` or `ACVerifyFailed`. */
  readonly retcode: string;
  readonly message: string;
}

export interface Verification {
  /** One for each action by hand; one for a whole batch of automatic ones. */
  readonly id: VerificationId;
  readonly node: string;
  readonly action: ResolutionAction;
  readonly actor: Actor;
}

/** Writes the rows in the transaction of the action. */
export async function writeVerifications(
  tx: Tx,
  { account }: Subject,
  { id, node, action, actor }: Verification,
  values: readonly Verified[],
): Promise<void> {
  if (values.length === 0) return;
  await tx
    .insertInto('password_verification')
    .values(
      values.map(({ sigkey, before, retcode, message }) => ({
        svcid: node,
        accountname: account.label,
        accountguid: account.id,
        type: before,
        requestername: actorName(actor),
        requesterguid: actorGuid(actor),
        retcode,
        agentmessage: message,
        sigkey,
        verificationid: id,
        actionreason: action,
      })),
    )
    .execute();
}

function actorGuid(actor: Actor): string {
  switch (actor.kind) {
    case 'user':
    case 'gate':
      return actor.id;
    case 'operator':
      return `operator/${actor.name}`;
    case 'system':
      return `system/${actor.part}`;
    case 'event-source':
      return `event-source/${actor.name}`;
    default:
      return actor satisfies never;
  }
}

const columns = [
  'at',
  'svcid',
  'accountname',
  'accountguid',
  'type',
  'requestername',
  'requesterguid',
  'retcode',
  'agentmessage',
  'sigkey',
  'verificationid',
  'actionreason',
] as const;

/** One row of the report. */
export interface VerificationRow {
  readonly at: Date;
  readonly svcid: string;
  readonly accountname: string;
  readonly accountguid: AccountId;
  readonly type: Status;
  readonly requestername: string;
  readonly requesterguid: string;
  readonly retcode: string;
  readonly agentmessage: string;
  readonly sigkey: Sigkey;
  readonly verificationid: VerificationId;
  readonly actionreason: ResolutionAction;
}

/** The newest rows first, of one account or of all; at most `limit`. */
export async function verificationReport(
  db: Db,
  of: { readonly account?: AccountId; readonly limit: number },
): Promise<readonly VerificationRow[]> {
  let query = db.selectFrom('password_verification').select(columns).orderBy('id', 'desc').limit(of.limit);
  if (of.account !== undefined) query = query.where('accountguid', '=', of.account);
  return query.execute();
}

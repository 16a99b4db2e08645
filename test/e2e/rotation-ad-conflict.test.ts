/** A change in Active Directory whose answer was lost, from top to bottom, within the hour in which two passwords work. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isRefusal } from '../../src/base/errors.ts';
import { Secret } from '../../src/base/secret.ts';
import { inTransaction } from '../../src/db/db.ts';
import { declareTargets } from '../../src/estate/estate.ts';
import { processRunner, type RunConnector } from '../../src/rotation/connectors/run.ts';
import type { Account } from '../../src/vault/vault.ts';
import { fullMachines } from '../lab/machine.ts';
import type { DomainController } from '../lab/samba.ts';
import { never, operator, type RotationRoom, rotationRoom } from '../rotation/room.ts';
import { adStage, people, startDomain, textOf } from './ad-stage.ts';

/** The quiet time after a change that was cut off is over at once. */
const timing = { targetSeconds: -2, connectorMs: 20_000, leaseMs: 60_000, pollMs: 600_000 };

const really = processRunner();
/** Does what is asked, and loses the answer of a change. */
const losing: RunConnector = async (job, limits, signal) => {
  const answer = await really(job, limits, signal);
  return job.operation === 'change' ? { outcome: 'uncertain', class: 'cut', words: 'the answer was lost' } : answer;
};

describe.runIf(fullMachines)('a lost answer of a domain controller', () => {
  let dc: DomainController;
  let room: RotationRoom;
  beforeAll(async () => {
    dc = await startDomain();
    room = await rotationRoom({ run: losing, timing });
    const settings = { tls: { serverName: dc.name, ca: dc.ca }, realm: dc.realm, kerberosPort: 88 };
    const services = [{ name: 'ldaps', protocol: 'ldaps', port: 636, settings } as const];
    const box = { name: 'dc', platform: 'windows', address: dc.address, services } as const;
    await inTransaction(room.vault.base.db, (tx) => declareTargets(tx, [box], { actor: operator, prune: false }));
    const rotator = await room.account({ name: 'rotator@dc', kind: 'password', connector: 'ad' });
    await known(rotator, people.rotator.first);
  });
  afterAll(async () => {
    await room?.[Symbol.asyncDispose]();
    await dc?.[Symbol.asyncDispose]();
  });

  const stage = adStage(() => dc);
  const declared = (verify: 'kerberos' | 'ldaps'): Promise<Account> => {
    // Both tests refuse a value or two within the same hour.
    const settings = { verify, login_budget: 8 };
    return room.account({ name: 'svc_app@dc', kind: 'password', connector: 'ad', admin: 'rotator@dc', settings });
  };
  async function known(account: Account, text: string): Promise<void> {
    const credential = { kind: 'password', secret: Secret.fromText(text) } as const;
    const result = await room.rotation.recordKnown(account.id, credential, { unverified: false }, operator, never);
    expect(result).toMatchObject({ status: 'confirmed' });
  }
  async function rotate(account: Account): Promise<string> {
    const result = await room.rotation.rotate(account.id, 'on-demand', operator, never);
    if (isRefusal(result)) throw new Error(`${result.code}: ${result.reason}`);
    return result.status;
  }
  async function resolve(account: Account): Promise<object> {
    const answers: object[] = [];
    const note = ({ answer }: { readonly answer: object }): void => void answers.push(answer);
    await room.rotation.conflicts.resolve([account.id], operator, note, never);
    return answers[0] ?? {};
  }

  test('by LDAP both values work, so nothing is decided, with the reason; by Kerberos exactly one does, and it is current', async () => {
    const account = await declared('ldaps');
    await known(account, textOf(await stage.plant()));
    const before = (await room.again(account)).current;

    expect(await rotate(account)).toBe('uncertain');
    expect(await resolve(account)).toMatchObject({ outcome: 'manual', because: 'several-accepted' });
    expect((await room.again(account)).current).toBe(before);
    expect(await room.rotation.conflicts.list(never)).toMatchObject([
      { account: 'svc_app@dc', state: 'manual', reason: expect.stringContaining('2 of 2 values work') },
    ]);

    await declared('kerberos');
    expect(await resolve(account)).toMatchObject({ outcome: 'resolved' });
    const after = await room.again(account);
    expect(after.current).not.toBe(before);
    expect(await room.rotation.conflicts.list(never)).toEqual([]);
    expect((await dc.kinit('svc_app', await room.value(after))).code).toBe(0);
  });

  test('where Kerberos proves from the beginning, a lost answer leaves no conflict at all', async () => {
    const account = await declared('kerberos');
    await known(account, textOf(await stage.plant()));
    expect(await rotate(account)).toBe('confirmed');
    expect((await dc.kinit('svc_app', await room.value(account))).code).toBe(0);
    expect(await room.rotation.conflicts.list(never)).toEqual([]);
  });
});

/** Which keys a proven one takes away: those that are settled, and never one that another node may just be proving. */
import { expect, test } from 'vitest';
import { isRefusal } from '../../src/base/errors.ts';
import type { Sigkey } from '../../src/base/ids.ts';
import { newId } from '../../src/base/new-id.ts';
import { inTransaction } from '../../src/db/db.ts';
import { generateKeyPair } from '../../src/protocol/ssh/ssh.ts';
import type { LoginCredential } from '../../src/rotation/connectors/connector.ts';
import type { Answer } from '../../src/rotation/connectors/job.ts';
import type { RunConnector } from '../../src/rotation/connectors/run.ts';
import { addOutcome, addRandomization, addResolution } from '../../src/rotation/ledger/ledger.ts';
import type { OutcomeStatus } from '../../src/rotation/plan/facts.ts';
import type { Account } from '../../src/vault/vault.ts';
import { never, nowhere, operator, type RotationRoom, rotationRoom, speaksForOthers } from './room.ts';
import { yes } from './target.ts';

/** The public key as text. */
type Key = string;

interface Scene extends AsyncDisposable {
  readonly room: RotationRoom;
  readonly account: Account;
  /** What lets in. */
  readonly live: Set<Key>;
  readonly root: Sigkey;
  readonly first: Key;
  /** Happens while the new key is put in. */
  meanwhile: () => Promise<unknown>;
  /** Another node's key, in the ledger and on the target. */
  readonly other: (parent: Sigkey | null, status: OutcomeStatus | 'P') => Promise<{ sigkey: Sigkey; key: Key }>;
}

async function scene(): Promise<Scene> {
  const live = new Set<Key>();
  let stage: Scene | undefined;
  const accepted = (credential: LoginCredential): boolean =>
    credential.kind === 'ssh-key' && live.has(textOf(credential.signer.publicKey));
  const said = (ok: boolean) =>
    ({ outcome: ok ? 'accepted' : 'rejected', class: ok ? 'none' : 'authentication', words: '' }) satisfies Answer;
  const run: RunConnector = async (job) => {
    if (job.operation === 'verify') return said(accepted(job.login.credential));
    if (job.operation === 'adminverify') {
      const each = job.candidates.map((one) => {
        const { outcome: answer, ...rest } = said(accepted(one));
        return { answer, ...rest } as const;
      });
      return { ...yes, each };
    }
    if (job.operation === 'change' && job.fresh.kind === 'ssh-key') {
      live.add(textOf(job.fresh.publicKey));
      await stage?.meanwhile();
    }
    if (job.operation === 'retire') for (const key of job.former) live.delete(textOf(key));
    return yes;
  };
  const timing = { targetSeconds: -2, connectorMs: 5_000, leaseMs: 60_000, pollMs: 600_000 };
  const room = await rotationRoom({ run, timing });
  await speaksForOthers(room);
  await room.target(nowhere);
  const account = await room.account({ name: 'app@box', kind: 'ssh-key', connector: 'ssh-key' });
  const pair = await generateKeyPair('ed25519', 'first');
  using privateKey = pair.privateKeyOpenSsh;
  live.add(textOf(pair.publicKey));
  const credential = { kind: 'ssh-key', privateKey, publicKey: pair.publicKey } as const;
  const result = await room.rotation.recordKnown(account.id, credential, { unverified: false }, operator, never);
  if (isRefusal(result)) throw new Error(`${result.code}: ${result.reason}`);
  const other: Scene['other'] = async (parent, status) => {
    const sigkey = newId<Sigkey>();
    const { publicKey, privateKeyOpenSsh } = await generateKeyPair('ed25519', 'other');
    using secret = privateKeyOpenSsh;
    const { vault } = room.vault;
    const about = { account: account.id, sigkey, node: 'another' };
    await inTransaction(room.vault.base.db, async (tx) => {
      const value = { kind: 'ssh-key', privateKey: secret, publicKey } as const;
      await vault.store(tx, { ...about, credential: value, origin: 'generated', actor: operator });
      await addRandomization(tx, vault, { ...about, parent, createdAt: Date.now() });
      if (status !== 'P') await addOutcome(tx, vault, { ...about, status, at: Date.now(), retcode: '', message: '' });
    });
    live.add(textOf(publicKey));
    return { sigkey, key: textOf(publicKey) };
  };
  stage = {
    room,
    account,
    live,
    root: result.sigkey,
    first: textOf(pair.publicKey),
    meanwhile: async () => {},
    other,
    [Symbol.asyncDispose]: () => room[Symbol.asyncDispose](),
  };
  return stage;
}

function textOf(key: Uint8Array): Key {
  return Buffer.from(key).toString('base64');
}

async function rotate({ room, account }: Scene) {
  return room.rotation.rotate(account.id, 'on-demand', operator, never);
}

test('the former key goes, and so does one that a rejected change had left behind', async () => {
  await using stage = await scene();
  const left = await stage.other(stage.root, 'F');
  expect(await rotate(stage)).toMatchObject({ status: 'confirmed' });
  expect(stage.live.size).toBe(1);
  expect([stage.live.has(stage.first), stage.live.has(left.key)]).toEqual([false, false]);
});

test.for(['P', 'U', 'C'] as const)(
  'a key that another node drew at the same time stays, whatever it has said of it: %s',
  async (status) => {
    await using stage = await scene();
    const { live, first } = stage;
    let other: { readonly key: Key } | undefined;
    stage.meanwhile = async () => {
      other = await stage.other(stage.root, status);
    };
    expect(await rotate(stage)).toMatchObject({ status: 'confirmed' });
    expect([live.has(first), live.has(other?.key ?? '')]).toEqual([false, true]);
    expect(live.size, 'its own').toBe(2);
  },
);

test('when others went on meanwhile nothing is taken away, for they rely on what is there', async () => {
  await using stage = await scene();
  const { live, first } = stage;
  let other: { readonly sigkey: Sigkey; readonly key: Key } | undefined;
  stage.meanwhile = async () => {
    other = await stage.other(stage.root, 'C');
    const decision = { kind: 'root', root: other.sigkey, seen: [stage.root, other.sigkey] } as const;
    const by = { account: stage.account.id, node: 'another', action: 'M', tested: [], requester: '' } as const;
    const { base, vault } = stage.room.vault;
    await inTransaction(base.db, (tx) => addResolution(tx, vault, { ...by, decision, at: Date.now() }));
  };
  expect(await rotate(stage)).toMatchObject({ status: 'uncertain' });
  expect([live.has(first), live.has(other?.key ?? ''), live.size]).toEqual([true, true, 3]);
});

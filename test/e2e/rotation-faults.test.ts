/**
 * Rotations that are broken in the middle, by the network or by the keeper's death. Whatever happens, both values are kept,
 * the status is what is known and no more, and when the target can be asked again it is settled. The target's chpasswd waits
 * at named moments, so that each cut falls exactly where its test says.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fullMachines, type Machine, startMachine } from '../lab/machine.ts';
import { openWire, type Wire } from '../lab/wire.ts';
import { openStoppedVault } from '../support/stopped-vault.ts';
import { partsOf } from '../support/sallyport.ts';
import { type AuditRow, type House, opens, openHouse, word } from './house.ts';

/** Waits before and after the change as long as there is a file that says so, and tells that it has come there. */
const chpasswd = `#!/bin/sh
input=$(cat)
user=\${input%%:*}
at() { if [ -e /run/$1-$user ]; then : >/run/reached-$1-$user; while [ -e /run/$1-$user ]; do sleep 0.02; done; fi; }
at before
printf '%s\\n' "$input" | /run/chpasswd
status=$?
at after
exit $status
`;

const names = ['landed', 'unasked', 'silent', 'closed', 'killed', 'killedu', 'killedf'] as const;
type Name = (typeof names)[number];
type Moment = 'before' | 'after';

describe.runIf(fullMachines)('rotation under faults', () => {
  let house: House;
  let machine: Machine;
  const wires = new Map<Name, Wire>();
  const given = new Map<Name, string>(names.map((name) => [name, word()]));
  /** Runs beside the other tests, because it takes long: see the test of the silent target. */
  let silence: Promise<{ code: number | null; stdout: string; stderr: string }>;

  const wire = (name: Name): Wire => {
    const found = wires.get(name);
    if (found === undefined) throw new Error(name);
    return found;
  };
  const label = (name: Name): string => `${name}@${name}`;
  const value = (name: Name): string => given.get(name) ?? '';

  beforeAll(async () => {
    machine = await startMachine({
      name: 'faulty',
      users: names.map((name) => ({ name, password: value(name), sudo: 'nopasswd' })),
    });
    await machine.exec(['cp', '/usr/sbin/chpasswd', '/run/chpasswd']);
    await machine.putFile('/run/waiting', chpasswd, { mode: '0755' });
    await machine.exec(['mount', '--bind', '/run/waiting', '/usr/sbin/chpasswd']);
    for (const name of names) wires.set(name, await openWire(machine));
    const keys = machine.hostKeys.map((line) => `'${line.split(' ').slice(0, 2).join(' ')}'`).join(', ');
    house = await openHouse(
      () => `
groups: [{ name: ops }]
users: [{ name: alice, roles: [administrator], groups: [ops] }]
targets:
${names.map((name) => `  - { name: ${name}, address: 127.0.0.1, services: [{ port: ${wire(name).port}, hostKeys: [${keys}] }] }`).join('\n')}
accounts:
${names.map((name) => `  - { name: ${label(name)}, connector: linux-chpasswd, rotateAfterSession: ${name === 'unasked'} }`).join('\n')}
grants: [{ name: ops, group: ops, targets: [${names.join(', ')}] }]
`,
      { env: { SALLYPORT_CONNECTOR_SECONDS: '15' } },
    );
    await Promise.all(
      names.map((name) =>
        house.call('account.store', { account: label(name), secret: Buffer.from(value(name)), unverified: false }),
      ),
    );
    silence = fallSilent();
  });
  afterAll(async () => {
    await house?.[Symbol.asyncDispose]();
    for (const one of wires.values()) await one.close();
    await machine?.[Symbol.asyncDispose]();
  });

  const rotate = (name: Name) => house.product.cli(['rotate', label(name)]);
  const hold = async (name: Name, moment: Moment): Promise<void> => {
    await machine.exec(['rm', '-f', `/run/reached-${moment}-${name}`]);
    await machine.exec(['touch', `/run/${moment}-${name}`]);
  };
  const release = (name: Name, moment: Moment) => machine.exec(['rm', '-f', `/run/${moment}-${name}`]);
  /** Resolves when the change of this account has come to that moment. */
  const reached = async (name: Name, moment: Moment): Promise<void> => {
    const script = 'while [ ! -e "$1" ]; do sleep 0.02; done';
    const argv = ['sh', '-c', script, 'sh', `/run/reached-${moment}-${name}`];
    await machine.exec(argv, {}, AbortSignal.timeout(60_000));
  };
  const fallSilent = async () => {
    await hold('silent', 'before');
    const rotating = rotate('silent');
    await reached('silent', 'before');
    wire('silent').blackhole();
    await release('silent', 'before');
    return await rotating;
  };
  const history = async (name: Name) => {
    const { conflict, versions } = await house.call('rotation.history', { account: label(name) });
    return { conflict, statuses: versions.map(({ status, current }) => `${status}${current ? ' current' : ''}`) };
  };
  const accountLine = async (name: Name): Promise<string> =>
    (await house.product.cli(['account', 'ls'])).stdout.split('\n').find((line) => line.startsWith(label(name))) ?? '';
  const isOf = (account: unknown) => (row: AuditRow) => row.details['account'] === account;

  test('a cut after the change landed and before its answer is confirmed by a login', async () => {
    await hold('landed', 'after');
    const rotating = rotate('landed');
    await reached('landed', 'after');
    wire('landed').cut('reset');
    await release('landed', 'after');
    const ran = await rotating;
    expect(ran.stdout).toContain('landed@landed: confirmed, the change was cut off; the new value was accepted');
    expect(ran.code).toBe(0);
    expect(await history('landed')).toEqual({ conflict: 'none', statuses: ['C', 'C current'] });
    expect(await opens(machine, 'landed', value('landed'))).toBe('refused');
  });

  test('a session that comes while the change is being made waits for it and gets in with the new value', async () => {
    await hold('landed', 'after');
    const rotating = rotate('landed');
    await reached('landed', 'after');
    const from = await house.mark();
    const visiting = house.visit(label('landed'), { command: 'id -un' });
    await house.event((row) => row.type === 'session.opened', from);
    await release('landed', 'after');
    expect(await rotating).toMatchObject({ code: 0 });
    expect(await visiting).toMatchObject({ code: 0, stdout: 'landed\n' });
    const order = (await house.trail(from)).map((row) => row.type);
    expect(order.indexOf('rotation.confirmed')).toBeLessThan(order.indexOf('session.started'));
  });

  test('when nobody can ask after the cut it is uncertain: shown, not rotated by itself, and settled by verify', async () => {
    await hold('unasked', 'after');
    const from = await house.mark();
    const rotating = rotate('unasked');
    await reached('unasked', 'after');
    wire('unasked').refuse(true);
    wire('unasked').cut('reset');
    await release('unasked', 'after');
    const ran = await rotating;
    expect(ran.stdout).toContain(
      'unasked@unasked: uncertain, the change was cut off; the new value could not be tried',
    );
    expect(ran.code).toBe(7);
    const { details } = await house.event((row) => row.type === 'rotation.uncertain', from);
    const mine = isOf(details['account']);
    expect(await history('unasked')).toEqual({ conflict: 'incomplete', statuses: ['C current', 'U'] });
    expect(await accountLine('unasked')).toContain('incomplete');
    const shown = await house.product.cli(['history', label('unasked')]);
    expect(shown.stdout).toContain('conflict: incomplete');

    // Verifying says that it cannot say; a session's end, which rotates this account, does not; nor does an operator.
    const unknown = await house.product.cli(['verify', label('unasked')]);
    expect(unknown.stdout).toContain('unasked@unasked: unknown');
    expect(unknown.code).toBe(7);
    wire('unasked').refuse(false);
    const since = await house.mark();
    expect((await house.visit(label('unasked'), { command: 'true' })).stderr).toContain('sallyport: ');
    await house.event((row) => row.type === 'session.ended', since);
    const refused = await rotate('unasked');
    expect(refused.stderr).toContain('rotation.conflicted');
    expect(refused.stderr).toContain('Multiple passwords have been set on this account');
    expect((await house.trail(since)).filter((row) => row.type === 'rotation.started' && mine(row))).toEqual([]);

    const settled = await house.product.cli(['verify', label('unasked')]);
    expect(settled.stdout).toContain('unasked@unasked: accepted');
    expect(settled.code).toBe(0);
    const resolved = await house.event((row) => row.type === 'rotation.resolved', since);
    expect(mine(resolved)).toBe(true);
    // The session's end, put off until now, is made up for.
    await house.event((row) => row.type === 'rotation.confirmed' && mine(row), since);
    expect(await history('unasked')).toEqual({ conflict: 'none', statuses: ['C', 'C', 'C current'] });
    expect(await house.visit(label('unasked'), { command: 'id -un' })).toMatchObject({ code: 0, stdout: 'unasked\n' });
  });

  test('when the target cannot be reached for the change it has failed, the old value holds, and the new one is kept', async () => {
    const before = wire('closed').accepted;
    const from = await house.mark();
    const rotating = rotate('closed');
    // Two connections look whether all is well; the third would make the change.
    await wire('closed').connected(before + 2);
    wire('closed').refuse(true);
    const ran = await rotating;
    expect(ran.stdout).toContain('closed@closed: failed');
    expect(ran.code).toBe(1);
    await house.event((row) => row.type === 'rotation.failed', from);
    expect(await history('closed')).toEqual({ conflict: 'none', statuses: ['C current', 'F'] });
    expect(await opens(machine, 'closed', value('closed'))).toBe('accepted');
    const again = await rotate('closed');
    expect(again.stderr).toContain('rotation.precheck-failed');
    expect(await history('closed')).toMatchObject({ statuses: ['C current', 'F'] });
    wire('closed').refuse(false);
    expect(await rotate('closed')).toMatchObject({ code: 0 });
    expect(await history('closed')).toEqual({ conflict: 'none', statuses: ['C', 'F', 'C current'] });
  });

  test('a target that falls silent in the middle leaves an uncertain value; a value set by hand settles it', async () => {
    const ran = await silence;
    expect(ran.stdout).toContain('silent@silent: uncertain');
    expect(ran.code).toBe(7);
    expect(await history('silent')).toEqual({ conflict: 'incomplete', statuses: ['C current', 'U'] });
    wire('silent').resume();
    const byHand = word();
    await machine.exec(['/run/chpasswd'], { input: `silent:${byHand}\n` });
    const none = await house.product.cli(['verify', label('silent')]);
    expect(none.stdout).toContain('silent@silent: rejected, none of 2 known values works');
    expect(await history('silent')).toMatchObject({ conflict: 'incomplete' });
    await house.product.ask(['account', 'set', label('silent'), '--stdin'], byHand);
    expect(await history('silent')).toEqual({ conflict: 'none', statuses: ['C', 'U', 'C current'] });
    given.set('silent', byHand);
    expect(await rotate('silent')).toMatchObject({ code: 0 });
  });

  test('a keeper that is killed in the middle finds out what became of each change, or says that it does not know', async () => {
    await hold('killed', 'after');
    await hold('killedu', 'after');
    await hold('killedf', 'before');
    const from = await house.mark();
    const broken = [rotate('killed'), rotate('killedu'), rotate('killedf')];
    await Promise.all([reached('killed', 'after'), reached('killedu', 'after'), reached('killedf', 'before')]);
    const started = (await house.trail(from)).filter((row) => row.type === 'rotation.started');
    expect(started).toHaveLength(3);
    wire('killedu').refuse(true);
    const keeper = partsOf(house.product.pid).find((part) => part.name === 'keeper');
    process.kill(keeper?.pid ?? 0, 'SIGKILL');
    for (const ran of await Promise.all(broken)) expect(ran.code).not.toBe(0);
    await house.event((row) => row.type === 'keeper.started', from);
    for (const name of ['killed', 'killedu', 'killedf'] as const) {
      expect(await history(name)).toEqual({ conflict: 'none', statuses: ['C current', 'P'] });
      // Until the lease of the dead one is over nobody else changes it.
      expect((await rotate(name)).stderr).toContain('rotation.changing');
    }
    // The target's own time ends the one that never went on; the others have landed.
    const outcomes = await Promise.all(
      started.map(({ details }) =>
        house.event(
          (row) =>
            /^rotation\.(confirmed|failed|uncertain)$/.test(row.type) && row.details['sigkey'] === details['sigkey'],
          from,
          90,
        ),
      ),
    );
    expect(outcomes.map((row) => row.type).sort()).toEqual([
      'rotation.confirmed',
      'rotation.failed',
      'rotation.uncertain',
    ]);
    expect(await history('killed')).toEqual({ conflict: 'none', statuses: ['C', 'C current'] });
    expect(await history('killedu')).toEqual({ conflict: 'incomplete', statuses: ['C current', 'U'] });
    expect(await history('killedf')).toEqual({ conflict: 'none', statuses: ['C current', 'F'] });
    expect(await opens(machine, 'killedf', value('killedf'))).toBe('accepted');
    expect(await opens(machine, 'killed', value('killed'))).toBe('refused');
  });

  test('with the product stopped: every value that was ever generated is there, and the one that works among them', async () => {
    const expected = new Map<Name, number>();
    for (const name of names) expected.set(name, (await history(name)).statuses.length);
    await house.stop();
    await using vault = await openStoppedVault(house.product.data, house.product.rootKey);
    for (const name of names) {
      const values = await vault.values(label(name));
      expect([name, values.length]).toEqual([name, expected.get(name)]);
      const texts = values.map(({ bytes }) => Buffer.from(bytes).toString());
      expect(new Set(texts).size).toBe(texts.length);
      expect(texts).toContain(value(name));
      const answers = await Promise.all(texts.map((text) => opens(machine, name, text)));
      expect([name, answers.filter((answer) => answer === 'accepted').length]).toEqual([name, 1]);
      // The uncertain one that nobody has settled yet is the new one; everywhere else the current value works.
      const current = values.findIndex((one) => one.current);
      expect([name, answers[current]]).toEqual([name, name === 'killedu' ? 'refused' : 'accepted']);
    }
  });
});

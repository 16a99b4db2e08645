/** What a machine says about an account, read. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseAccountState, triesLeft } from '../../../../src/rotation/connectors/wire/account-state.ts';

const noon = Date.UTC(2026, 10, 25, 12) / 1000;
const base = ['now ' + noon, 'clock 2026-11-25 13:00:00', 'local 1', 'chkpwd /usr/sbin/unix_chkpwd'];
const state = (...lines: string[]) => parseAccountState([...base, ...lines, ''].join('\n'));
const pam = 'pam auth required pam_faillock.so preauth';
const failure = (time: string) => `failure 2026-11-25 ${time} RHOST 127.0.0.1                         V`;

test('a password is open, locked or without meaning, as passwd -S says on Debian and on Red Hat', () => {
  expect(state('status app P 2026-11-25 0 99999 7 -1').locked).toBe(false);
  expect(state('status app PS 2026-11-25 0 99999 7 -1 (Password set, SHA512 crypt.)').locked).toBe(false);
  expect(state('status app L 2026-11-25 0 99999 7 -1').locked).toBe(true);
  expect(state('status app LK 2026-11-25 0 99999 7 -1 (Password locked.)').locked).toBe(true);
  expect(state('status ')).toMatchObject({ locked: false, local: true, chkpwd: '/usr/sbin/unix_chkpwd' });
});

test('a minimum age counts from the day of the last change, in both forms of a date', () => {
  const day = 86_400;
  expect(state('status app P 2026-11-25 7 99999 7 -1').tooYoungFor).toBe(7 * day);
  expect(state('status app P 11/23/2026 7 99999 7 -1').tooYoungFor).toBe(5 * day);
  expect(state('status app P 2026-11-18 7 99999 7 -1').tooYoungFor).toBe(0);
  expect(state('status app P 1970-01-01 7 99999 7 -1').tooYoungFor).toBe(0);
  expect(state('status app P never 7 99999 7 -1').tooYoungFor).toBe(0);
});

test('pam_faillock locks at its own number, and no longer than its own time', () => {
  const three = ['12:58:00', '12:58:30', '12:59:00'].map(failure);
  expect(state(...three)).toMatchObject({ strikes: 3, deny: undefined, lockedOut: false });
  expect(state(pam, ...three)).toMatchObject({ strikes: 3, deny: 3, lockedOut: true });
  expect(state(`${pam} deny=5`, ...three)).toMatchObject({ deny: 5, lockedOut: false });
  expect(state(pam, 'conf deny = 4', ...three)).toMatchObject({ deny: 4, lockedOut: false });
  expect(state(`${pam} deny=3`, 'conf deny = 9', ...three)).toMatchObject({ deny: 3, lockedOut: true });
  expect(state(pam, 'conf # deny = 9', ...three).deny).toBe(3);
  expect(state(pam, 'conf deny = 0', ...three)).toMatchObject({ deny: undefined, lockedOut: false });
  expect(state(`${pam} unlock_time=60`, ...three).lockedOut).toBe(false);
  expect(state(`${pam} unlock_time=never`, ...three).lockedOut).toBe(true);
  expect(state(`${pam} unlock_time=60`, `${pam} unlock_time=3600`, ...three).lockedOut).toBe(true);
  expect(state(`${pam} unlock_time=0`, `${pam} unlock_time=60`, ...three).lockedOut).toBe(true);
  expect(state('pam # auth required pam_faillock.so', ...three).deny).toBeUndefined();
  expect(state(pam, failure('12:00:00').replace(/V$/, 'I')).strikes).toBe(0);
});

test('one refused login is always kept', () => {
  expect(triesLeft({ deny: 3, strikes: 0 }, 10)).toBe(2);
  expect(triesLeft({ deny: 3, strikes: 1 }, 10)).toBe(1);
  expect(triesLeft({ deny: 3, strikes: 7 }, 10)).toBe(0);
  expect(triesLeft({ deny: 10, strikes: 0 }, 2)).toBe(2);
  expect(triesLeft({ deny: undefined, strikes: 9 }, 4)).toBe(4);
});

test('whatever a machine says, it is read, and no path leads anywhere', () => {
  const label = fc.constantFrom('status', 'now', 'clock', 'local', 'chkpwd', 'pam', 'conf', 'failure', '');
  const rest = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.constantFrom(
      'app L 0000-99-99 999999 1',
      'auth pam_faillock.so deny=999999999',
      '9999-99-99 99:99:99 V',
      '/a;b',
    ),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(label, rest), { maxLength: 60 }), (lines) => {
      const read = parseAccountState(lines.map((line) => line.join(' ')).join('\n'));
      expect(read.tooYoungFor).toBeGreaterThanOrEqual(0);
      expect(triesLeft(read, 3)).toBeLessThanOrEqual(3);
      expect(read.chkpwd ?? '/').toMatch(/^\/[\w/.-]*$/);
    }),
  );
});

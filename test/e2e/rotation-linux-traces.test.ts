/**
 * What a change leaves behind on a Linux machine: no new value anywhere but where it belongs, nothing that could still
 * land after the fence, and no account that was locked by our asking.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Login, Work } from '../../src/rotation/connectors/connector.ts';
import { tagged } from '../../src/rotation/connectors/linux-fence.ts';
import { fullMachines, type Machine } from '../lab/machine.ts';
import { openWire } from '../lab/wire.ts';
import {
  accountsMachine,
  ask,
  drawn,
  instead,
  pair,
  password,
  passwords,
  placeOf,
  rootBehind,
  settledMachine,
  sh,
  strikesOf,
  threeStrikes,
  value,
} from '../rotation/connectors/machine.ts';

const connectors = ['linux-chpasswd', 'linux-shadow', 'linux-passwd'] as const;

describe.runIf(fullMachines)('traces of a change on a Linux machine', () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await accountsMachine('traces');
  });
  afterAll(async () => machine?.[Symbol.asyncDispose]());

  const root: Login = { user: 'root', credential: password(passwords.root) };
  const task = () => ({ place: placeOf(machine), account: 'app', settings: {} });
  const work = (login: Login, more: Partial<Work> = {}): Work => ({
    ...task(),
    by: { mode: login.user === 'app' ? 'self' : 'admin', login },
    tag: 'rot-traces',
    targetSeconds: 15,
    ...more,
  });
  const plant = async (): Promise<Login> => {
    const text = drawn();
    await sh(machine, 'chpasswd && faillock --user app --reset', `app:${text}\n`);
    return { user: 'app', credential: password(text) };
  };
  const change = (connector: string, what: Work, text: string, deadlineMs = 40_000) =>
    ask({ connector, operation: 'change', work: what, fresh: value(text).fresh }, deadlineMs);
  const verify = (login: Login) => ask({ connector: 'linux-passwd', operation: 'verify', task: task(), login });
  const running = async (what: string) => (await machine.exec(['pgrep', '-f', what])).code === 0;

  /** Looks into the arguments and environment of every process again and again, until it is ended. */
  async function watchProcesses(needles: readonly string[]) {
    await machine.putFile('/tmp/needles', `${needles.join('\n')}\n`);
    await sh(machine, 'rm -f /tmp/seen /tmp/enough /tmp/looks');
    const loop = `while [ ! -e /tmp/enough ]; do
  grep -lsaF -f /tmp/needles /proc/[0-9]*/cmdline /proc/[0-9]*/environ >>/tmp/seen; echo >>/tmp/looks
done`;
    const done = machine.exec(['sh', '-c', loop]);
    return {
      end: async (): Promise<{ seen: string; looks: number }> => {
        await sh(machine, 'touch /tmp/enough');
        await done;
        return { seen: await machine.readFile('/tmp/seen'), looks: Number(await sh(machine, 'wc -l </tmp/looks')) };
      },
    };
  }

  test('the watcher of processes sees what is in arguments', async () => {
    const watcher = await watchProcesses(['Planted.Needle-1']);
    await machine.exec(['sh', '-c', 'sleep 1; : Planted.Needle-1']);
    expect((await watcher.end()).seen).toMatch(/cmdline/);
  });

  test('no value is in any argument, environment, log, history or file but the shadow file, whoever changes it', async () => {
    await machine.putFile('/etc/sudoers.d/logging', 'Defaults logfile=/var/log/sudo.log, !log_input\n', {
      mode: '0440',
    });
    const texts: string[] = [];
    const watcher = await watchProcesses(['Canary.', ...Object.values(passwords)]);
    const ways: Login[] = [root, { user: 'asking', credential: password(passwords.asking) }, rootBehind('plain')];
    for (const connector of connectors)
      for (const by of ways) {
        const text = `Canary.${drawn()}`;
        texts.push(text);
        expect(await change(connector, work(by), text), connector).toMatchObject({ outcome: 'confirmed' });
      }
    const self: Login = { user: 'app', credential: password(texts.at(-1) ?? '') };
    texts.push(`Canary.${drawn()}`);
    expect(await change('linux-passwd', work(self), texts.at(-1) ?? '')).toMatchObject({ outcome: 'confirmed' });
    const { seen, looks } = await watcher.end();
    expect(seen).toBe('');
    expect(looks).toBeGreaterThan(10);
    const found = await sh(
      machine,
      'grep -rlsaF -f /tmp/needles /etc /var/log /var/lib/sudo /var/mail /var/tmp /run /home /root || true',
    );
    expect(found).toBe('');
    for (const text of [...texts, ...Object.values(passwords)]) expect(machine.sshdLog()).not.toContain(text);
    // It did log: sudo's commands and sshd's logins are there.
    expect(await machine.readFile('/var/log/sudo.log')).toContain('rot-traces');
    expect(machine.sshdLog()).toContain('Accepted password for asking');
  });

  describe('a change that was cut off and hangs on the machine', () => {
    /** Asks for the new value, and hangs before it is written. */
    const hanging = [
      'password requisite pam_pwquality.so',
      'password requisite pam_exec.so quiet /usr/bin/sleep 600',
      'password required pam_unix.so use_authtok',
      '',
    ].join('\n');
    test.each([
      ['linux-chpasswd', 'as root', 'chpasswd', root],
      ['linux-chpasswd', 'by su', 'chpasswd', rootBehind('plain')],
      ['linux-passwd', 'by sudo', 'passwd', { user: 'asking', credential: password(passwords.asking) }],
    ] as const)('%s %s is found by its tag and ended', async (connector, _, program, by) => {
      const old = await plant();
      await using _rules = await instead(machine, `/etc/pam.d/${program}`, hanging);
      const what = work(by, { targetSeconds: 300, tag: 'rot-hanging' });
      const fresh = drawn();
      await using wire = await openWire(machine);
      const asked = change(connector, { ...what, place: placeOf(machine, wire) }, fresh);
      await sh(machine, 'until pgrep -x sleep >/dev/null; do sleep 0.1; done');
      await wire.close();
      expect((await asked).outcome).toBe('uncertain');
      // Another change is nobody's business.
      const other = machine.exec(['timeout', '-k', '1', '600', 'sh', '-c', 'exec sleep 600', 'rot-another']);
      await sh(machine, 'until pgrep -f rot-another >/dev/null; do sleep 0.1; done');
      const fenced = await ask({ connector, operation: 'fence', work: what });
      expect(fenced).toMatchObject({ outcome: 'confirmed' });
      expect([await running('rot-hanging'), await running(`${program}$`)]).toEqual([false, false]);
      expect(await running('rot-another')).toBe(true);
      await machine.exec(['pkill', '-f', 'rot-another']);
      await other;
      expect(await verify(old)).toMatchObject({ outcome: 'accepted' });
      expect(await verify({ user: 'app', credential: password(fresh) })).toMatchObject({ outcome: 'rejected' });
    });

    test('an account that changes itself ends its own', async () => {
      const old = await plant();
      await using _ = await instead(machine, '/etc/pam.d/passwd', hanging);
      const what = work(old, { targetSeconds: 300, tag: 'rot-own' });
      await using wire = await openWire(machine);
      const asked = change('linux-passwd', { ...what, place: placeOf(machine, wire) }, drawn());
      await sh(machine, 'until pgrep -x sleep >/dev/null; do sleep 0.1; done');
      await wire.close();
      expect((await asked).outcome).toBe('uncertain');
      expect(await ask({ connector: 'linux-passwd', operation: 'fence', work: what })).toMatchObject({
        outcome: 'confirmed',
      });
      expect(await running('rot-own')).toBe(false);
      expect(await verify(old)).toMatchObject({ outcome: 'accepted' });
    });

    describe('that an account made of itself', () => {
      /** Others' processes are not seen until the end of the scope, but by root. */
      const hidden = async (): Promise<AsyncDisposable> => {
        await sh(machine, 'mount -o remount,hidepid=2 /proc');
        return {
          [Symbol.asyncDispose]: async () => {
            await sh(machine, 'mount -o remount,hidepid=0 /proc');
          },
        };
      };
      const cutOff = async (connector: string, what: Work): Promise<void> => {
        await using wire = await openWire(machine);
        const asked = change(connector, { ...what, place: placeOf(machine, wire) }, drawn());
        await sh(machine, 'until pgrep -x sleep >/dev/null; do sleep 0.1; done');
        await wire.close();
        expect((await asked).outcome).toBe('uncertain');
      };
      const self = (login: Login, tag: string): Work => ({
        ...work(login, { targetSeconds: 300, tag }),
        account: login.user,
        by: { mode: 'self', login },
      });

      afterEach(async () => {
        await sh(machine, 'pkill -9 -x sleep || true');
        await settledMachine(machine);
      });

      test.each([
        ['linux-chpasswd', 'chpasswd', false],
        ['linux-chpasswd', 'chpasswd', true],
        ['linux-passwd', 'passwd', true],
      ] as const)(
        'and for which it becomes root is ended by root: %s (%s, others hidden: %s)',
        async (connector, program, hide) => {
          await using _rules = await instead(machine, `/etc/pam.d/${program}`, hanging);
          await using _hidden = hide ? await hidden() : undefined;
          const what = self({ user: 'nopass', credential: password(passwords.nopass) }, 'rot-myself');
          await cutOff(connector, what);
          expect(await ask({ connector, operation: 'fence', work: what })).toMatchObject({ outcome: 'confirmed' });
          expect([await running('rot-myself'), await running(`${program}$`)]).toEqual([false, false]);
        },
      );

      test('is not said to be over where it cannot see the processes of others', async () => {
        await using _rules = await instead(machine, '/etc/pam.d/passwd', hanging);
        await using _hidden = await hidden();
        const what = self(await plant(), 'rot-blind');
        await cutOff('linux-passwd', what);
        const words = expect.stringContaining('hidepid');
        const fenced = await ask({ connector: 'linux-passwd', operation: 'fence', work: what });
        expect(fenced).toMatchObject({ outcome: 'uncertain', words });
      });
    });

    test('where nothing is left there is nothing to end', async () => {
      for (const connector of [...connectors, 'ssh-key']) {
        const what = work(root, { tag: 'rot-nothing' });
        expect(await ask({ connector, operation: 'fence', work: what })).toMatchObject({ outcome: 'confirmed' });
      }
    });

    test('one that gets its turn too late does nothing, and one that has time ends within it', async () => {
      const run = (script: string, now: number) =>
        machine.exec(['sh', '-c', tagged(work(root, { targetSeconds: 2 }), { now }, script)]);
      const now = Number(await sh(machine, 'date +%s'));
      expect((await run('touch /tmp/landed', now - 60)).code).toBe(75);
      expect((await machine.exec(['test', '-e', '/tmp/landed'])).code).toBe(1);
      expect((await run('touch /tmp/landed', now + 60)).code).toBe(0);
      expect((await run('sleep 600', Number(await sh(machine, 'date +%s')))).code).toBe(124);
    });
  });

  describe('an account with a lock-out after three refusals', () => {
    const candidates = async (texts: readonly string[], admin: Login | undefined, budget: number) => {
      const values = texts.map((text) => password(text));
      const job = {
        connector: 'linux-chpasswd',
        operation: 'adminverify',
        task: task(),
        candidates: values,
        budget,
      } as const;
      return (await ask({ ...job, ...(admin === undefined ? {} : { admin }) })).each ?? [];
    };

    test('where the machine cannot compare, its own count limits the logins, whatever the budget says', async () => {
      const right = await plant();
      await using _ = await threeStrikes(machine);
      await sh(machine, 'touch /tmp/nothing && mount --bind /tmp/nothing /usr/sbin/unix_chkpwd');
      try {
        await verify({ user: 'app', credential: password('First.Strike-1') });
        expect(await strikesOf(machine)).toBe(1);
        const each = await candidates(['a', 'b', 'c', 'd', 'e'], root, 10);
        expect(each.map((one) => one.class)).toEqual(['authentication', 'budget', 'budget', 'budget', 'budget']);
        expect(await strikesOf(machine)).toBe(2);
        expect(await candidates(['a', 'b'], root, 10)).toMatchObject([{ class: 'budget' }, { class: 'budget' }]);
      } finally {
        await sh(machine, 'umount /usr/sbin/unix_chkpwd');
      }
      expect(await verify(right)).toMatchObject({ outcome: 'accepted' });
    });

    test('where it can, fifty values count nothing, and the right one is found without a login to spare', async () => {
      const right = drawn();
      await sh(machine, 'chpasswd', `app:${right}\n`);
      await using _ = await threeStrikes(machine);
      const texts = [...Array.from({ length: 25 }, drawn), right, ...Array.from({ length: 24 }, drawn)];
      const each = await candidates(texts, root, 0);
      expect(each.findIndex((one) => one.answer === 'accepted')).toBe(25);
      expect(each.filter((one) => one.answer === 'rejected' && one.how === 'stored')).toHaveLength(49);
      expect(await strikesOf(machine)).toBe(0);
    });
  });

  test('a key pair leaves nothing but its public half', async () => {
    const { publicKey } = await pair('traced');
    const fresh = { kind: 'ssh-key', publicKey } as const;
    const answer = await ask({ connector: 'ssh-key', operation: 'change', work: work(root), fresh });
    expect(answer).toMatchObject({ outcome: 'confirmed' });
    const found = await sh(machine, 'find /home/app/.ssh /tmp -name ".sallyport*"');
    expect(found).toBe('');
  });
});

/**
 * What linux-passwd and su make of the prompts of a real machine: in other languages, between other words, and of
 * programs that ask for something else. The language is forced by the machine itself, against our wish for C.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Login, Work } from '../../src/rotation/connectors/connector.ts';
import { namesPassword } from '../../src/rotation/connectors/wire/password-words.ts';
import { fullMachines, type Machine } from '../lab/machine.ts';
import {
  accountsMachine,
  ask,
  drawn,
  password,
  passwords,
  placeOf,
  rootBehind,
  sh,
  value,
} from '../rotation/connectors/machine.ts';

const connector = 'linux-passwd';

describe.runIf(fullMachines)('prompts of a machine', () => {
  let machine: Machine;
  const usual = ['PermitRootLogin yes', 'MaxStartups 100'];
  const languages = { German: 'de_DE', French: 'fr_FR', Spanish: 'es_ES', Japanese: 'ja_JP' };
  beforeAll(async () => {
    machine = await accountsMachine('prompts');
    await sh(machine, 'mount -t tmpfs locales /usr/lib/locale');
    await Promise.all(
      Object.values(languages).map((name) => sh(machine, `localedef -i ${name} -f UTF-8 /usr/lib/locale/${name}.utf8`)),
    );
    // Whoever logs in gets the machine's language, whatever the command wishes.
    const speak = `#!/bin/sh
command=$(printf %s "$SSH_ORIGINAL_COMMAND" | sed "s/LC_ALL=C LANGUAGE=C/LC_ALL=$(cat /etc/speaks) LANGUAGE=/g")
exec sh -c "$command"
`;
    await machine.putFile('/etc/speak', speak, { mode: '0755' });
  });
  afterAll(async () => machine?.[Symbol.asyncDispose]());

  const login = (user: keyof typeof passwords): Login => ({ user, credential: password(passwords[user]) });
  const work = (by: Login): Work => ({
    place: placeOf(machine),
    account: 'app',
    by: { mode: by.user === 'app' ? 'self' : 'admin', login: by },
    tag: 'rot-prompts',
    targetSeconds: 15,
    settings: {},
  });
  const change = (by: Login, text: string) =>
    ask({ connector, operation: 'change', work: work(by), fresh: value(text).fresh }, 40_000);
  const holds = async (text: string): Promise<number | null> =>
    (await machine.exec(['unix_chkpwd', 'app', 'nonull'], { input: `${text}\0` })).code;
  const plant = async (): Promise<Login> => {
    const text = drawn();
    await sh(machine, 'chpasswd', `app:${text}\n`);
    return { user: 'app', credential: password(text) };
  };

  describe.each(Object.entries(languages))('in %s', (_, name) => {
    beforeAll(async () => {
      await machine.putFile('/etc/speaks', `${name}.UTF-8`, { mode: '0644' });
      await machine.restartSshd({ sshd: [...usual, 'ForceCommand /etc/speak'] });
      // It does speak it: else this would show nothing.
      const said = await sh(machine, `LC_ALL=${name}.UTF-8 passwd no-such-user 2>&1 || true`);
      expect(said).not.toContain('does not exist');
    });
    afterAll(async () => machine.restartSshd({ sshd: usual }));

    test('an account changes itself', async () => {
      const [self, text] = [await plant(), drawn()];
      expect(await change(self, text)).toMatchObject({ outcome: 'confirmed' });
      expect(await holds(text)).toBe(0);
    });

    test('what the machine refuses is a failure by its rules, in its own words', async () => {
      const self = await plant();
      const answer = await change(self, 'abc');
      expect(answer).toMatchObject({ outcome: 'failed', class: 'policy' });
      expect(answer.words).toMatch(/8/);
    });

    test('root changes it, by sudo with its password and by su, and a warning is no refusal', async () => {
      // Everyone in one language, and the shortest way in the others: the words differ, the ways do not.
      for (const by of name === 'de_DE' ? [login('root'), login('asking'), rootBehind('plain')] : [login('root')]) {
        const text = drawn().slice(0, 7);
        await plant();
        expect(await change(by, text)).toMatchObject({ outcome: 'confirmed' });
        expect(await holds(text), by.user).toBe(0);
      }
    });

    test('a no of su is not understood, so it is no answer about the value', async () => {
      const by = { ...rootBehind('plain'), credential: password('Wrong.One-1') };
      const task = { place: placeOf(machine), account: 'root', settings: {} };
      const answer = await ask({ connector, operation: 'verify', task, login: by });
      expect(answer.outcome).toBe('unknown');
      const right = await ask({ connector, operation: 'verify', task, login: rootBehind('plain') });
      expect(right.outcome).toBe('accepted');
    });
  });

  describe('between other words', () => {
    test("a banner, the message of the day, start files that ask for a password, sudo's lecture: nothing of it is answered", async () => {
      await machine.putFile('/etc/banner', 'Password: do not tell\nNew password: \n', { mode: '0644' });
      await machine.putFile('/etc/motd', 'Retype new password: ', { mode: '0644' });
      await machine.putFile('/etc/sudoers.d/lecture', 'Defaults lecture = always\n', { mode: '0440' });
      for (const home of ['/root', '/home/asking', '/home/plain', '/home/app'])
        await sh(machine, `printf '%s\\n' 'printf "rc\\nPassword: "' 'echo noise >&2' >${home}/.bashrc`);
      await machine.restartSshd({ sshd: [...usual, 'Banner /etc/banner', 'PrintMotd yes'] });
      for (const who of [() => login('root'), () => login('asking'), () => rootBehind('plain'), plant]) {
        const [by, text] = [await who(), drawn()];
        const before = await ask({ connector, operation: 'precheck', work: work(by) });
        expect(before, by.user).toMatchObject({ outcome: 'confirmed' });
        expect(await change(by, text)).toMatchObject({ outcome: 'confirmed' });
        expect(await holds(text), by.user).toBe(0);
      }
      const last = drawn();
      for (const name of ['linux-chpasswd', 'linux-shadow'])
        for (const by of [login('asking'), rootBehind('plain')]) {
          const job = { connector: name, operation: 'change', work: work(by), fresh: value(last).fresh } as const;
          expect(await ask(job), name).toMatchObject({ outcome: 'confirmed' });
        }
      expect(await holds(last)).toBe(0);
      await sh(machine, 'rm /etc/sudoers.d/lecture /root/.bashrc /home/*/.bashrc');
      await machine.restartSshd({ sshd: usual });
    });
  });

  describe('of a program that asks for something else', () => {
    /** A passwd of its own, as a script; what it was told is in /tmp/told. */
    async function asking(script: string): Promise<AsyncDisposable> {
      const whole = `#!/bin/sh\n: >/tmp/told\nask() { printf '%s' "$1"; IFS= read -r said; echo "$said" >>/tmp/told; }\n${script}\n`;
      await machine.putFile('/tmp/passwd', whole, { mode: '0755' });
      await sh(machine, 'mount --bind /tmp/passwd /usr/bin/passwd');
      return {
        [Symbol.asyncDispose]: async () => {
          await sh(machine, 'umount /usr/bin/passwd');
        },
      };
    }
    const told = () => machine.readFile('/tmp/told');

    test.each([
      ['a hidden code', "stty -echo; ask 'Verification code: '", 'Verification code'],
      ['a question that is shown', "ask 'Continue [y/n]? '", 'Continue [y/n]?'],
      ['a password that everybody would see', "ask 'New password: '", 'New password'],
      ['a hidden question without words', "stty -echo; ask '> '", '>'],
    ])('%s gets nothing, and its words are told', async (_, script, words) => {
      await using _undo = await asking(script);
      const answer = await change(login('root'), 'Not.For-You-1');
      expect(answer).toMatchObject({ outcome: 'unsent', class: 'unexpected' });
      expect(answer.words).toContain(words);
      expect(await told()).toBe('');
    });

    test('after the new value was typed nothing more is given, and the value is not in the words', async () => {
      await using _ = await asking(
        "stty -echo; ask 'New password: '; echo; echo \"you said $said\"; ask 'Reason of the change: '",
      );
      const answer = await change(login('root'), 'Only.Once-1');
      expect(answer).toMatchObject({ outcome: 'failed', class: 'unexpected' });
      expect(answer.words).toContain('you said [secret]');
      expect(answer.words).toContain('Reason of the change');
      expect(await told()).toBe('Only.Once-1\n');
    });

    test('one that does not listen to the interrupt is ended all the same', async () => {
      await using _ = await asking("trap '' INT HUP TERM; stty -echo; ask 'New password: '; ask 'Why? '");
      expect(await change(login('root'), 'Only.Once-2')).toMatchObject({ outcome: 'failed', class: 'unexpected' });
      expect((await machine.exec(['pgrep', '-f', 'rot-prompts'])).code).toBe(1);
    });

    test('a flood of words ends it', async () => {
      await using _ = await asking('yes "Password and no end"');
      expect(await change(login('root'), 'Never.Typed-1')).toMatchObject({ outcome: 'unsent', class: 'unexpected' });
    });
  });

  test('every translation of the prompts that this system has names a password', () => {
    const prompts = ['Password: ', 'Current password: ', 'New password: ', 'Retype new password: '];
    const folder = '/usr/share/locale';
    const found = readdirSync(folder).flatMap((language) => {
      const catalogue = read(join(folder, language, 'LC_MESSAGES/Linux-PAM.mo'));
      return prompts.flatMap((prompt) => {
        const translated = catalogue.get(prompt);
        return translated === undefined ? [] : [{ language, translated }];
      });
    });
    expect(found.length).toBeGreaterThan(100);
    expect(found.filter(({ translated }) => !namesPassword(translated))).toEqual([]);
  });
});

/** The messages of a catalogue of gettext: a table of texts, and one of their translations. */
function read(file: string): ReadonlyMap<string, string> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch {
    return new Map();
  }
  const text = (table: number, index: number): string => {
    const [length, at] = [bytes.readUInt32LE(table + 8 * index), bytes.readUInt32LE(table + 8 * index + 4)];
    return bytes.toString('utf8', at, at + length);
  };
  const [count, texts, translations] = [bytes.readUInt32LE(8), bytes.readUInt32LE(12), bytes.readUInt32LE(16)];
  return new Map(Array.from({ length: count }, (_, index) => [text(texts, index), text(translations, index)]));
}

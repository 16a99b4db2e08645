/** The talk with passwd, su and sudo, without a machine: what is answered, what is not, and that nothing breaks it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Act,
  type Dialogue,
  hear,
  longestTranscript,
  noticesOf,
  patienceMs,
  promptOf,
  startDialogue,
  type Step,
} from '../../../../src/rotation/connectors/wire/dialogue.ts';

const quiet = { kind: 'quiet', ms: 50, echo: 'hidden' } as const;
const patient = { kind: 'quiet', ms: patienceMs, echo: 'hidden' } as const;

/** Says the texts one after the other, each followed by silence at a hidden prompt; the answers as words. */
function acts(
  expected: readonly Step[],
  texts: readonly string[],
  then: typeof quiet | typeof patient = quiet,
): string[] {
  let dialogue = startDialogue(expected);
  return texts.map((text) => {
    dialogue = hear(dialogue, { kind: 'text', text }).dialogue;
    const next = hear(dialogue, then);
    dialogue = next.dialogue;
    return wordOf(next.act);
  });
}

function wordOf(act: Act): string {
  return act.kind === 'answer' ? act.step : act.kind === 'stop' ? act.why : 'wait';
}

const self: readonly Step[] = ['current', 'fresh', 'again'];

describe('prompts are answered in their order, in any language', () => {
  for (const [language, texts] of Object.entries({
    English: ['Changing password for app.\r\nCurrent password: ', '\r\nNew password: ', '\r\nRetype new password: '],
    German: [
      'Ändern des Passworts für app.\r\nGeben Sie das aktuelle Passwort ein: ',
      '\r\nGeben Sie ein neues Passwort ein: ',
      '\r\nGeben Sie das neue Passwort erneut ein: ',
    ],
    French: ['Mot de passe actuel : ', '\r\nNouveau mot de passe : ', '\r\nRetapez le nouveau mot de passe : '],
    Japanese: ['Current password: ', '\r\n新しい パスワード:', '\r\n新しい パスワードを再入力してください:'],
    'words on one line and the colon on the next': [
      'Current password\r\n: ',
      '\r\nNew password\r\n: ',
      '\r\nNew password again\r\n: ',
    ],
    'colours and bells': [
      '\x1b[1mCurrent password:\x1b[0m \x07',
      '\r\n\x1b[1mNew password:\x1b[0m ',
      '\r\nRetype password: ',
    ],
  }))
    test(language, () => expect(acts(self, texts)).toEqual(self));
});

test('a warning between the prompts is passed on and does not stop it', () => {
  const texts = ['New password: ', '\r\nBAD PASSWORD: it is too short\r\nRetype new password: '];
  expect(acts(['fresh', 'again'], texts)).toEqual(['fresh', 'again']);
});

test('the same prompt again is the no of the target: to the new value, or to a present one', () => {
  const again = ['Geben Sie ein neues Passwort ein: ', '\r\nzu kurz\r\nGeben Sie ein neues Passwort ein: '];
  expect(acts(['fresh', 'again'], again)).toEqual(['fresh', 'refused']);
  const later = ['New password: ', '\r\nRetype new password: ', '\r\nalready used\r\nNew password: '];
  expect(acts(['fresh', 'again'], later)).toEqual(['fresh', 'again', 'refused']);
  const wrong = ['Password of asking for sudo: ', '\r\nSorry, try again.\r\nPassword of asking for sudo: '];
  expect(acts(['become', 'fresh', 'again'], wrong)).toEqual(['become', 'wrong']);
});

test('nothing is answered that does not name a password, is shown while it is typed, or is one too many', () => {
  for (const prompt of [
    'Verification code: ',
    'One-time password (OATH) for `app`: ',
    'Enter PIN: ',
    'Passphrase: ',
    ':',
  ])
    expect(acts(self, [prompt], patient), prompt).toEqual(['unknown-prompt']);
  let dialogue = hear(startDialogue(self), { kind: 'text', text: 'Current password: ' }).dialogue;
  for (const echo of ['shown', 'unknown'] as const) {
    expect(hear(dialogue, { kind: 'quiet', ms: 50, echo }).act).toEqual({ kind: 'wait' });
    const late = hear(dialogue, { kind: 'quiet', ms: patienceMs, echo }).act;
    expect(late).toEqual({ kind: 'stop', why: 'unknown-prompt' });
  }
  dialogue = hear(startDialogue([]), { kind: 'text', text: 'Password: ' }).dialogue;
  expect(hear(dialogue, patient).act).toEqual({ kind: 'stop', why: 'unknown-prompt' });
});

test('a program that is silent or only tells something is waited for', () => {
  expect(acts(self, ['', 'Changing password for app.\r\n', '\r\n\r\n'], patient)).toEqual(['wait', 'wait', 'wait']);
});

test('a target that talks without end is stopped', () => {
  const { dialogue } = hear(startDialogue(self), { kind: 'text', text: 'x'.repeat(longestTranscript - 1) });
  const next = hear(dialogue, { kind: 'text', text: 'yyy' });
  expect(next.act).toEqual({ kind: 'stop', why: 'too-long' });
  expect(next.dialogue.transcript).toHaveLength(longestTranscript);
});

test('notices are the finished lines, and the prompt is not one of them', () => {
  const heard = '\r\nBAD PASSWORD: too short\r\n\r\nNew password: ';
  expect([noticesOf({ heard }), promptOf({ heard })]).toEqual(['BAD PASSWORD: too short', 'New password:']);
});

test('whatever a target says, a secret is given at most once for each step, in order, and only while typing is hidden', () => {
  const said = fc.oneof(
    fc.constantFrom('Password: ', 'New password: ', 'Kennwort:', '\r\n', '\x1b[', '\x1b[31m', '\r', ':', '密码：'),
    fc.string({ unit: 'binary', maxLength: 60 }),
  );
  const event = fc.oneof(
    said.map((text) => ({ kind: 'text', text }) as const),
    fc.record({
      kind: fc.constant('quiet' as const),
      ms: fc.nat(2 * patienceMs),
      echo: fc.constantFrom('hidden' as const, 'shown' as const, 'unknown' as const),
    }),
  );
  fc.assert(
    fc.property(fc.subarray([...self]), fc.array(event, { maxLength: 400 }), (expected, events) => {
      let dialogue: Dialogue = startDialogue(expected);
      const given: Step[] = [];
      for (const one of events) {
        const next = hear(dialogue, one);
        if (next.act.kind === 'answer') {
          expect(one).toMatchObject({ kind: 'quiet', echo: 'hidden' });
          given.push(next.act.step);
        }
        dialogue = next.dialogue;
        expect(dialogue.transcript.length).toBeLessThanOrEqual(longestTranscript);
        if (next.act.kind === 'stop') break;
      }
      expect(given).toEqual(expected.slice(0, given.length));
    }),
    { numRuns: 300 },
  );
});

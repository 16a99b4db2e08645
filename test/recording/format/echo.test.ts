/** What is kept of typing: what was shown, never what was not. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { text, utf8 } from '../../../src/base/bytes.ts';
import { guardEcho, type TypedLine } from '../../../src/recording/format/echo.ts';

/** A dialogue: `>` is typed, `<` is shown. Gives the lines kept, `***` for masked ones. */
function kept(...dialogue: readonly string[]): string[] {
  const guard = guardEcho();
  const lines: TypedLine[] = [];
  for (const step of dialogue) {
    const bytes = utf8(step.slice(1));
    lines.push(...(step.startsWith('>') ? guard.typed(bytes) : guard.shown(bytes)));
  }
  lines.push(...guard.close());
  return lines.map((line) => (line.kind === 'input' ? text(line.bytes) : '***'));
}

test('a line that was echoed is kept as typed', () => {
  expect(kept('>l', '<l', '>s', '<s', '>\r', '<\r\nfile\r\n$ ')).toEqual(['ls\r']);
});

test('a line that was not echoed is masked, whatever is shown afterwards', () => {
  expect(kept('<Password: ', '>hunter2\r', '<\r\n', '<hunter2\r\n')).toEqual(['***']);
  expect(kept('<Password: ', '>h', '>u', '>n', '>\r', '<\r\nwelcome hunter')).toEqual(['***']);
});

test('asterisks in place of the characters are not an echo', () => {
  expect(kept('>a', '<*', '>*', '<*', '>c', '<*', '>\r', '<\r\n')).toEqual(['***']);
});

test('a chatty background job cannot spell a password by and by', () => {
  expect(kept('>abc\r', '<x a b c y', '<zabc', '<\r\n')).toEqual(['***']);
});

test('typing ahead of the echo is kept when the echo comes', () => {
  expect(kept('>ls\rid\r', '<ls\r\n', '<id\r\n')).toEqual(['ls\r', 'id\r']);
});

test('cursor keys, bracketed paste and corrections do not make a line blind', () => {
  expect(kept('>\x1b[A', '<make', '>\r', '<\r\n')).toEqual(['\x1b[A\r']);
  expect(kept('>\x1bOB', '>x', '<x', '>\x7f', '<\b \b', '>y', '<y', '>\r', '<\r\n')).toEqual(['\x1bOBx\x7fy\r']);
  expect(kept('>\x1b[200~ls\x1b[201~', '<\x1b[7mls\x1b[27m', '>\r', '<\r\n')).toEqual(['\x1b[200~ls\x1b[201~\r']);
});

test('a sequence that never ends hides neither the line in which it began nor the lines after it', () => {
  for (const key of [']', 'P', 'X', '^', '_']) {
    expect(kept(`>\x1b${key}`, '>hunter2\r', '<\r\n', '>hunter3\r', '<\r\n')).toEqual(['***', '***']);
    expect(kept(`>\x1b${key}hunter2`)).toEqual(['***']);
    expect(kept(`>\x1b${key}\r`, '<\r\n', '>ls', '<ls', '>\r', '<\r\n')).toEqual(['***', 'ls\r']);
  }
  expect(kept('<PIN: ', '>\x1b[12345\r', '<\r\n', '>12345\r', '<\r\n')).toEqual(['***', '***']);
});

test('what a terminal answers by itself does not make a line blind', () => {
  const reply = '\x1b]11;rgb:0000/0000/0000\x1b\\';
  expect(kept(`>${reply}`, '>ls', '<ls', '>\r', '<\r\n')).toEqual([`${reply}ls\r`]);
});

test('a shell that writes the line again in colour has echoed it', () => {
  expect(kept('>l', '<l', '>s', '<\b\x1b[32mls\x1b[39m', '>\r', '<\r\n')).toEqual(['ls\r']);
});

test('what is undecided at the end is masked', () => {
  expect(kept('>half a secr')).toEqual(['***']);
});

test('a line without end is bounded and masked', () => {
  const lines = kept(...Array.from({ length: 100 }, () => `>${'x'.repeat(100)}`));
  expect(lines.every((line) => line === '***')).toBe(true);
  expect(lines.length).toBeGreaterThan(1);
});

test('many unanswered lines are bounded', () => {
  const guard = guardEcho();
  let decided = 0;
  for (let n = 0; n < 1000; n++) decided += guard.typed(utf8('secret\r')).length;
  expect(decided).toBeGreaterThan(900);
});

test('no line of which nothing was shown is ever kept, however typing and output are mixed', () => {
  const secret = fc.stringMatching(/^[A-Z]{4,10}$/);
  const noise = fc.array(fc.string({ unit: fc.constantFrom('a', 'z', '7', ' ', '\r', '\n', '\x1b', '[', ';', 'm') }), {
    maxLength: 10,
  });
  fc.assert(
    fc.property(secret, noise, fc.nat(10), (word, outputs, at) => {
      const typed = word.split('').map((character) => `>${character}`);
      const steps = outputs.map((output) => `<${output}`);
      const mixed = [
        ...steps.slice(0, at),
        ...typed.flatMap((step, index) => [step, steps[at + index] ?? '<']),
        '>\r',
        '<\r\n',
      ];
      expect(kept(...mixed).join('')).not.toContain(word);
    }),
    { numRuns: 1000 },
  );
});

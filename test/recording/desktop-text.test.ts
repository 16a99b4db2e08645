/** What was done on a desktop as text: in order of time, keys as far as they were kept, and nothing that acts on a screen. */
import { expect, test } from 'vitest';
import { exportDesktop } from '../../src/recording/desktop-text.ts';
import type { EventDetail, RecordedEvent } from '../../src/recording/format/events.ts';

async function lines(...events: readonly (readonly [seconds: number, detail: EventDetail])[]): Promise<string[]> {
  async function* source(): AsyncGenerator<RecordedEvent> {
    for (const [seconds, detail] of events) yield { at: seconds * 1e6, channel: 0, detail };
  }
  const out: string[] = [];
  for await (const line of exportDesktop(source())) out.push(line);
  return out;
}

const key = (code: number): EventDetail => ({ kind: 'rdp-key', input: 'scancode', code, down: true, extended: 0 });

test('keys, clipboard, files and channels stand in order of time', async () => {
  const sha256 = 'ab'.repeat(32);
  expect(
    await lines(
      [0, { kind: 'start', text: '' }],
      [1, { kind: 'keyboard', layout: 0x407 }],
      [1, { kind: 'desktop', width: 1024, height: 768, depth: 24 }],
      [2, { kind: 'channel-decision', name: 'rdpdr', transport: 'static', allowed: false, reason: 'policy' }],
      [3, key(0x15)],
      [4, { kind: 'picture', code: 1, payload: new Uint8Array() }],
      [5, key(0x2c)],
      [6, key(0x1c)],
      [65, key(0x1e)],
      [66, { kind: 'keys-masked', count: 8 }],
      [67, { kind: 'clipboard', direction: 'down', content: 'text', items: ['secret\nplan'], size: 24, allowed: true }],
      [68, { kind: 'clipboard', direction: 'up', content: 'files', items: ['a', 'b'], size: 9, allowed: false }],
      [
        3700,
        { kind: 'file', action: 'transfer', direction: 'up', path: 'C:\\a.txt', to: '', size: 5, sha256, remark: '' },
      ],
      [3701, key(0x1e)],
    ),
  ).toEqual([
    '00:00:00 start',
    '00:00:01 desktop: 1024x768, 24 bits',
    '00:00:02 channel rdpdr (static): refused, policy',
    '00:00:03 keys: zy[Enter]',
    '00:01:05 keys: a[8 masked]',
    '00:01:07 clipboard to the client: text, 24 bytes: secret\\nplan',
    '00:01:08 clipboard to the target, refused: files, 9 bytes: a, b',
    `01:01:40 file to the target: transfer C:\\a.txt, 5 bytes, sha256 ${sha256}`,
    '01:01:41 keys: a',
  ]);
});

test('recorded text cannot end a line, move a cursor or turn the reading order', async () => {
  const evil = 'a\u001b[2J\r\n\u202eb\u2028c';
  const [line] = await lines([1, { kind: 'note', text: evil }]);
  expect(line).toBe('00:00:01 note: a\\u{1b}[2J\\u{d}\\n\\u{202e}b\\u{2028}c');
});

import { expect, test } from 'vitest';
import { openTaps } from '../../../src/proxy/rdp/taps.ts';
import type { ChannelEvent } from '../../../src/proxy/rdp/channels/filter.ts';
import { ListRecorder, quietSession, stage } from '../stage.ts';

async function told(...events: readonly ChannelEvent[]): Promise<{ trail: unknown[]; kept: unknown[] }> {
  using it = stage();
  const recorder = new ListRecorder();
  const taps = openTaps(quietSession(), recorder, it.place);
  taps.channel('cliprdr', events);
  await taps.settled();
  const trail = it.asked.filter(({ name }) => name === 'session.event').map(({ fields }) => fields['event']);
  return { trail, kept: recorder.events };
}

test('of copied text the trail has length and hash, and the recording the words', async () => {
  const { trail, kept } = await told({
    type: 'clipboard.text',
    way: 'up',
    format: 'CF_UNICODETEXT',
    text: 'a secret plan',
    cut: false,
    bytes: 28,
    sha256: 'ab',
  });
  expect(trail).toEqual([{ type: 'clipboard.text', direction: 'upload', length: 13, sha256: 'ab' }]);
  expect(JSON.stringify(trail)).not.toContain('secret');
  expect(kept).toMatchObject([{ kind: 'clipboard', content: 'text', items: ['a secret plan'], direction: 'up' }]);
});

test('a copied picture is in the trail by its format, size and hash', async () => {
  const { trail, kept } = await told({
    type: 'clipboard.data',
    way: 'down',
    format: 'CF_DIB',
    bytes: 4000,
    sha256: 'cd',
  });
  expect(trail).toEqual([
    { type: 'clipboard.data', direction: 'download', format: 'CF_DIB', bytes: 4000, sha256: 'cd' },
  ]);
  expect(kept).toMatchObject([{ kind: 'clipboard', content: 'other', size: 4000, allowed: true }]);
});

test('names that a client made too long are cut, so that what they were refused for is not lost', async () => {
  const long = 'x'.repeat(5000);
  const { trail } = await told(
    { type: 'clipboard.refused', way: 'up', what: long, why: long },
    { type: 'device.refused', device: long, kind: 'drive' },
  );
  expect(trail).toHaveLength(2);
  expect(JSON.stringify(trail).length).toBeLessThan(4000);
});

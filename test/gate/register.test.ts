/** What a gate knows of the sessions that run in it. */
import { expect, test } from 'vitest';
import { openRegister } from '../../src/gate/register.ts';
import type { RunningSession } from '../../src/proxy/proxy.ts';

function running(session: string, blocks = 0): RunningSession & { readonly ends: string[] } {
  const ends: string[] = [];
  return { session, blocks: () => blocks, end: (reason) => void ends.push(reason.message), ends };
}

test('a session is listed while it runs, with how far its recording has come', () => {
  const register = openRegister();
  const left = register.add(running('a', 3));
  register.add(running('b', 5));
  expect(register.progress()).toEqual([
    { session: 'a', blocks: 3 },
    { session: 'b', blocks: 5 },
  ]);
  left[Symbol.dispose]();
  expect([register.size, register.sessions()]).toEqual([1, ['b']]);
});

test('a kill reaches the named session only, and one that does not run here is nobody', () => {
  const register = openRegister();
  const [a, b] = [running('a'), running('b')];
  register.add(a);
  register.add(b);
  register.end('a', new Error('killed'));
  register.end('z', new Error('killed'));
  expect([a.ends, b.ends]).toEqual([['killed'], []]);
  register.endAll(new Error('shutdown'));
  expect([a.ends, b.ends]).toEqual([['killed', 'shutdown'], ['shutdown']]);
});

test('who waits until nothing runs waits for the last, and not at all where nothing does', async () => {
  const register = openRegister();
  await register.empty();
  const [a, b] = [register.add(running('a')), register.add(running('b'))];
  const steps: string[] = [];
  const waiting = Promise.all([register.empty(), register.empty()]).then(() => steps.push('empty'));
  a[Symbol.dispose]();
  await Promise.resolve();
  steps.push('one left');
  b[Symbol.dispose]();
  await waiting;
  expect(steps).toEqual(['one left', 'empty']);
});

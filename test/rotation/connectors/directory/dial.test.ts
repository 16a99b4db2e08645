/** Asking for TLS: what stands between the server's yes and the handshake is not listened to. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { fromHex } from '../../../../src/base/bytes.ts';
import type { Place } from '../../../../src/rotation/connectors/connector.ts';
import { dial } from '../../../../src/rotation/connectors/directory/dial.ts';
import { never } from '../../room.ts';

/** Says this to whoever asks for TLS, piece by piece. */
async function asked(...pieces: readonly string[]): Promise<object> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      for (const piece of pieces) socket.write(fromHex(piece) ?? '');
      if (pieces.length === 0) socket.end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port');
  const where = { protocol: 'ldap', address: '127.0.0.1', port: bound.port, hostKeys: [], settings: {} } as const;
  try {
    return await dial({ ...where, tls: { kind: 'verify' } } satisfies Place, never);
  } finally {
    server.close();
  }
}

const yes = '300c02010178070a010004000400';

test('a server that refuses TLS is told nothing', async () => {
  expect(await asked('300c02010178070a013404000400')).toMatchObject({ fault: 'unsupported' });
});

test('anything behind the yes ends the connection', async () => {
  expect(await asked(`${yes}300c02010261070a010004000400`)).toMatchObject({ fault: 'unexpected' });
});

test('an answer to another request, or no answer of that kind, is none', async () => {
  for (const other of ['300c02010278070a010004000400', '300c02010161070a010004000400', '3003020101', '3000'])
    expect(await asked(other), other).toMatchObject({ fault: 'unexpected' });
});

test('a server that ends the connection instead has cut it', async () => {
  expect(await asked()).toMatchObject({ fault: 'cut' });
});

test('a server that never finishes its answer is not listened to for ever', async () => {
  expect(await asked(`30820fff${'00'.repeat(5000)}`)).toMatchObject({ fault: 'unexpected' });
});

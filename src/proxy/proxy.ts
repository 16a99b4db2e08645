/** The door of the proxy: one function for each protocol that a gate can take, and what it needs around it. */
import type { Socket } from 'node:net';
import type { Peer, Place } from './place.ts';
import { runSession } from './session.ts';
import { dialSsh, type SshBack } from './ssh/back.ts';
import { answerSsh, type SshFront } from './ssh/front.ts';
import { spliceSsh } from './ssh/splice.ts';

export type { Peer, Place, RunningSession } from './place.ts';

/** Takes one SSH connection through its whole story. `known` is called when the client has logged in. */
export async function proxySsh(
  socket: Socket,
  peer: Peer,
  place: Place,
  known: () => void,
  signal: AbortSignal,
): Promise<void> {
  await runSession(
    {
      answer: async (waiting) => {
        const front = await answerSsh(socket, peer, place, waiting);
        if (front !== undefined) known();
        return front;
      },
      dial: (authorization, session, waiting) => dialSsh(authorization, session, place, waiting),
      splice: (front, back, session, recorder, ending) =>
        spliceSsh((front as SshFront).transport, (back as SshBack).transport, session, recorder, place, ending),
    },
    place,
    signal,
  );
}

/** The door of the proxy: one function for each protocol that a gate can take, and what it needs around it. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Peer, Place } from './place.ts';
import { runSession } from './session.ts';
import { dialRdp } from './rdp/back.ts';
import { answerRdp, type GateCertificate } from './rdp/front.ts';
import { spliceRdp } from './rdp/splice.ts';
import { dialSsh } from './ssh/back.ts';
import { answerSsh } from './ssh/front.ts';
import { spliceSsh } from './ssh/splice.ts';

export type { Peer, Place, RunningSession } from './place.ts';
export { type GateCertificate, gateCertificate } from './rdp/front.ts';

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
      name: 'ssh',
      answer: async (waiting) => {
        const front = await answerSsh(socket, peer, place, waiting);
        if (front !== undefined) known();
        return front;
      },
      dial: (_front, authorization, session, waiting) => dialSsh(authorization, session, place, waiting),
      splice: (front, back, session, recorder, ending) =>
        spliceSsh(front.transport, back.transport, session, recorder, place, ending),
    },
    place,
    signal,
  );
}

/** Takes one RDP connection through its whole story. `known` is called when the client has logged in. */
export async function proxyRdp(
  socket: Duplex,
  peer: Peer,
  place: Place,
  certificate: GateCertificate,
  known: () => void,
  signal: AbortSignal,
): Promise<void> {
  await runSession(
    {
      name: 'rdp',
      answer: async (waiting) => {
        const front = await answerRdp(socket, peer, place, certificate, waiting);
        if (front !== undefined) known();
        return front;
      },
      dial: (front, authorization, session, waiting) => dialRdp(front.accepted, authorization, session, place, waiting),
      splice: (front, back, session, recorder, ending) => spliceRdp(front, back, session, recorder, place, ending),
    },
    place,
    signal,
  );
}

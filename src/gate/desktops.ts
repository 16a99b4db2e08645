/**
 * The listener for RDP: like that for ssh, and with a certificate, because the key of TLS has to be where the bytes
 * arrive. It is asked for again every hour, because certificates are renewed; sessions that run keep theirs.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { isRefusal, wordsOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Keeper } from '../link/link.ts';
import { type GateCertificate, gateCertificate } from '../proxy/proxy.ts';

const renewalMs = 3_600_000;
const sockets = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 };

/** Undefined if there is no certificate that can be used: ssh must not be lost for it, and the keeper's log says why. */
export async function desktopServer(
  ask: Keeper['gate.certificate'],
  accept: (socket: Socket, certificate: GateCertificate) => void,
  log: Log,
  signal: AbortSignal,
): Promise<Server | undefined> {
  const first = await readCertificate(ask, signal);
  if (first === undefined) return undefined;
  let certificate = first;
  const renewing = setInterval(() => {
    readCertificate(ask, signal).then(
      (renewed) => {
        certificate = renewed ?? certificate;
      },
      (error: unknown) => log.warn({ reason: wordsOf(error) }, 'the certificate for RDP could not be asked for'),
    );
  }, renewalMs);
  signal.addEventListener('abort', () => clearInterval(renewing));
  return createServer(sockets, (socket) => accept(socket, certificate));
}

async function readCertificate(
  ask: Keeper['gate.certificate'],
  signal: AbortSignal,
): Promise<GateCertificate | undefined> {
  const answer = await ask(null, signal);
  if (isRefusal(answer)) return undefined;
  try {
    return gateCertificate(answer.chain, answer.key);
  } finally {
    answer.key.fill(0);
  }
}

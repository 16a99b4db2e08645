/** CredSSP of FreeRDP, which speaks bare NTLM: its client against our acceptor, its server against our initiator. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AcceptorStep } from '../../src/protocol/ntlm/acceptor.ts';
import { type Display, startDisplay } from '../lab/rdp/display.ts';
import { type ShadowServer, startShadow } from '../lab/rdp/shadow.ts';
import { tryXfreerdp } from '../lab/rdp/xfreerdp.ts';
import { certificate, goodPassword, otherCertificate } from '../protocol/ntlm/stage.ts';
import { accept, logIn } from './credssp-stage.ts';

/** Connection Request and Confirm (MS-RDPBCGR §2.2.1): TLS or CredSSP is offered, CredSSP chosen. */
const request = Buffer.from([3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 3, 0, 0, 0]);
const confirm = Buffer.from([3, 0, 0, 19, 14, 0xd0, 0, 0, 0, 0, 0, 2, 1, 8, 0, 2, 0, 0, 0]);

/** The peer's first packet; what comes after it stays in the socket. */
async function firstPacket(socket: Socket): Promise<Buffer> {
  let length = 4;
  for (;;) {
    const bytes = socket.read(length) as Buffer | null;
    if (bytes === null) await once(socket, 'readable');
    else if (length === 4) {
      length = bytes.readUInt16BE(2) - 4;
    } else return bytes;
  }
}

describe('xfreerdp at our acceptor', () => {
  let display: Display;
  beforeAll(async () => {
    display = await startDisplay();
  });
  afterAll(async () => {
    await display?.[Symbol.asyncDispose]();
  });

  /** One login; `ours` is the certificate that the acceptor believes to be shown. */
  async function visit(
    user: string,
    password: string,
    ours = certificate,
  ): Promise<{ readonly server: AcceptorStep; readonly log: string }> {
    const secureContext = createSecureContext({ cert: certificate.cert, key: certificate.key });
    const outcome = Promise.withResolvers<AcceptorStep>();
    const serve = async (socket: Socket): Promise<AcceptorStep> => {
      socket.on('error', outcome.reject);
      await firstPacket(socket);
      socket.write(confirm);
      const tls = new TLSSocket(socket, { isServer: true, secureContext });
      tls.on('error', outcome.reject);
      return await accept(tls, ours.der);
    };
    const server = createServer((socket) => {
      serve(socket).then(outcome.resolve, outcome.reject);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const client = tryXfreerdp(display, {
      address: '127.0.0.1',
      port,
      user,
      domain: 'PROD',
      password,
      security: 'nla',
    });
    const ended = await Promise.all([outcome.promise, client]);
    server.close();
    return { server: ended[0], log: ended[1].log };
  }

  test('logs in with the right password and delegates it', async () => {
    const { server, log } = await visit('Alice', goodPassword);
    expect(server.done).toMatchObject({
      user: 'Alice',
      domain: 'PROD',
      credentials: { user: 'Alice', domain: 'PROD' },
    });
    expect(server.done?.credentials.password.revealText()).toBe(goodPassword);
    expect(log).not.toContain('LOGON_FAILURE');
  });

  test('shows a failed logon after a wrong password', async () => {
    const { server, log } = await visit('alice', 'wrong');
    expect(server.refused?.code).toBe('ntlm.login-rejected');
    expect(log).toContain('ERRCONNECT_LOGON_FAILURE');
  });

  test('is refused if somebody opens the TLS on its way', async () => {
    const { server, log } = await visit('alice', goodPassword, otherCertificate);
    expect(server.refused?.code).toBe('ntlm.public-key');
    expect(log).toContain('ERRCONNECT_LOGON_FAILURE');
  });
});

describe('our initiator at FreeRDP’s server', () => {
  let target: ShadowServer;
  beforeAll(async () => {
    target = await startShadow({ accounts: [{ name: 'alice', password: goodPassword }] });
  });
  afterAll(async () => {
    await target?.[Symbol.asyncDispose]();
  });

  async function visit(user: string, password: string): Promise<string> {
    const socket = connect(target.port, target.address);
    await once(socket, 'connect');
    socket.write(request);
    const chosen = await firstPacket(socket);
    expect(chosen.readUInt32LE(11)).toBe(2);
    return await logIn(target.port, user, '', password, socket);
  }

  test('logs in with the right password', async () => {
    expect(await visit('alice', goodPassword)).toBe('done');
  });

  test('gets nowhere with a wrong one, for which this server just hangs up', async () => {
    expect(await visit('alice', 'wrong')).toBe('closed');
    expect(await visit('mallory', goodPassword)).toBe('closed');
  });
});

/**
 * An emulated IOS device on 127.0.0.1, by ssh and by telnet: no such device comes as software that anybody may run. It is
 * judged by a client that others wrote (netmiko), and says nothing about a device of Cisco's own.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import ssh2 from 'ssh2';
import { Device } from './ios-emulator-device.ts';
import { Terminal } from './ios-emulator-terminal.ts';

export interface EmulatedIos extends AsyncDisposable {
  readonly device: Device;
  readonly address: string;
  readonly ssh: number;
  readonly telnet: number;
  /** The ssh server's public key, as a blob. */
  readonly hostKey: Uint8Array;
}

const banner = '\r\n*** Property of nobody. Your Password: is your own affair#\r\n\r\n';
const motd = '\r\nWelcome, and mind the rt9#\r\nrt9>\r\n';

/** Starts the device with both services on free ports. `lineLogin`: telnet asks for the password of the line only. */
export async function startEmulatedIos(
  hostname: string,
  options: { readonly lineLogin?: boolean } = {},
): Promise<EmulatedIos> {
  const device = new Device(hostname);
  const key = ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 });
  const parsed = ssh2.utils.parseKey(key.private);
  if (parsed instanceof Error || Array.isArray(parsed)) throw new Error('no host key');
  const sockets = new Set<Socket>();
  const telnet = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serveTelnet(device, socket, options.lineLogin === true);
  });
  // A raw listener in front, so that the quiet time closes connections before anything is said.
  const server = new ssh2.Server({ hostKeys: [key.private], ident: 'Cisco-1.25' }, (client) =>
    serveSsh(device, client),
  );
  const ssh = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    if (device.quiet()) socket.resetAndDestroy();
    else server.injectSocket(socket);
  });
  await Promise.all([listening(telnet), listening(ssh)]);
  return {
    device,
    address: '127.0.0.1',
    ssh: portOf(ssh),
    telnet: portOf(telnet),
    hostKey: new Uint8Array(parsed.getPublicSSH()),
    [Symbol.asyncDispose]: async () => {
      const closed = [telnet, ssh].map((one) => once(one, 'close'));
      telnet.close();
      ssh.close();
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    },
  };
}

function serveSsh(device: Device, client: ssh2.Connection): void {
  let user = '';
  client.on('error', () => {});
  client.on('authentication', (context) => {
    if (context.method !== 'password') return context.reject(['password']);
    if (!device.login(context.username, context.password)) return context.reject(['password']);
    user = context.username;
    context.accept();
  });
  client.on('session', (accept) => {
    const session = accept();
    session.on('pty', (yes) => yes?.());
    session.on('shell', (yes) => {
      const channel = yes();
      channel.on('error', () => {});
      channel.write(motd);
      const privilege = device.running.users[user]?.privilege ?? 1;
      const hangUp = (): void => {
        channel.end();
        client.end();
      };
      const terminal = new Terminal(
        device,
        { user, privilege, from: '127.0.0.1' },
        { write: (text) => channel.write(text), hangUp },
      );
      channel.on('data', (bytes: Buffer) => terminal.input(bytes.toString('latin1')));
      client.on('close', () => terminal.gone());
    });
  });
}

function serveTelnet(device: Device, socket: Socket, lineLogin: boolean): void {
  socket.on('error', () => {});
  if (device.quiet()) return void socket.resetAndDestroy();
  // WILL ECHO, WILL SUPPRESS-GO-AHEAD, DO TERMINAL-TYPE, DO NAWS.
  socket.write(Buffer.from([255, 251, 1, 255, 251, 3, 255, 253, 24, 255, 253, 31]));
  let terminal: Terminal | undefined;
  let failures = 0;
  let name: string | undefined = lineLogin ? '' : undefined;
  let typed = '';
  const write = (text: string): void => void socket.write(text, 'latin1');
  const ask = (): void => write(name === undefined ? 'Username: ' : 'Password: ');
  write(`${banner}\r\nUser Access Verification\r\n\r\n`);
  ask();
  const line = (text: string): void => {
    if (name === undefined) {
      name = text;
      return ask();
    }
    const good = lineLogin ? device.lineLogin(text) : device.login(name, text);
    if (!good) {
      write('% Login invalid\r\n\r\n');
      name = lineLogin ? '' : undefined;
      if (++failures < 3) return ask();
      socket.end();
      return;
    }
    write(motd);
    const who = { user: name, privilege: device.running.users[name]?.privilege ?? 1, from: '127.0.0.1' };
    terminal = new Terminal(device, who, { write, hangUp: () => socket.end() });
  };
  let skip = 0;
  socket.on('data', (bytes: Buffer) => {
    let plain = '';
    for (const byte of bytes) {
      // Answers to negotiations are three bytes; nothing longer is expected from a client that was offered nothing.
      if (skip > 0) skip--;
      else if (byte === 255) skip = 2;
      else plain += String.fromCharCode(byte);
    }
    for (const key of plain) {
      if (terminal !== undefined) terminal.input(key);
      else if (key === '\r') {
        const text = typed;
        typed = '';
        write('\r\n');
        line(text);
      } else if (key !== '\n' && key !== '\0') {
        typed += key;
        if (name === undefined) write(key);
      }
    }
  });
  socket.on('close', () => terminal?.gone());
}

async function listening(server: Server): Promise<void> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

function portOf(server: Server): number {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port');
  return bound.port;
}

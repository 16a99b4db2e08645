/** A person with rdesktop, the oldest client still around: TLS only, old capabilities, bitmaps of 16 or 24 bits. */
import { displayPackages, requirePackages } from '../install.ts';
import type { Display } from './display.ts';
import { type RdpClient, type RdpClientOptions, startClient } from './rdp-client.ts';

let count = 0;

/** Starts rdesktop, which trusts whatever certificate it sees. It does not wait for anything: see `connected`. */
export async function startRdesktop(display: Display, options: RdpClientOptions): Promise<RdpClient> {
  await requirePackages([...displayPackages, 'rdesktop']);
  const title = `rdesktop ${++count}`;
  const { width = 1024, height = 768 } = options;
  const argv = ['rdesktop', '-u', options.user, '-d', options.domain ?? '', '-p', '-', '-T', title, '-v'];
  const picture = ['-g', `${width}x${height}+0+0`, '-a', String(options.bpp ?? 24)];
  const drive = options.drive === undefined ? [] : ['-r', `disk:${options.drive.name}=${options.drive.folder}`];
  argv.push(...picture, ...drive, ...(options.more ?? []), `${options.address}:${options.port}`);
  return startClient(display, {
    argv,
    input: `${options.password}\nyes\n`,
    title,
    connected: /Connection successful/,
  });
}

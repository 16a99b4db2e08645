/** A person with FreeRDP's own client: xfreerdp on a display of the lab's. */
import { displayPackages, requirePackages } from '../install.ts';
import type { Display } from './display.ts';
import { type RdpClient, type RdpClientOptions, startClient } from './rdp-client.ts';

export interface FreeRdpOptions extends RdpClientOptions {
  /** What it offers; it chooses itself if not told. */
  readonly security?: 'rdp' | 'tls' | 'nla' | 'ext';
  /** Default `ignore`. `deny` takes no certificate that it does not know; a fingerprint is SHA-256 in hexadecimal. */
  readonly trust?: 'ignore' | 'deny' | 'tofu' | { readonly fingerprint: string };
  /** Bulk compression; off unless asked for. */
  readonly compression?: boolean;
  /** Codecs it offers besides bitmaps. */
  readonly graphics?: 'rfx' | 'gfx' | 'gfx-h264';
  /** Tells the server when its window changes size. */
  readonly dynamicResolution?: boolean;
  /** Off unless asked for. */
  readonly clipboard?: boolean;
}

/** Starts xfreerdp. It does not wait for anything: see `connected`. */
export async function startXfreerdp(display: Display, options: FreeRdpOptions): Promise<RdpClient> {
  return start(display, options, `xfreerdp ${++count}`, []);
}

/** Only logs in, without a session (`+auth-only`): 0 if the server let it in. */
export async function tryXfreerdp(
  display: Display,
  options: FreeRdpOptions,
): Promise<{ readonly code: number; readonly log: string }> {
  await using client = await start(display, options, 'xfreerdp without a window', ['+auth-only']);
  const code = await client.ended;
  return { code, log: client.log() };
}

let count = 0;

async function start(
  display: Display,
  options: FreeRdpOptions,
  title: string,
  more: readonly string[],
): Promise<RdpClient> {
  await requirePackages([...displayPackages, 'freerdp2-x11']);
  const argv = [...words(options), `/title:${title}`, ...more];
  return startClient(display, { argv, input: `${options.password}\n`, title, connected: /Local framebuffer format/ });
}

function words(options: FreeRdpOptions): string[] {
  const { trust = 'ignore', width = 1024, height = 768 } = options;
  const known = typeof trust === 'string' ? trust : fingerprint(trust.fingerprint);
  return [
    'xfreerdp',
    `/v:${options.address}:${options.port}`,
    `/u:${options.user}`,
    `/d:${options.domain ?? ''}`,
    '/from-stdin:force',
    `/cert:${known}`,
    `/size:${width}x${height}`,
    `/bpp:${options.bpp ?? 32}`,
    '/log-level:INFO',
    ...(options.security === undefined ? [] : [`/sec:${options.security}`]),
    options.compression === true ? '+compression' : '-compression',
    options.clipboard === true ? '+clipboard' : '-clipboard',
    ...(options.graphics === undefined ? [] : [graphics[options.graphics]]),
    ...(options.dynamicResolution === true ? ['/dynamic-resolution'] : []),
    ...(options.drive === undefined ? [] : [`/drive:${options.drive.name},${options.drive.folder}`]),
    ...(options.more ?? []),
  ];
}

/** It compares the text: lower case, a colon after each byte. */
function fingerprint(sha256: string): string {
  return `fingerprint:sha256:${sha256.match(/../g)?.join(':')}`;
}

const graphics = { rfx: '/rfx', gfx: '/gfx:RFX', 'gfx-h264': '/gfx-h264:AVC444' } as const;

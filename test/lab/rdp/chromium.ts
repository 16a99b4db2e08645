/**
 * A person with a browser: Debian's Chromium without a window, on a page of the lab's own that holds IronRDP's client and
 * nothing else. The page is served under the policy of contents that the client needs, and no more. The browser ends with
 * the test process.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { chromium, type Page } from 'playwright-core';
import { findProgram, requirePackages } from '../install.ts';
import type { Picture } from './picture.ts';

export interface BrowserOptions {
  /** Where the gate takes browsers, `ws:` or `wss:`; any certificate is taken. */
  readonly gateway: string;
  /** As the gate shall read it. */
  readonly destination: string;
  /** What lets it in; may be a secret, and goes nowhere but into the web socket. */
  readonly token: string;
  readonly user?: string;
  readonly password?: string;
  /** Off unless asked for: then the client proves nothing by itself. */
  readonly credssp?: boolean;
  readonly width?: number;
  readonly height?: number;
}

/** What became of an attempt: a session, or the client's own words. */
export type Connected =
  | { readonly kind: 'connected'; readonly width: number; readonly height: number }
  | {
      readonly kind: 'failed';
      /** As IronRDP numbers them: 1 wrong password, 2 logon failure, 3 access denied, 4 RDCleanPath, 5 proxy, 6 negotiation. */
      readonly reason: number | undefined;
      readonly httpStatus: number | undefined;
      readonly words: string;
    };

export interface BrowserClient extends AsyncDisposable {
  readonly page: Page;
  /** The page's origin, as the gate sees it in the request. */
  readonly origin: string;
  connect(options: BrowserOptions): Promise<Connected>;
  /** Why the session ended, in the client's words, as soon as it has. */
  ended(): Promise<string>;
  /** Types into the session, on a keyboard of the United States; a line feed is the return key. */
  type(text: string): Promise<void>;
  press(key: string): Promise<void>;
  click(x: number, y: number): Promise<void>;
  /** What its canvas shows. */
  picture(): Promise<Picture>;
  /** What the page has logged so far. */
  readonly log: () => string;
}

/** What the page holds, for functions that are run in it. */
declare const lab: {
  readonly ended: Promise<string>;
  connect(options: BrowserOptions): Promise<Connected>;
  focus(): void;
  picture(): { readonly width: number; readonly height: number; readonly base64: string };
};

const modules = ['@devolutions/iron-remote-desktop', '@devolutions/iron-remote-desktop-rdp'];
const policy = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "connect-src 'self' data: ws: wss:",
  "style-src 'self' 'unsafe-inline'",
].join('; ');

/** Starts a browser and opens the page; the client is loaded when this resolves. */
export async function startChromium(): Promise<BrowserClient> {
  await requirePackages(['chromium']);
  await using undo = new AsyncDisposableStack();
  const origin = undo.use(await servePage());
  const browser = await chromium.launch({
    executablePath: findProgram('chromium') ?? '/usr/bin/chromium',
    args: ['--disable-gpu', '--disable-dev-shm-usage', ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])],
  });
  undo.defer(() => browser.close());
  const viewport = { width: 1280, height: 1024 };
  const page = await (await browser.newContext({ viewport, ignoreHTTPSErrors: true })).newPage();
  const words: string[] = [];
  page.on('console', (message) => words.push(message.text()));
  page.on('pageerror', (error) => words.push(String(error)));
  await page.goto(origin.address);
  await page.waitForFunction('window.lab !== undefined');
  const life = undo.move();
  return {
    page,
    origin: origin.address,
    connect: (options) => page.evaluate((given) => lab.connect(given), options),
    ended: () => page.evaluate(() => lab.ended),
    type: async (text) => {
      await page.evaluate(() => lab.focus());
      for (const character of text) {
        // Playwright types a capital without the shift key, and the session would see a small letter.
        const shifted = /[A-Z~!@#$%^&*()_+{}|:"<>?]/.test(character);
        if (shifted) await page.keyboard.down('Shift');
        await page.keyboard.press(character === '\n' ? 'Enter' : character);
        if (shifted) await page.keyboard.up('Shift');
      }
    },
    press: async (key) => {
      await page.evaluate(() => lab.focus());
      await page.keyboard.press(key);
    },
    click: (x, y) => page.mouse.click(x, y),
    picture: async () => {
      const { width, height, base64 } = await page.evaluate(() => lab.picture());
      return { width, height, rgba: new Uint8Array(Buffer.from(base64, 'base64')) };
    },
    log: () => words.join('\n'),
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

async function servePage(): Promise<AsyncDisposable & { readonly address: string }> {
  const require = createRequire(import.meta.url);
  const [element = '', backend = ''] = await Promise.all(
    modules.map((name) => readFile(require.resolve(name), 'utf8')),
  );
  const files: Readonly<Record<string, readonly [string, string]>> = {
    '/': ['text/html', '<!doctype html><style>body{margin:0}</style><body><script type=module src=/page.js></script>'],
    '/page.js': ['text/javascript', script],
    '/element.js': ['text/javascript', element],
    '/backend.js': ['text/javascript', backend],
  };
  const server = createServer((request, response) => {
    const [type, text] = files[request.url ?? ''] ?? ['text/plain', undefined];
    response.writeHead(text === undefined ? 404 : 200, { 'content-type': type, 'content-security-policy': policy });
    response.end(text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the page has no port');
  return {
    address: `http://127.0.0.1:${bound.port}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The page: it knows one session. */
const script = `
import '/element.js';
import { Backend, enableCredssp, init } from '/backend.js';
await init('INFO');
const element = document.createElement('iron-remote-desktop');
element.module = Backend;
element.setAttribute('verbose', 'true');
element.setAttribute('scale', 'real');
const ready = new Promise((resolve) => element.addEventListener('ready', (event) => resolve(event.detail.irgUserInteraction)));
document.body.append(element);
const client = await ready;
const canvas = () => element.shadowRoot.querySelector('canvas');
const lab = {
  ended: undefined,
  async connect({ gateway, destination, token, user = 'browser', password = 'none', credssp = false, width = 1024, height = 768 }) {
    const builder = client.configBuilder().withUsername(user).withPassword(password).withDestination(destination)
      .withProxyAddress(gateway).withServerDomain('').withAuthToken(token).withDesktopSize({ width, height })
      .withExtension(enableCredssp(credssp));
    try {
      const session = await client.connect(builder.build());
      client.setVisibility(true);
      lab.ended = session.run().then((info) => info.reason(), (error) => 'broken: ' + (error.backtrace?.() ?? error));
      return { kind: 'connected', ...{ width: canvas().width, height: canvas().height } };
    } catch (error) {
      const words = error.backtrace?.() ?? String(error);
      return { kind: 'failed', reason: error.kind?.(), httpStatus: error.rdcleanpathDetails?.()?.httpStatusCode, words };
    }
  },
  focus: () => canvas().focus(),
  picture() {
    const { width, height } = canvas();
    const copy = new OffscreenCanvas(width, height).getContext('2d');
    copy.drawImage(canvas(), 0, 0);
    const { data } = copy.getImageData(0, 0, width, height);
    let binary = '';
    for (let i = 0; i < data.length; i += 32768) binary += String.fromCharCode(...data.subarray(i, i + 32768));
    return { width, height, base64: btoa(binary) };
  },
};
window.lab = lab;
`;

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test, expect } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { ntHash, ntlmVerdict } from '../../src/protocol/ntlm/ntlm.ts';
import { gateCertificate, proxyRdp } from '../../src/proxy/proxy.ts';
import { authorization, stage } from '../proxy/stage.ts';
import { startXrdp } from '../lab/rdp/xrdp.ts';
import { startDisplay } from '../lab/rdp/display.ts';
import { startXfreerdp } from '../lab/rdp/xfreerdp.ts';
import { openLog } from '../../src/base/log.ts';

test('scratch', { timeout: 120_000 }, async () => {
  const folder = mkdtempSync('/tmp/rdp-scratch-');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', join(folder, 'k'), '-out', join(folder, 'c'), '-days', '9', '-subj', '/CN=gate'], { stdio: 'ignore' });
  const certificate = gateCertificate(readFileSync(join(folder, 'c')), readFileSync(join(folder, 'k')));
  await using xrdp = await startXrdp({ name: 'desk', users: [{ name: 'svc', password: 'Vault3d-Secret!' }] });
  const token = 'abcd-efgh-ijkm-npqr-stuv-wxyz-2345';
  using it = stage({
    'login.begin': () => ({ login: 'l', next: ['token', 'password'] }),
    'login.ntlm': (claim: never) => {
      using secret = Secret.fromText(token);
      using hash = ntHash(secret);
      const key = ntlmVerdict(hash.reveal(), claim);
      console.log('ntlm', key !== undefined);
      return key === undefined ? { refused: true, code: 'x', reason: 'no' } : { sessionBaseKey: key };
    },
    'login.factor': () => ({ verdict: 'accepted', next: [] }),
    authorize: () => ({
      ...authorization, protocol: 'rdp', account: 'svc', target: 'desk', address: xrdp.address, port: 3389, subprotocols: ['rdp'],
      rdp: { security: 'tls', depth: 24, keys: 'all' },
    }),
    'certificate.check': () => ({ verdict: 'trusted' }),
    'credential.open': () => ({ kind: 'password', secret: new TextEncoder().encode('Vault3d-Secret!') }),
  });
  const place = { ...it.place, log: openLog('gate', 'debug') };
  const server = createServer((socket) => {
    const end = new AbortController();
    proxyRdp(socket, { address: '127.0.0.1', port: 1 }, place, certificate, () => console.log('known'), end.signal).then(
      () => console.log('session over', JSON.stringify(it.asked.at(-1))),
      (error) => console.log('session broke', error),
    );
  });
  await new Promise<void>((r) => server.listen(0, '127.0.0.1', r));
  const { port } = server.address() as { port: number };
  await using display = await startDisplay();
  await using client = await startXfreerdp(display, { address: '127.0.0.1', port, user: 'alice%svc%desk', password: token, security: 'nla' } as never);
  const shown = await Promise.race([client.connected().then(() => 'connected'), client.ended.then((c) => `ended ${c}`)]).catch(String);
  console.log(shown, client.log());
  console.log(it.steps.join(' '));
  if (shown !== 'connected') throw new Error('no');
  const screen = await xrdp.session('svc');
  console.log(screen.name);
  await display.run(['import', '-window', 'root', '/tmp/client.png']);
  console.log((await xrdp.log()).slice(-1500));
  console.log(JSON.stringify(it.asked.filter((a) => a.name === 'session.event').map((a) => a.fields)));
  server.close();
});

/** Answers about ways in for clients of RDP: connection tokens with a signed file, and the gate's own authority. */
import { hostname } from 'node:os';
import { mayOpen } from '../../access/access.ts';
import type { Actor } from '../../audit/audit.ts';
import { isRefusal, refuse } from '../../base/errors.ts';
import type { Config } from '../../config.ts';
import type { RouteAnswers } from '../../contract/contract.ts';
import { canonicalName, isSource, mintToken, usualMinutes } from '../../identity/identity.ts';
import { formatRdpUser } from '../../link/link.ts';
import type { Authority } from '../authority.ts';
import { KeeperError } from '../errors.ts';
import { signedRdpFile } from '../rdp-file.ts';
import type { Rooms } from '../rooms.ts';

type Names = 'connection-token.mint' | 'authority.show';

export function rdpAnswers(
  { db, vault, clock }: Pick<Rooms, 'db' | 'vault' | 'clock'>,
  authority: Authority,
  rdp: Config['rdp'],
  actor: Actor,
): Pick<RouteAnswers, Names> {
  return {
    'connection-token.mint': async ({ user: name, from, minutes, ...place }) => {
      if (rdp === undefined) throw new KeeperError('keeper.rdp-off');
      if (from !== undefined && (!isSource(from) || from.includes('/')))
        throw new KeeperError('keeper.no-such-thing', `address ${from}`);
      // Whoever is no operator makes tokens for himself; of others he learns nothing.
      const wanted = actor.kind === 'user' && canonicalName(name) !== actor.name ? '' : name;
      const now = clock.now();
      const allowed = await mayOpen(db, wanted, { ...place, protocol: 'rdp' }, from, now, actor);
      if (isRefusal(allowed)) return allowed;
      const { user, target, service, account, subprotocols } = allowed;
      const minted = await mintToken(
        db,
        vault,
        {
          user: user.id,
          userName: user.name,
          target: target.id,
          account: account.id,
          service: service.id,
          label: account.label,
          serviceName: service.name,
          minutes: minutes ?? usualMinutes,
          ...(from === undefined ? {} : { source: from }),
        },
        now,
        actor,
      );
      if (isRefusal(minted)) return refuse(minted.code, minted.reason);
      using token = minted.token;
      const selector = {
        user: user.name,
        account: account.name,
        target: target.name,
        ...(service.name === 'rdp' ? {} : { service: service.name }),
      };
      const typed = formatRdpUser(selector);
      const host = publicNameOf(rdp);
      const address = `${host.includes(':') ? `[${host}]` : host}:${rdp.port}`;
      const wish = { address, user: typed, subprotocols, depth: allowed.rdp.depth };
      return {
        user: typed,
        token: token.revealText(),
        expiresAt: minted.expiresAt.toISOString(),
        account: account.label,
        host,
        port: rdp.port,
        file: await signedRdpFile(wish, (bytes) => authority.signFile(bytes)),
      };
    },
    'authority.show': async () => {
      const { pem, fingerprint, validTo } = await authority.root();
      return { certificate: pem, fingerprint, validTo: validTo.toISOString(), signer: await authority.fileSigner() };
    },
  };
}

/** How people reach the gate: its first name, or where it listens, or this machine's name. */
function publicNameOf({ names, address }: NonNullable<Config['rdp']>): string {
  return names[0] ?? (address === '0.0.0.0' || address === '::' ? hostname() : address);
}

/** Answers about this node among others: naming, inviting, joining, leaving, healing, and how it stands. */
import type { Actor } from '../../audit/audit.ts';
import { isRefusal } from '../../base/errors.ts';
import type { RouteAnswers } from '../../contract/contract.ts';
import type { PeerStatus } from '../../rotation/rotation.ts';
import type { Rooms } from '../rooms.ts';

type Names =
  | 'node.init'
  | 'node.invite'
  | 'node.join'
  | 'node.leave'
  | 'node.heal'
  | 'node.status'
  | 'node.quarantine'
  | 'node.acknowledge';

export function nodeAnswers({ membership }: Pick<Rooms, 'membership'>, actor: Actor): Pick<RouteAnswers, Names> {
  return {
    'node.init': async ({ name }) => {
      const named = await membership.init(name, actor);
      return isRefusal(named) ? named : { node: named.id };
    },
    'node.invite': async () => {
      const invitation = await membership.invite(actor);
      if (isRefusal(invitation)) return invitation;
      using card = invitation;
      return { invitation: Uint8Array.from(card.reveal()) };
    },
    'node.join': async ({ invitation }, _part, signal) => {
      const joined = await membership.join(invitation, actor, signal);
      invitation.fill(0);
      if (isRefusal(joined)) return joined;
      return { peers: [...joined.peers], unreached: [...joined.unreached], restarts: joined.ring === 'adopted' };
    },
    'node.leave': async ({ peer }) => {
      const left = await membership.leave(peer, actor);
      if (isRefusal(left)) return left;
      return { peers: [...left.peers], untold: [...left.untold], behind: [...left.behind] };
    },
    'node.heal': async ({ peer }, _part, signal) => {
      const healed = await membership.heal(peer, actor, signal);
      if (isRefusal(healed)) return healed;
      return { node: healed.id, reached: [...healed.reached], unreached: [...healed.unreached] };
    },
    'node.status': async ({ compare }) => {
      const { node, name, state, peers, unfolded, quarantined } = await membership.status(compare);
      return { node, ...(name === null ? {} : { name }), state, peers: peers.map(shown), unfolded, quarantined };
    },
    'node.quarantine': async ({ all }) => ({
      facts: (await membership.putAside(all)).map(({ at, ...fact }) => ({ ...fact, at: at.toISOString() })),
    }),
    'node.acknowledge': async ({ facts }) => {
      const done = await membership.acknowledge(facts, actor);
      return typeof done === 'number' ? { acknowledged: done } : done;
    },
  };
}

function shown({ silentSeconds, keptBytes, same, ...rest }: PeerStatus) {
  return {
    ...rest,
    ...(silentSeconds === null ? {} : { silentSeconds }),
    ...(keptBytes === null ? {} : { keptBytes }),
    ...(same === undefined ? {} : { same: same === null ? 'unknown' : same ? 'yes' : 'no' }),
  };
}

/** What rotation must know of other nodes, as questions; a node that is alone has the plain answers. */
import type { AccountId, PolicyId } from '../base/ids.ts';
import type { MayDecideHere } from './plan/management.ts';

/** `here`: all that other nodes had said of the account when they were asked has arrived. `late`: one stayed silent. */
export type Heard = 'here' | 'waiting' | 'late';

/** Whether this node may change accounts of a policy by itself. `not-ready`: its database was set back, and is not healed yet. */
export type MayRotate = 'yes' | 'not-managing' | 'managing-down' | 'not-ready';

export interface Peers {
  /**
   * Asks every other node and says how far the answers are. `since`: when exactly these facts were first seen. What was
   * answered counts for the decision that is made now; for a later one everybody is asked again.
   */
  heard(account: AccountId, since: number, signal: AbortSignal): Promise<Heard>;
  /** Returns when what was committed here has been sent to every node that can be reached, or after a short while. */
  sent(signal: AbortSignal): Promise<void>;
  mayRotate(policy: PolicyId): Promise<MayRotate>;
  mayResolve(policy: PolicyId): Promise<boolean>;
  /** Whether a person may decide conflicts of a policy here, and which node resolves them. */
  mayDecide(policy: PolicyId): Promise<MayDecideHere>;
  /** Names of nodes that cannot be reached now. */
  unreachable(): Promise<readonly string[]>;
}

export const alone: Peers = {
  heard: async () => 'here',
  sent: async () => {},
  mayRotate: async () => 'yes',
  mayResolve: async () => true,
  mayDecide: async () => ({ may: true, as: 'resolving', node: null }),
  unreachable: async () => [],
};

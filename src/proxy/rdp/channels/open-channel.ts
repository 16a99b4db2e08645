/**
 * The filter of a static channel by its name. Call it once for each channel that the client asked for, with the decision
 * of `staticChannels`: a denied channel swallows what the client sends.
 */
import { sameName, staticNames } from '../../../protocol/rdp/channels/channels.ts';
import type { RdpPolicy, StaticDecision } from '../policy.ts';
import { clipboard } from './clipboard.ts';
import { devices } from './devices.ts';
import { dynamic } from './dynamic.ts';
import { type Channel, type ChannelLimits, channelLimits } from './filter.ts';
import { framed, silent, swallowed, unread } from './framed.ts';

/** Opens the filter. Each session has its own; nothing is shared between them. */
export function openChannel(
  decision: StaticDecision,
  policy: RdpPolicy,
  limits: ChannelLimits = channelLimits,
): Channel {
  if (!decision.allowed) return swallowed();
  if (decision.silent) return silent();
  const { name } = decision;
  if (sameName(name, staticNames.clipboard)) return framed(clipboard(policy, limits), limits);
  if (sameName(name, staticNames.devices)) return framed(devices(policy, limits), limits);
  // one message of the dynamic channel is one chunk; a longer one is nobody's
  if (sameName(name, staticNames.dynamic)) return framed(dynamic(policy, limits), { ...limits, messageBytes: 16384 });
  return unread();
}
